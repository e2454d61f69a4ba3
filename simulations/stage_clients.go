package simulations

import (
	"errors"
	"time"

	"github.com/regent-ha/regent/events"
)

// ledger is what clients of a scenario remember of their writes: where in the WAL each of them was when it was acknowledged.
type ledger struct {
	w      *World
	every  time.Duration
	run    int // of writers: those of an older order end
	writes []written
}

type written struct {
	timeline events.Timeline
	lsn      events.LSN
}

// Write sets how often clients write.
func (s *Stage) Write(perSecond int) error {
	l := &s.ledger
	l.run++
	s.w.Quiet = perSecond == 0
	if perSecond > 0 {
		l.every = time.Second / time.Duration(perSecond)
		l.write(l.run)
	}
	return nil
}

// write notes a write on every server that takes it, and comes again.
func (l *ledger) write(run int) {
	if l.run != run {
		return
	}
	for _, m := range l.w.members {
		if m.pg.writable() {
			l.writes = append(l.writes, written{m.pg.timeline, m.pg.lsn})
		}
	}
	l.w.after(l.every, func() { l.write(run) })
}

// Writes counts what was acknowledged, and what of it the present leader does not have.
func (s *Stage) Writes() (acknowledged, missing int, err error) {
	leader := s.w.Leader()
	if leader == nil {
		return 0, 0, errors.New("there is no leader to look for writes on")
	}
	for _, x := range s.ledger.writes {
		if !leader.pg.has(x) {
			missing++
		}
	}
	return len(s.ledger.writes), missing, nil
}

// has tells whether a position is in the history of what a server holds.
func (p *postgres) has(x written) bool {
	if x.timeline == p.timeline {
		return x.lsn <= p.lsn
	}
	for _, h := range p.history {
		if h.Parent == x.timeline {
			return x.lsn <= h.Switch
		}
	}
	return false
}
