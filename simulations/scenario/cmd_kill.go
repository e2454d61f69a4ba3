package scenario

var killCommand = Command{
	Name: "kill", Forms: []string{"kill agent|guard|postgres|host of <members>"},
	Does:  "ends it at once: SIGKILL to the agent, the guard or the postmaster, or a power cut",
	parse: parseKill,
}

func parseKill(w *words) (action, error) {
	var do func(r *run, member string) error
	switch what := w.take(); what {
	case "agent", "agents":
		do = func(r *run, m string) error { return r.stage.KillAgent(m) }
	case "guard", "guards":
		do = func(r *run, m string) error { return r.stage.KillGuard(m) }
	case "postgres":
		do = func(r *run, m string) error { return r.stage.KillPostgres(m) }
	case "host", "hosts":
		do = func(r *run, m string) error { return r.stage.KillHost(m) }
	default:
		return nil, unknown(what, "agent", "guard", "postgres", "host")
	}
	x, err := w.members()
	return x.each(do), err
}
