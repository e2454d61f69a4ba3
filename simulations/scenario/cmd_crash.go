package scenario

var crashCommand = Command{
	Name: "crash", Forms: []string{"crash backend of <members>"},
	Does:  "one backend of PostgreSQL is killed: the postmaster ends the others, recovers, and goes on",
	parse: parseCrash,
}

func parseCrash(w *words) (action, error) {
	if !w.is("backend") {
		return nil, unknown(w.peek(), "backend")
	}
	x, err := w.members()
	return x.eachByHand(ByHand.CrashBackend), err
}
