package scenario

var suspendCommand = Command{
	Name: "suspend", Forms: []string{"suspend the host of <members>"},
	Does:  "stops agent, guard and PostgreSQL at once; the host's boot clock goes on. wake ends it",
	parse: parseHost(func(m Machines, member string) error { return m.SuspendHost(member) }),
}

var wakeCommand = Command{
	Name: "wake", Forms: []string{"wake the host of <members>"},
	Does:  "lets everything of a suspended host go on",
	parse: parseHost(func(m Machines, member string) error { return m.WakeHost(member) }),
}

func parseHost(do func(m Machines, member string) error) func(w *words) (action, error) {
	return func(w *words) (action, error) {
		if !w.is("host") && !w.is("hosts") {
			return nil, unknown(w.peek(), "host")
		}
		x, err := w.members()
		return x.onMachines(do), err
	}
}
