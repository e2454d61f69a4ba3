package scenario

var spoilCommand = Command{
	Name: "spoil", Forms: []string{"spoil data of <members>"},
	Does:  "the data directory holds something that is not PostgreSQL's. PostgreSQL must not run",
	parse: parseSpoil,
}

func parseSpoil(w *words) (action, error) {
	if !w.is("data") {
		return nil, unknown(w.peek(), "data")
	}
	x, err := w.members()
	return x.eachByHand(ByHand.SpoilData), err
}
