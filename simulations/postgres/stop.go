package postgres

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// signal is SIGINT or SIGQUIT to the postmaster. One that hangs acts upon it when it goes on.
func (s *Server) signal(mode events.StopMode) {
	switch {
	case s.phase == down || s.phase == orphaned:
	case mode == events.StopKill:
		s.KillAll()
	case s.hung:
		s.afterLife(50*time.Millisecond, func() { s.signal(mode) })
	case mode == events.StopImmediate:
		s.afterLife(2*time.Millisecond, func() {
			if !s.dies() {
				s.ends()
			}
		})
	case s.phase == starting:
		s.afterLife(5*time.Millisecond, func() {
			if s.recovery && s.control.state == inArchiveRecovery {
				s.control.state = shutDownInRecovery
			}
			if !s.dies() {
				s.ends()
			}
		})
	case s.phase == up:
		s.shutDown()
	}
}

// Stop is what a person does with pg_ctl stop.
func (s *Server) Stop(mode events.StopMode) { s.signal(mode) }

// shutDown is a fast shutdown: clients go, the checkpoint is written, replicas get everything.
func (s *Server) shutDown() {
	s.settle()
	s.phase, s.silentFrom = shutting, s.now()
	s.hangUp()
	s.unlink()
	if s.recovery {
		s.replay()
	} else {
		s.control.state = shuttingDown
	}
	s.promoting, s.promoteAsked = false, false
	s.afterLife(s.c.Timing.Checkpoint+s.slow, s.shutDownCheckpoint)
}

func (s *Server) shutDownCheckpoint() {
	switch {
	case s.hung || s.disk == DiskStalled:
		s.afterLife(50*time.Millisecond, s.shutDownCheckpoint)
		return
	case s.disk.noWAL() || s.disk == DiskFull && !s.recovery:
		s.panics()
		return
	case s.recovery:
		s.replay()
		s.control.state = shutDownInRecovery
		if s.replayed > s.control.minRecovery {
			s.control.minRecovery, s.control.minTimeline = s.replayed, s.wal.b.on(s.replayed).timeline
		}
	default:
		s.checkpoint(shutDown)
	}
	s.phase = draining
	s.drained()
}

// drained ends a server that was shut down as soon as every replica that streams has flushed everything.
func (s *Server) drained() {
	if s.phase != draining || s.hung || s.disk == DiskStalled {
		return
	}
	wait := time.Duration(-1)
	for _, d := range s.c.servers {
		if d.up == nil || d.up.from != s || d.up.silent() {
			if d.up != nil && d.up.from == s && wait < 0 {
				wait = 0 // until the network is back or the sender gives up, which calls again
			}
			continue
		}
		if d.reported() < s.flushed {
			if e := d.eta(s.flushed); wait <= 0 || e < wait {
				wait = e
			}
		}
	}
	switch {
	case wait < 0:
		s.drainTimer++
		s.afterLife(time.Millisecond, s.ends)
	case wait > 0:
		s.drainTimer++
		mine := s.drainTimer
		s.afterLife(wait, func() {
			if s.drainTimer == mine {
				s.drained()
			}
		})
	}
}
