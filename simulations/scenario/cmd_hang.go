package scenario

var hangCommand = Command{
	Name: "hang", Forms: []string{"hang postgres of <members>"},
	Does:  "PostgreSQL goes on existing and does nothing; thaw ends it",
	parse: parseHang,
}

func parseHang(w *words) (action, error) {
	if !w.is("postgres") {
		return nil, unknown(w.peek(), "postgres")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.HangPostgres(m) }), err
}
