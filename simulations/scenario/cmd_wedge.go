package scenario

var wedgeCommand = Command{
	Name: "wedge", Forms: []string{"wedge postgres of <members>"},
	Does:  "PostgreSQL hangs in the kernel, as on a disk that is gone: what is killed of it stays until thaw",
	parse: parseWedge,
}

func parseWedge(w *words) (action, error) {
	if !w.is("postgres") {
		return nil, unknown(w.peek(), "postgres")
	}
	x, err := w.members()
	return x.each(func(r *run, m string) error { return r.stage.WedgePostgres(m) }), err
}
