package scenario

import (
	"errors"
	"fmt"
	"slices"
)

var cutCommand = Command{
	Name: "cut",
	Forms: []string{"cut <members> from the store [requests|answers] [refused]", "cut <members> from server <number> of the store [refused]",
		"cut <members> from <members>|the others [requests|answers] [refused]"},
	Does: "separates members from the store, from one of its servers, or from each other: both ways or only what they send or what they are " +
		"sent; messages vanish, or are refused",
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
	switch {
	case w.is("store"):
		way, refused := w.way()
		return x.each(func(r *run, m string) error { return r.stage.CutStore(m, way, refused) }), nil
	case w.is("server"):
		n, err := number(w.take(), 1, 7)
		if err != nil {
			return nil, fmt.Errorf("which server: %w", err)
		}
		if !w.is("store") {
			return nil, unknown(w.peek(), "store")
		}
		refused := w.is("refused")
		return x.onMachines(func(m Machines, member string) error { return m.CutServer(member, n, refused) }), nil
	}
	other, err := w.otherSide()
	way, refused := w.way()
	return func(r *run) error { return r.cutMembers(x, other, way, refused) }, err
}

// way takes the direction of a cut, and whether what is cut is refused.
func (w *words) way() (way Way, refused bool) {
	switch {
	case w.is("requests"):
		way = Requests
	case w.is("answers"):
		way = Answers
	}
	return way, w.is("refused")
}

func (r *run) cutMembers(x, other who, way Way, refused bool) error {
	a, b, err := r.sides(x, other)
	if err != nil {
		return err
	}
	if way == BothWays && !refused {
		return r.stage.CutMembers(a, b)
	}
	m, err := r.machines()
	if err != nil {
		return err
	}
	if way != Answers {
		err = m.CutWay(a, b, refused)
	}
	if way != Requests {
		err = errors.Join(err, m.CutWay(b, a, refused))
	}
	return err
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
