package scenario

var pgctlCommand = Command{
	Name: "pg_ctl", Forms: []string{"pg_ctl start <members> [as replica]", "pg_ctl stop <members>"},
	Does:  "somebody starts or stops PostgreSQL by hand, without asking the agent",
	parse: parsePgctl,
}

func parsePgctl(w *words) (action, error) {
	what := w.take()
	if what != "start" && what != "stop" {
		return nil, unknown(what, "start", "stop")
	}
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	if what == "stop" {
		return x.eachByHand(ByHand.StopPostgres), nil
	}
	replica := w.is("as")
	if replica && !w.is("replica") {
		return nil, unknown(w.peek(), "replica")
	}
	return x.eachByHand(func(h ByHand, m string) error { return h.StartPostgres(m, replica) }), nil
}
