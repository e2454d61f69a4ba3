package scenario

var freezeCommand = Command{
	Name: "freeze", Forms: []string{"freeze agent of <members>"},
	Does:  "stops the agent's time without ending it, as SIGSTOP does, or a host that swaps",
	parse: parseFreeze,
}

func parseFreeze(w *words) (action, error) {
	if !w.is("agent") && !w.is("agents") {
		return nil, unknown(w.peek(), "agent")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.FreezeAgent(m) }), err
}
