package scenario

var effectsCommand = Command{
	Name: "effects", Forms: []string{"effects fail|slow|well"},
	Does:  "everything that agents do to PostgreSQL fails, or takes ten times as long, or neither any more",
	parse: parseEffects,
}

func parseEffects(w *words) (action, error) {
	what := w.take()
	switch what {
	case "fail", "slow", "well":
	default:
		return nil, unknown(what, "fail", "slow", "well")
	}
	return byHand(func(h ByHand) error {
		if err := h.FailEffects(what == "fail"); err != nil {
			return err
		}
		return h.SlowEffects(what == "slow")
	}), nil
}
