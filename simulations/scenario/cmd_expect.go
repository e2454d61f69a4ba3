package scenario

import "errors"

var expectCommand = Command{
	Name: "expect", Forms: []string{"expect " + joinForms(conditionForms)},
	Does:  "fails unless the condition holds now",
	parse: parseExpect,
}

func parseExpect(w *words) (action, error) {
	c, err := parseCondition(w)
	if err != nil {
		return nil, err
	}
	return func(r *run) error {
		missing, err := r.missing(c)
		if err != nil || missing == "" {
			return err
		}
		return errors.New(missing)
	}, nil
}
