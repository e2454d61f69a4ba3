package scenario

import "errors"

var killCommand = Command{
	Name: "kill", Forms: []string{"kill agent|guard|postgres|host of <members>", "kill agent of <members> before|amid <effect>"},
	Does: "ends it at once: SIGKILL to the agent, the guard or the postmaster, or a power cut. Or, when a decision of the agent holds that effect, " +
		"before that is performed, or a moment after it was begun",
	parse: parseKill,
}

func parseKill(w *words) (action, error) {
	var do func(r *run, member string) error
	agent := false
	switch what := w.take(); what {
	case "agent", "agents":
		agent = true
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
	if amid := w.is("amid"); err == nil && agent && (amid || w.is("before")) {
		effect := w.take()
		if effect == "" {
			return nil, errors.New("before which effect?")
		}
		return x.onMachines(func(m Machines, member string) error { return m.KillAgentAt(member, effect, amid) }), nil
	}
	return x.each(do), err
}
