package scenario

import "time"

var slowCommand = Command{
	Name: "slow", Forms: []string{"slow <members> from the store|<members>|the others by <time>"},
	Does:  "every message takes longer by that time, each way, until join",
	parse: parseSlow,
}

func parseSlow(w *words) (action, error) {
	spoil, err := w.spoiledWay()
	if err != nil {
		return nil, err
	}
	if !w.is("by") {
		return nil, unknown(w.peek(), "by")
	}
	d, err := w.duration()
	return spoil(d, 0), err
}

// spoiledWay takes a way that is to be made worse: members, and from what.
func (w *words) spoiledWay() (func(late time.Duration, percent int) action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	if !w.is("from") {
		return nil, unknown(w.peek(), "from")
	}
	if w.is("store") {
		return func(late time.Duration, percent int) action {
			return x.onMachines(func(m Machines, member string) error { return m.SpoilStore(member, late, percent) })
		}, nil
	}
	other, err := w.otherSide()
	return func(late time.Duration, percent int) action {
		return func(r *run) error {
			m, err := r.machines()
			if err != nil {
				return err
			}
			a, b, err := r.sides(x, other)
			if err != nil {
				return err
			}
			return m.SpoilWays(a, b, late, percent)
		}
	}, err
}
