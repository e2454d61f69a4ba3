package scenario

var killCommand = Command{
	Name: "kill", Forms: []string{"kill agent|guard|postgres|backend|host of <members>"},
	Does:  "ends it at once: SIGKILL to the agent, the guard, the postmaster or one of its backends, or a power cut",
	parse: parseKill,
}

func parseKill(w *words) (action, error) {
	if w.is("backend") {
		x, err := w.members()
		return x.eachByHand(ByHand.CrashBackend), err
	}
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
		return nil, unknown(what, "agent", "guard", "postgres", "backend", "host")
	}
	x, err := w.members()
	return x.each(do), err
}
