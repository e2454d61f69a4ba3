package scenario

var waitCommand = Command{
	Name: "wait", Forms: []string{"wait <time>"}, Does: "lets time pass",
	parse: func(w *words) (action, error) {
		d, err := w.duration()
		return func(r *run) error { return r.stage.Pass(d) }, err
	},
}
