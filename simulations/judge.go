package simulations

import (
	"fmt"

	"github.com/regent-ha/regent/events"
)

// judge watches a run for what must never happen. Judges look at the truth of the models, not at what an engine believes; they
// change nothing and draw nothing. Each is one invariant of docs/SIMULATIONS.md and has a file of its own.
type judge interface {
	// step sees a decision before its effects are performed.
	step(m *Member, in *events.Input, d *events.Decision)
	// event sees the world after everything that happens.
	event()
}

// watching is what judges have in common: the world, and the invariant's name, as S1 or L5. Its methods are for those that do not look at
// every step, or not at every event.
type watching struct {
	w  *World
	id string
}

func (watching) step(*Member, *events.Input, *events.Decision) {}
func (watching) event()                                        {}

// breaks reports that the invariant does not hold.
func (j watching) breaks(format string, args ...any) {
	j.w.breaks(j.id + ": " + fmt.Sprintf(format, args...))
}

func newJudges(w *World) []judge {
	of := func(id string) watching { return watching{w, id} }
	return []judge{
		&singleWriter{watching: of("S1")}, &ackedWrites{watching: of("S2")}, &eligiblePromotion{watching: of("S3")},
		&lockBeforePromote{watching: of("S4")}, &noDestruction{watching: of("S5")}, &oneEffect{watching: of("S6")},
		&identity{watching: of("S7")}, &configSafety{watching: of("S8")}, &slots{watching: of("S9")},
		&handsOff{watching: of("S11")}, &noFlapping{watching: of("L3")}, &noDeadEnd{watching: of("L4")},
		&responsive{watching: of("L5")}, &explainable{watching: of("L7")},
	}
}
