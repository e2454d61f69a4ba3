package scenario

var stopCommand = Command{
	Name: "stop", Forms: []string{"stop agent of <members>"},
	Does:  "asks the agent to end, as systemd does; wait for its end with: until state <members> down",
	parse: parseStop,
}

func parseStop(w *words) (action, error) {
	if !w.is("agent") && !w.is("agents") {
		return nil, unknown(w.peek(), "agent")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.StopAgent(m) }), err
}
