package scenario

var joinCommand = Command{
	Name: "join", Forms: []string{"join <members> to the store", "join <members> to <members>|the others"},
	Does:  "ends what cut, slow and lose did",
	parse: parseJoin,
}

func parseJoin(w *words) (action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	if !w.is("to") {
		return nil, unknown(w.peek(), "to")
	}
	if w.is("store") {
		return x.each(func(r *run, m string) error { return r.stage.JoinStore(m) }), nil
	}
	other, err := w.otherSide()
	return func(r *run) error {
		a, b, err := r.sides(x, other)
		if err != nil {
			return err
		}
		return r.stage.JoinMembers(a, b)
	}, err
}
