package scenario

import "fmt"

var nameCommand = Command{
	Name: "name", Forms: []string{"name the agent of <member> <name>"},
	Does:  "writes a name into the configuration of an agent that does not run: it has that when it starts next",
	parse: parseName,
}

func parseName(w *words) (action, error) {
	if !w.is("agent") {
		return nil, unknown(w.peek(), "agent")
	}
	member, name := w.take(), w.take()
	if !memberName.MatchString(member) || !memberName.MatchString(name) {
		return nil, fmt.Errorf("%q, %q: want two names of members", member, name)
	}
	return who{member}.onMachines(func(m Machines, member string) error { return m.NameAgent(member, name) }), nil
}
