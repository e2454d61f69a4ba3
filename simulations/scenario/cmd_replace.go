package scenario

var replaceCommand = Command{
	Name: "replace", Forms: []string{"replace data of <members>"}, Does: "puts the data of another cluster there: the wrong backup. PostgreSQL must not run",
	parse: parseReplace,
}

func parseReplace(w *words) (action, error) {
	if !w.is("data") {
		return nil, unknown(w.peek(), "data")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.ForeignData(m) }), err
}
