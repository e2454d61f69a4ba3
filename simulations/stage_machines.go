package simulations

import (
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/postgres"
	"github.com/regent-ha/regent/simulations/scenario"
)

var _ scenario.Machines = (*Stage)(nil)

// JoinStore mends a member's line to the store.
func (s *Stage) JoinStore(member string) error {
	s.w.Member(member).line.heal()
	return nil
}

// CutServer separates a member from one server of the store.
func (s *Stage) CutServer(member string, server int, refused bool) error {
	if all := s.w.store.Servers(); server > all {
		return fmt.Errorf("the store has %d servers", all)
	}
	l := s.w.Member(member).line
	l.without |= 1 << (server - 1)
	l.resets = refused
	return nil
}

// SpoilStore makes a member's line to the store slow, or bad.
func (s *Stage) SpoilStore(member string, late time.Duration, percent int) error {
	l := s.w.Member(member).line
	l.late, l.loss = late, 10*percent
	return nil
}

// CutMembers separates two sides both ways; messages are swallowed.
func (s *Stage) CutMembers(a, b []string) error {
	if err := s.CutWay(a, b, false); err != nil {
		return err
	}
	return s.CutWay(b, a, false)
}

// CutWay lets nothing of one side reach the other.
func (s *Stage) CutWay(from, to []string, refused bool) error {
	return s.ways(from, to, func(x, y *Member) { s.w.CutLink(x, y, refused) })
}

// JoinMembers ends all that is wrong between two sides.
func (s *Stage) JoinMembers(a, b []string) error { return s.ways(a, b, s.w.JoinLinks) }

// SpoilWays makes the ways between two sides slow, or bad.
func (s *Stage) SpoilWays(a, b []string, late time.Duration, percent int) error {
	return s.ways(a, b, func(x, y *Member) { s.w.SpoilLinks(x, y, late, 10*percent) })
}

// ways does something to the way from each of one side to each of the other.
func (s *Stage) ways(from, to []string, do func(x, y *Member)) error {
	for _, x := range from {
		for _, y := range to {
			do(s.w.Member(x), s.w.Member(y))
		}
	}
	return nil
}

// SetDisk changes what a member's data directory is on.
func (s *Stage) SetDisk(member string, disk scenario.Disk, slow time.Duration) error {
	p := s.w.Member(member).pg
	p.SlowFsync(slow)
	switch disk {
	case scenario.DiskStalled:
		p.SetDisk(postgres.DiskStalled)
	case scenario.DiskFull:
		p.SetDisk(postgres.DiskFull)
	case scenario.DiskWALFull:
		p.SetDisk(postgres.WALFull)
	case scenario.DiskReadOnly:
		p.SetDisk(postgres.DiskReadOnly)
	default:
		p.SetDisk(postgres.DiskWell)
	}
	return nil
}

// StallLog lets the volume of an agent's event log answer nothing, or answer again.
func (s *Stage) StallLog(member string, stalled bool) error {
	s.w.Member(member).StallLog(stalled)
	return nil
}

// DriftClock changes the rate of a host's boot clock.
func (s *Stage) DriftClock(member string, percent float64) error {
	s.w.Member(member).Drift(int(percent * million / 100))
	return nil
}

// StepWallClock sets a host's wall clock.
func (s *Stage) StepWallClock(member string, d time.Duration) error {
	s.w.Member(member).StepWall(d)
	return nil
}

// SuspendHost stops everything of a member.
func (s *Stage) SuspendHost(member string) error {
	m := s.w.Member(member)
	if m.asleep || m.down {
		return fmt.Errorf("the host of %s does not run", member)
	}
	m.Suspend()
	return nil
}

// WakeHost lets it go on.
func (s *Stage) WakeHost(member string) error {
	s.w.Member(member).Wake()
	return nil
}

// KillAgentAt lets an agent die at an effect.
func (s *Stage) KillAgentAt(member, effect string, amid bool) error {
	m, err := s.agent(member, true)
	if err != nil {
		return err
	}
	m.doom = func(d *events.Decision) (int, bool) {
		i := slices.IndexFunc(d.Effects, func(e events.Effect) bool { return string(e.Action.ActionKind()) == effect })
		if i < 0 {
			return 0, false
		}
		if !amid {
			return i, true
		}
		m.doom = nil
		run := m.run
		s.w.after(20*time.Millisecond, func() {
			if m.run == run {
				m.Kill()
			}
		})
		return 0, false
	}
	return nil
}

// NameAgent gives an agent another name.
func (s *Stage) NameAgent(member, name string) error {
	m, err := s.agent(member, false)
	if err == nil {
		m.called = name
	}
	return err
}
