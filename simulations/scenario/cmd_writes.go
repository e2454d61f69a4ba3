package scenario

import "fmt"

var writesCommand = Command{
	Name: "writes", Forms: []string{"writes"}, Does: "tells how many writes were acknowledged, and whether any of them is missing on the leader",
	parse: func(*words) (action, error) { return tellWrites, nil },
}

// tellWrites tells no numbers, because they depend on time.
func tellWrites(r *run) error {
	acknowledged, missing, err := r.stage.Writes()
	if err != nil {
		return err
	}
	count := func(n int) string {
		if n == 0 {
			return "0"
		}
		return "<n>"
	}
	r.report.tell("writes", fmt.Sprintf("%s acknowledged, %s missing", count(acknowledged), count(missing)))
	return nil
}
