package scenario

var hangCommand = Command{
	Name: "hang", Forms: []string{"hang postgres|disk|probe|guard of <members>"},
	Does: "PostgreSQL goes on existing and does nothing; or its disk does not answer; or only the agent's looks at it are in vain; or the guard " +
		"takes no new deadline; thaw ends it",
	parse: parseHang,
}

func parseHang(w *words) (action, error) {
	if w.is("guard") {
		x, err := w.members()
		return x.eachByHand(func(h ByHand, m string) error { return h.DeafenGuard(m, true) }), err
	}
	var do func(r *run, member string) error
	switch what := w.take(); what {
	case "postgres":
		do = func(r *run, m string) error { return r.stage.HangPostgres(m) }
	case "disk":
		do = func(r *run, m string) error { return r.stage.StallDisk(m, true) }
	case "probe":
		do = func(r *run, m string) error { return r.stage.BlindProbe(m, true) }
	default:
		return nil, unknown(what, "postgres", "disk", "probe", "guard")
	}
	x, err := w.members()
	return x.each(do), err
}
