package scenario

import (
	"fmt"
	"time"
)

var untilCommand = Command{
	Name: "until", Forms: []string{"until <condition> [within <time>]"},
	Does:  "lets time pass until the condition holds, for two minutes at most; it fails if it does not. Conditions are those of expect",
	parse: parseUntil,
}

// untilPatience is how long a condition may take to come true if nothing else is said.
const untilPatience = 2 * time.Minute

func parseUntil(w *words) (action, error) {
	c, err := parseCondition(w)
	if err != nil {
		return nil, err
	}
	most := untilPatience
	if w.is("within") {
		if most, err = w.duration(); err != nil {
			return nil, err
		}
	}
	return func(r *run) error { return r.await(c, most) }, nil
}

// await lets time pass until the condition holds.
func (r *run) await(c condition, most time.Duration) error {
	ok, err := r.stage.Await(most, func() (bool, error) {
		if len(r.stage.Broken()) > 0 {
			return true, nil // the end of the command tells it
		}
		missing, err := c.missing(r)
		return missing == "", err
	})
	if err != nil || ok {
		return err
	}
	missing, err := r.missing(c)
	if err != nil || missing == "" {
		return err
	}
	return fmt.Errorf("not within %v: %s", most, missing)
}
