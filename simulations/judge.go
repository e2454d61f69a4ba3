package simulations

import (
	"fmt"

	"github.com/regent-ha/regent/events"
)

// judge watches a run for what must never happen. Judges look at the truth of the models, not at what an engine believes; they
// change nothing and draw nothing. Each is one invariant of docs/SIMULATIONS.md and has a file of its own.
// Each watches steps or events, or both: those that do not are not asked.
type judge interface {
	breaks(format string, args ...any)
}

type stepJudge interface {
	// step sees a decision before its effects are performed.
	step(m *Member, in *events.Input, d *events.Decision)
}

type eventJudge interface {
	// event sees the world after everything that happens.
	event()
}

// watching is what judges have in common: the world, and the invariant's name, as S1 or L5.
type watching struct {
	w  *World
	id string
}

// breaks reports that the invariant does not hold.
func (j watching) breaks(format string, args ...any) {
	j.w.breaks(j.id + ": " + fmt.Sprintf(format, args...))
}

// bench is the judges of a world, by what they watch, and what they all want to know.
type bench struct {
	steps   []stepJudge
	events  []eventJudge
	writers []*Member // whose PostgreSQL accepts writes now, after every event
}

func (b *bench) appoint(judges []judge) {
	for _, j := range judges {
		s, steps := j.(stepJudge)
		e, event := j.(eventJudge)
		if steps {
			b.steps = append(b.steps, s)
		}
		if event {
			b.events = append(b.events, e)
		}
		if !steps && !event {
			panic(fmt.Sprintf("%T watches nothing", j))
		}
	}
}

// event lets them see the world.
func (b *bench) event(members []*Member) {
	b.writers = b.writers[:0]
	for _, m := range members {
		if m.pg.Accepts() {
			b.writers = append(b.writers, m)
		}
	}
	for _, j := range b.events {
		j.event()
	}
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
