package scenario

import (
	"strconv"
	"strings"
	"time"
)

var clockCommand = Command{
	Name: "clock", Forms: []string{"clock of <members> fast|slow by <n>%", "clock of <members> true", "clock of <members> ahead|back by <time>"},
	Does:  "the boot clock of the host runs too fast or too slow, or right again; or the wall clock, by which nothing but schedules may go, is set",
	parse: parseClock,
}

func parseClock(w *words) (action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	what := w.take()
	switch what {
	case "true":
		return x.onMachines(func(m Machines, member string) error { return m.DriftClock(member, 0) }), nil
	case "fast", "slow", "ahead", "back":
	default:
		return nil, unknown(what, "fast", "slow", "true", "ahead", "back")
	}
	if !w.is("by") {
		return nil, unknown(w.peek(), "by")
	}
	if what == "ahead" || what == "back" {
		var d time.Duration
		if d, err = w.duration(); what == "back" {
			d = -d
		}
		return x.onMachines(func(m Machines, member string) error { return m.StepWallClock(member, d) }), err
	}
	text, _ := strings.CutSuffix(w.take(), "%")
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil || percent <= 0 || percent > 50 {
		return nil, unknown(text, "a number above 0, up to 50")
	}
	if what == "slow" {
		percent = -percent
	}
	return x.onMachines(func(m Machines, member string) error { return m.DriftClock(member, percent) }), nil
}
