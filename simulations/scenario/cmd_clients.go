package scenario

var clientsCommand = Command{
	Name: "clients", Forms: []string{"clients write <n> per second", "clients quiet"},
	Does:  "clients write to every server that takes it, or stop",
	parse: parseClients,
}

// maxWrites keeps what is counted small.
const maxWrites = 1000

func parseClients(w *words) (action, error) {
	n := 0
	switch what := w.take(); what {
	case "quiet":
	case "write":
		var err error
		if n, err = number(w.take(), 1, maxWrites); err != nil {
			return nil, err
		}
		if w.is("per") {
			w.is("second")
		}
	default:
		return nil, unknown(what, "write", "quiet")
	}
	return func(r *run) error { return r.stage.Write(n) }, nil
}
