package live

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

// follower reads a member's event log while it is written.
type follower struct {
	m     *Member
	seen  int // records
	state events.LifecycleState
}

// handover is when a member that was shut down in order gave the lead away to one that had received all of it.
type handover struct {
	member string
	wall   int64
}

// ruleHandedOver is the rule by which it does so.
const ruleHandedOver = "YI-20"

// catchUp tells every decision that was recorded since the last time.
func (s *Stage) catchUp() error {
	for _, f := range s.logs {
		at := 0
		for r, err := range eventlog.Read(f.m.EventLogDir).All() {
			if errors.Is(err, fs.ErrNotExist) {
				break // its agent was never started
			}
			if err != nil {
				return fmt.Errorf("read the event log of %s: %w", f.m.Name, err)
			}
			if at++; at <= f.seen {
				continue
			}
			f.seen = at
			if r.Kind != eventlog.KindDecision {
				continue
			}
			d, err := r.Decision()
			if err != nil {
				return fmt.Errorf("read the event log of %s: %w", f.m.Name, err)
			}
			f.state = d.To
			s.decided(f.m.Name, r.Wall, &d)
		}
	}
	return nil
}

func (s *Stage) decided(member string, wall int64, d *events.Decision) {
	for _, b := range d.Broken {
		s.broken = append(s.broken, fmt.Sprintf("%s, in %s: %s", member, d.From, b))
	}
	if d.HasFired(ruleHandedOver) {
		s.handovers = append(s.handovers, handover{member, wall})
	}
	s.see(member, d)
}

// keepsWrites tells that all that was acknowledged has to be there: since the clients began, the same member accepted writes, or each other one after
// a handover.
func (s *Stage) keepsWrites() bool {
	var before *Tenure
	for _, t := range s.looks.Tenures() {
		if t.Last.Acked.Before(s.since) {
			continue
		}
		if before != nil && before.Member != t.Member && !s.handedOver(before, &t) {
			return false
		}
		before = &t
	}
	return true
}

func (s *Stage) handedOver(from, to *Tenure) bool {
	return slices.ContainsFunc(s.handovers, func(h handover) bool {
		return h.member == from.Member && h.wall > from.First.Acked.UnixNano() && h.wall < to.First.Acked.UnixNano()
	})
}

// Broken is what must never be and was, as the members' own checks and the probes saw it.
func (s *Stage) Broken() []string {
	broken := slices.Clone(s.broken)
	if s.looks == nil {
		return broken
	}
	if o := s.looks.Overlap(); !o.None() {
		broken = append(broken, fmt.Sprintf("S1: two members accepted writes at once: %v", o))
	}
	for _, w := range s.writers {
		if o := w.Overlap(); !o.None() {
			broken = append(broken, fmt.Sprintf("S1: two members acknowledged writes at once: %v", o))
		}
	}
	return broken
}
