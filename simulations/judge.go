package simulations

import (
	"fmt"

	"github.com/regent-ha/regent/events"
)

// judge watches a run for what must never happen. Judges look at the truth of the models, not at what an engine believes; they
// change nothing and draw nothing. Each is one invariant of docs/SIMULATIONS.md and has a file of its own.
type judge interface {
	// id is the invariant's: S1, L5.
	id() string
	// step sees a decision before its effects are performed.
	step(m *Member, in *events.Input, d *events.Decision)
	// event sees the world after everything that happens.
	event()
}

// watching is for judges that do not look at every step, or not at every event.
type watching struct{ w *World }

func (watching) step(*Member, *events.Input, *events.Decision) {}
func (watching) event()                                        {}

// breaks reports a broken invariant.
func (j watching) breaks(id, format string, args ...any) {
	j.w.breaks(id + ": " + fmt.Sprintf(format, args...))
}

func newJudges(w *World) []judge {
	j := watching{w}
	return []judge{
		&singleWriter{watching: j}, &ackedWrites{watching: j}, &eligiblePromotion{j}, &lockBeforePromote{j}, &noDestruction{j}, &oneEffect{watching: j},
		&identity{watching: j}, &configSafety{j}, &slots{j}, &handsOff{watching: j}, &responsive{watching: j}, &explainable{j},
	}
}
