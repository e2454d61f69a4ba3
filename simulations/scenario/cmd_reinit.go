package scenario

var reinitCommand = Command{
	Name: "reinit", Forms: []string{"reinit <members> [force]"}, Does: "orders members to discard their data for a fresh copy of the leader's",
	parse: func(w *words) (action, error) {
		x, err := w.members()
		force := w.is("force")
		return x.each(func(r *run, m string) error { return r.stage.Reinitialize(m, force) }), err
	},
}
