package scenario

var promoteCommand = Command{
	Name: "promote", Forms: []string{"promote postgres of <members>"}, Does: "somebody promotes PostgreSQL by hand, without asking the agent",
	parse: parsePromote,
}

func parsePromote(w *words) (action, error) {
	if !w.is("postgres") {
		return nil, unknown(w.peek(), "postgres")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.PromotePostgres(m) }), err
}
