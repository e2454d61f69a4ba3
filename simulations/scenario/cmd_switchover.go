package scenario

import "time"

var switchoverCommand = Command{
	Name: "switchover", Forms: []string{"switchover from <member> [to <name>] [in <time>]"},
	Does:  "orders a switchover, at once or later; the name may be one that does not exist",
	parse: parseSwitchover,
}

func parseSwitchover(w *words) (action, error) {
	if !w.is("from") {
		return nil, unknown(w.peek(), "from")
	}
	from, to := w.take(), ""
	if w.is("to") {
		to = w.take()
	}
	var in time.Duration
	if w.is("in") {
		var err error
		if in, err = w.duration(); err != nil {
			return nil, err
		}
	}
	return func(r *run) error {
		answer, err := r.stage.Switchover(from, to, in)
		r.answered("switchover", answer)
		return err
	}, nil
}
