package scenario

var guardCommand = Command{
	Name: "guard", Forms: []string{"guard of <members> deaf|well"},
	Does:  "it takes no new deadline, and fires at the one that it has; or it takes deadlines again",
	parse: parseGuard,
}

func parseGuard(w *words) (action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	deaf := w.is("deaf")
	if !deaf && !w.is("well") {
		return nil, unknown(w.peek(), "deaf", "well")
	}
	return x.eachByHand(func(h ByHand, m string) error { return h.DeafenGuard(m, deaf) }), nil
}
