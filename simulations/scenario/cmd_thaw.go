package scenario

var thawCommand = Command{
	Name: "thaw", Forms: []string{"thaw agent|postgres|probe of <members>"},
	Does:  "lets go on what was frozen, or hung",
	parse: parseThaw,
}

func parseThaw(w *words) (action, error) {
	var do func(r *run, member string) error
	switch what := w.take(); what {
	case "agent", "agents":
		do = func(r *run, m string) error { return r.stage.ThawAgent(m) }
	case "postgres":
		do = func(r *run, m string) error { return r.stage.ResumePostgres(m) }
	case "probe":
		do = func(r *run, m string) error { return r.stage.BlindProbe(m, false) }
	default:
		return nil, unknown(what, "agent", "postgres", "probe")
	}
	x, err := w.members()
	return x.each(do), err
}
