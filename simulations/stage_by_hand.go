package simulations

import (
	"fmt"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/scenario"
)

var _ scenario.ByHand = (*Stage)(nil)

// StartPostgres starts a server that does not run.
func (s *Stage) StartPostgres(member string, replica bool) error {
	p, err := s.server(member, false)
	if err != nil {
		return err
	}
	s.w.struck(coverage.PostgresByHand, s.w.Member(member))
	if why := p.Launch(replica); why != "" {
		return fmt.Errorf("start PostgreSQL of %s: %s", member, why)
	}
	return nil
}

// StopPostgres stops one that does.
func (s *Stage) StopPostgres(member string) error {
	p, err := s.server(member, true)
	if err == nil {
		s.w.struck(coverage.PostgresByHand, s.w.Member(member))
		p.Stop(events.StopFast)
	}
	return err
}

// CrashBackend kills a backend.
func (s *Stage) CrashBackend(member string) error {
	p, err := s.server(member, true)
	if err == nil {
		s.w.struck(coverage.BackendKilled, s.w.Member(member))
		p.CrashBackend()
	}
	return err
}

// SpoilData puts something else in the place of the data.
func (s *Stage) SpoilData(member string) error {
	p, err := s.server(member, false)
	if err == nil {
		s.w.struck(coverage.DataSpoiled, s.w.Member(member))
		p.Spoil()
	}
	return err
}

// DeafenGuard lets a guard take no new deadline.
func (s *Stage) DeafenGuard(member string, deaf bool) error {
	m := s.w.Member(member)
	if deaf {
		s.w.struck(coverage.GuardDeaf, m)
	}
	m.guard.deaf = deaf
	return nil
}

// certain is the chance of what always happens.
const certain = 1000

// FailEffects lets all effects on PostgreSQL fail.
func (s *Stage) FailEffects(fail bool) error {
	s.w.Faults.FailedEffect = 0
	if fail {
		s.w.struck(coverage.SmallFaults, s.w.members...)
		s.w.Faults.FailedEffect = certain
	}
	return nil
}

// SlowEffects lets all of them take longer.
func (s *Stage) SlowEffects(slow bool) error {
	s.w.Faults.SlowEffect = 0
	if slow {
		s.w.struck(coverage.SmallFaults, s.w.members...)
		s.w.Faults.SlowEffect = certain
	}
	return nil
}
