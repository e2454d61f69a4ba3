package engine

import (
	"fmt"

	"github.com/regent-ha/regent/events"
)

// invariant is a statement that holds after every step. A broken one is a bug in the rules: it is
// recorded, this member is fenced, and it is said loudly.
type invariant struct {
	ID   string
	Text string
	ok   func(*state, *events.Decision) bool
}

// invariants is their one home. They are checked after every step in production, by every
// simulation, and printed into the docs.
var invariants = []invariant{
	{"I1", "PostgreSQL is promoted, or started as a primary, only under a held lease, and the effect carries its epoch", func(s *state, d *events.Decision) bool {
		for i := range d.Effects {
			start, isStart := d.Effects[i].Action.(events.StartPostgres)
			if d.Effects[i].Action.ActionKind() == events.ActPromote || isStart && start.AsPrimary {
				if !s.lease.held || d.Effects[i].Epoch != s.lease.epoch || s.lease.epoch == 0 {
					return false
				}
			}
		}
		return true
	}},
	{"I2", "at most one effect works on the data directory", func(s *state, _ *events.Decision) bool {
		n := 0
		for i := range s.flight {
			if s.flight[i].effect.Action.ActionKind().WorksOnData() {
				n++
			}
		}
		return n <= 1
	}},
	{"I3", "a member that leads, promotes or opens holds the lease", func(s *state, _ *events.Decision) bool {
		switch s.life {
		case Leading, Promoting, Opening:
			return s.lease.held
		}
		return true
	}},
	{"I4", "the guard is never told a deadline beyond the end of the lease", func(s *state, d *events.Decision) bool {
		for i := range d.Effects {
			if arm, ok := d.Effects[i].Action.(events.ArmGuard); ok && (!s.lease.held || arm.Deadline > s.lease.until) {
				return false
			}
		}
		return true
	}},
	{"I5", "data is discarded only for an operator's order, or where a setting allows it and the divergence is proven", func(s *state, d *events.Decision) bool {
		for i := range d.Effects {
			if c, ok := d.Effects[i].Action.(events.Clone); ok && c.Discard {
				ordered := d.HasFired("SP-03", "DE-25", "SX-10")
				if c.From.ConnURL == "" || !ordered && !(s.diverged.found && mayDiscardBad.ok(s)) {
					return false
				}
			}
		}
		return true
	}},
	{"I6", "the data directory is rewound only after its divergence from the leader was proven", func(s *state, d *events.Decision) bool {
		for i := range d.Effects {
			if d.Effects[i].Action.ActionKind() == events.ActRewind && !(s.diverged.known && s.diverged.found) {
				return false
			}
		}
		return true
	}},
	{"I7", "in a pause PostgreSQL is neither started, stopped, promoted nor rewound on our initiative", func(s *state, d *events.Decision) bool {
		if s.life != Paused || d.From != Paused {
			return true
		}
		for i := range d.Effects {
			if k := d.Effects[i].Action.ActionKind(); k.WorksOnData() && k != events.ActFollow {
				return false
			}
		}
		return true
	}},
	{"I8", "every step leaves a time to wake", func(s *state, _ *events.Decision) bool { return s.settings.LoopWait > 0 }},
}

// checkInvariants runs them all; the first that does not hold fences this member.
func (e *Engine) checkInvariants() {
	for i := range invariants {
		if !invariants[i].ok(&e.s, &e.out) {
			e.fence(fmt.Sprintf("%s: %s", invariants[i].ID, invariants[i].Text))
			e.out.Effects = withoutLifecycle(e.out.Effects)
			return
		}
	}
}

// withoutLifecycle withholds what a broken step wanted to do to PostgreSQL.
func withoutLifecycle(effects []events.Effect) []events.Effect {
	var out []events.Effect
	for _, f := range effects {
		if k := f.Action.ActionKind(); !k.WorksOnData() || k == events.ActStopPostgres {
			out = append(out, f)
		}
	}
	return out
}
