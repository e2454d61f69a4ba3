package scenario

var hangCommand = Command{
	Name: "hang", Forms: []string{"hang postgres|probe of <members>"},
	Does:  "PostgreSQL goes on existing and does nothing, or only the agent's looks at it are in vain; thaw ends it",
	parse: parseHang,
}

func parseHang(w *words) (action, error) {
	var do func(r *run, member string) error
	switch what := w.take(); what {
	case "postgres":
		do = func(r *run, m string) error { return r.stage.HangPostgres(m) }
	case "probe":
		do = func(r *run, m string) error { return r.stage.BlindProbe(m, true) }
	default:
		return nil, unknown(what, "postgres", "probe")
	}
	x, err := w.members()
	return x.each(do), err
}
