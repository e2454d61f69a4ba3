package scenario

import "errors"

var failoverCommand = Command{
	Name: "failover", Forms: []string{"failover to <name>"},
	Does:  "orders that a member takes over although nobody steps down; the name may be one that does not exist",
	parse: parseFailover,
}

func parseFailover(w *words) (action, error) {
	if !w.is("to") || w.atEnd() {
		return nil, errors.New("to whom?")
	}
	to := w.take()
	return func(r *run) error {
		answer, err := r.stage.Failover(to)
		r.answered("failover", answer)
		return err
	}, nil
}
