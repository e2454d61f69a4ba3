package simulations

import (
	"errors"
	"time"
)

// Write sets how often clients write.
func (s *Stage) Write(perSecond int) error {
	s.w.Quiet = perSecond == 0
	if perSecond > 0 {
		s.w.clients.each = time.Second / time.Duration(perSecond)
		s.w.clients.timer.Set(s.w.Now())
	}
	return nil
}

// Writes counts what was acknowledged, and what of it the present leader does not have.
func (s *Stage) Writes() (acknowledged, missing int, err error) {
	leader := s.w.Leader()
	if leader == nil {
		return 0, 0, errors.New("there is no leader to look for writes on")
	}
	l := s.w.Ledger()
	known, lost := l.Acknowledged(), l.Lost(leader.pg)
	return int(known.Len()), int(lost.Len()), nil
}
