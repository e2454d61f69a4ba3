package scenario

import (
	"errors"
	"slices"
)

var cutCommand = Command{
	Name:  "cut",
	Forms: []string{"cut <members> from the store [requests|answers] [refused]", "cut <members> from <members>|the others"},
	Does: "separates members from the store, both ways or only what they send or what they are sent; messages vanish, or are refused. " +
		"Or separates members from each other",
	parse: parseCut,
}

func parseCut(w *words) (action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	if !w.is("from") {
		return nil, unknown(w.peek(), "from")
	}
	if !w.is("store") {
		other, err := w.otherSide()
		return func(r *run) error {
			a, b, err := r.sides(x, other)
			if err != nil {
				return err
			}
			return r.stage.CutMembers(a, b)
		}, err
	}
	way := BothWays
	switch {
	case w.is("requests"):
		way = Requests
	case w.is("answers"):
		way = Answers
	}
	refused := w.is("refused")
	return x.each(func(r *run, m string) error { return r.stage.CutStore(m, way, refused) }), nil
}

// otherSide takes members, or "others", which is nil.
func (w *words) otherSide() (who, error) {
	if w.is("others") {
		return nil, nil
	}
	return w.members()
}

// sides are the members on the two sides of a cut.
func (r *run) sides(x, other who) (a, b []string, err error) {
	if a, err = x.find(r); err != nil {
		return nil, nil, err
	}
	if other == nil {
		b = slices.DeleteFunc(slices.Clone(r.members), func(m string) bool { return slices.Contains(a, m) })
	} else if b, err = other.find(r); err != nil {
		return nil, nil, err
	}
	if len(b) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) }) {
		return nil, nil, errors.New("want members on both sides, and none on two")
	}
	return a, b, nil
}
