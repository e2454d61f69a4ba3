package scenario

var emptyCommand = Command{
	Name: "empty", Forms: []string{"empty data of <members>"}, Does: "the data directory is empty: its volume is not mounted, say. PostgreSQL must not run",
	parse: parseEmpty,
}

func parseEmpty(w *words) (action, error) {
	if !w.is("data") {
		return nil, unknown(w.peek(), "data")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.EmptyData(m) }), err
}
