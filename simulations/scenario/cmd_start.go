package scenario

var startCommand = Command{
	Name: "start", Forms: []string{"start agent|host of <members>"},
	Does:  "starts the agent, or the host with guard and agent",
	parse: parseStart,
}

func parseStart(w *words) (action, error) {
	var do func(r *run, member string) error
	switch what := w.take(); what {
	case "agent", "agents":
		do = func(r *run, m string) error { return r.stage.StartAgent(m) }
	case "host", "hosts":
		do = func(r *run, m string) error { return r.stage.BootHost(m) }
	default:
		return nil, unknown(what, "agent", "host")
	}
	x, err := w.members()
	return x.each(do), err
}
