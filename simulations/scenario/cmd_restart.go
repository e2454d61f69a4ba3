package scenario

var restartCommand = Command{
	Name: "restart", Forms: []string{"restart <members>"}, Does: "orders members to restart PostgreSQL",
	parse: func(w *words) (action, error) {
		x, err := w.members()
		return x.each(func(r *run, m string) error { return r.stage.Restart(m) }), err
	},
}
