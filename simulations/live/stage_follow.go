package live

import (
	"cmp"
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

// turn is a moment at which the lead was given away in order, or taken by a promotion.
type turn struct {
	wall    int64
	ordered bool
	taken   bool
}

// Rules that give the lead away when all of it was received, and that take it.
const (
	ruleHandedOver = "YI-20"
	rulePromoted   = "PR-10"
)

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
		s.turns = append(s.turns, turn{wall: wall, ordered: true})
	}
	if d.HasFired(rulePromoted) {
		s.turns = append(s.turns, turn{wall: wall, taken: true})
	}
	s.see(member, d)
}

// keepsWrites tells that all that was acknowledged has to be there: since the clients began, the lead stayed where it was, or each promotion
// followed upon a handover in which the former primary was shut down and its successor had received all of it.
func (s *Stage) keepsWrites() bool {
	turns := slices.DeleteFunc(slices.Clone(s.turns), func(t turn) bool { return t.wall < s.since.UnixNano() })
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.wall, b.wall) })
	handed := false
	for _, t := range turns {
		if t.taken && !handed {
			return false
		}
		handed = t.ordered
	}
	return true
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
