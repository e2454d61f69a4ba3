package scenario

import (
	"fmt"
	"strings"
)

// condition is how things are to be. It is asked often.
type condition struct {
	missing func(r *run) (string, error) // tells what is otherwise, empty when the condition holds
}

// conditionForms are how conditions are written, behind until and expect.
var conditionForms = []string{"leader <member>|another|none", "primary <member>|none", "healthy", "state <members> <state>",
	`key <name> <value>|absent`, "no lost writes"}

func parseCondition(w *words) (condition, error) {
	switch word := w.take(); word {
	case "leader":
		return leaderIs(w.take())
	case "primary":
		return primaryIs(w.take())
	case "healthy":
		return condition{isHealthy}, nil
	case "state":
		return stateIs(w)
	case "key":
		return keyIs(w)
	case "no":
		if w.is("lost") && w.is("writes") {
			return condition{nothingLost}, nil
		}
		return condition{}, unknown("no "+w.peek(), conditionForms...)
	default:
		return condition{}, unknown(word, conditionForms...)
	}
}

func leaderIs(want string) (condition, error) {
	if want != "another" && want != "none" && !memberName.MatchString(want) {
		return condition{}, unknown(want, "a member", "another", "none")
	}
	return condition{func(r *run) (string, error) {
		is, err := r.stage.Leader()
		switch {
		case err != nil:
			return "", err
		case want == "none" && is == "", want == "another" && is != "" && is != r.led, want == is:
			return "", nil
		case is == "":
			return "nobody leads", nil
		}
		return is + " leads", nil
	}}, nil
}

func primaryIs(want string) (condition, error) {
	if want != "none" && !memberName.MatchString(want) {
		return condition{}, unknown(want, "a member", "none")
	}
	return condition{func(r *run) (string, error) {
		are, err := r.stage.Primaries()
		switch {
		case err != nil:
			return "", err
		case len(are) == 0 && want == "none", len(are) == 1 && are[0] == want:
			return "", nil
		case len(are) == 0:
			return "no PostgreSQL accepts writes", nil
		}
		return "PostgreSQL accepts writes on " + strings.Join(are, ", "), nil
	}}, nil
}

func isHealthy(r *run) (string, error) {
	ok, err := r.stage.Healthy()
	if ok || err != nil {
		return "", err
	}
	return "not all stream from one leader", nil
}

// stateIs takes members and a state: state n1 stranded, state all paused.
func stateIs(w *words) (condition, error) {
	x, err := w.members()
	if err != nil {
		return condition{}, err
	}
	want := w.take()
	if want == "" {
		return condition{}, fmt.Errorf("which state?")
	}
	return condition{func(r *run) (string, error) {
		names, err := x.find(r)
		if err != nil {
			return err.Error(), nil //nolint:nilerr // there may be a leader later
		}
		for _, m := range names {
			state, err := r.stage.State(m)
			if err != nil {
				return "", err
			}
			if state != want {
				return m + " is " + state, nil
			}
		}
		return "", nil
	}}, nil
}

func keyIs(w *words) (condition, error) {
	name, want := w.take(), w.take()
	if name == "" || want == "" {
		return condition{}, fmt.Errorf("which key, and what does it say?")
	}
	return condition{func(r *run) (string, error) {
		value, there, err := r.stage.Key(name)
		switch {
		case err != nil:
			return "", err
		case !there && want == "absent", there && value == want:
			return "", nil
		case !there:
			return "the key " + name + " is absent", nil
		}
		return fmt.Sprintf("the key %s says %q", name, value), nil
	}}, nil
}

func nothingLost(r *run) (string, error) {
	acknowledged, missing, err := r.stage.Writes()
	switch {
	case err != nil:
		return "", err
	case acknowledged == 0:
		return "nothing was written yet", nil
	case missing > 0:
		return fmt.Sprintf("of %d acknowledged writes, %d are missing", acknowledged, missing), nil
	}
	return "", nil
}

// describe adds all members' states to what is missing.
func (r *run) describe(what string) (string, error) {
	if what == "" {
		return "", nil
	}
	states, err := r.states()
	if err != nil {
		return "", err
	}
	return what + "; " + strings.Join(states, ", "), nil
}

// missing tells what is otherwise, with all members' states.
func (r *run) missing(c condition) (string, error) {
	what, err := c.missing(r)
	if err != nil {
		return "", err
	}
	return r.describe(what)
}

func joinForms(forms []string) string { return strings.Join(forms, " | ") }
