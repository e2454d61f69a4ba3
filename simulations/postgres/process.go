package postgres

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// epoch is the wall time at the instant zero, in what a server says of its start.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// launch starts the processes. It returns why they would end at once, or nothing.
func (s *Server) launch(replica bool) string {
	if why := s.refusesToStart(replica); why != "" {
		return why
	}
	s.life++
	s.c.pids++
	now := s.now()
	s.pid = s.c.pids
	s.startedAt = epoch.Add(time.Duration(now)).Format("2006-01-02 15:04:05.000000+00:00")
	s.phase, s.recovery, s.hung, s.promoting, s.promoteAsked, s.promoteSeen = starting, replica, false, false, false, false
	s.silentFrom, s.inForce, s.tryAt, s.lastTry, s.refusal, s.flushing = now, s.parameters, 0, 0, "", false
	s.standbySignal = replica
	clean := s.control.state == shutDown && !s.backupLabel
	// A replica that was one before keeps its minimum recovery point; others reach theirs at the end of the local WAL.
	again := (s.control.state == shutDownInRecovery || s.control.state == inArchiveRecovery) && !s.backupLabel
	if replica {
		s.control.state = inArchiveRecovery
		if s.control.minRecovery < s.control.checkpoint {
			s.control.minRecovery, s.control.minTimeline = s.control.checkpoint, s.control.timeline
		}
	} else if !clean {
		s.control.state = inCrashRecovery
	}
	took := s.c.Timing.Start + s.slow
	if !clean {
		took += bytesTime(s.flushed-min(s.control.checkpoint, s.flushed), s.c.Timing.ReplayRate)
	}
	s.afterLife(took, func() { s.recovered(clean, again || clean) })
	return ""
}

// refusesToStart is what PostgreSQL checks before anything else.
func (s *Server) refusesToStart(replica bool) string {
	switch {
	case s.disk.refuses() != "":
		return "could not write: " + s.disk.refuses()
	case s.disk == DiskStalled:
		return "" // it starts, and gets nowhere
	case !replica:
		return ""
	}
	files := s.histories
	if s.c.Archive {
		files = keepHistories(files, s.c.archived)
	}
	mine := s.wal.b.timelineAt(s.wal.at)
	newest := mine
	for { // findNewestTimeLine
		if _, has := historyOf(files, newest+1); !has {
			break
		}
		newest++
	}
	rows, _ := historyOf(files, newest)
	switch {
	case newest == mine:
		return ""
	case !within(rows, newest, s.control.timeline, s.control.checkpoint):
		return "requested timeline is not a child of this server's history"
	case s.control.minRecovery != 0 && !within(rows, newest, s.control.minTimeline, s.control.minRecovery):
		return "requested timeline does not contain minimum recovery point"
	}
	return ""
}

// recovered is the end of what a start must do before it lets anybody in.
func (s *Server) recovered(clean, again bool) {
	if s.phase != starting {
		return
	}
	if s.hung || s.disk == DiskStalled {
		s.afterLife(100*time.Millisecond, func() { s.recovered(clean, again) })
		return
	}
	if s.disk.noWAL() {
		s.panics()
		return
	}
	s.phase, s.backupLabel = up, false
	s.silentFrom = s.now()
	s.replayed, s.replayFrom, s.replaySince = s.flushed, s.flushed, s.now()
	s.nextPoint = s.now().Add(s.c.Timing.CheckpointEach)
	if s.recovery {
		s.note()
		s.restartpoint()
		if s.control.minRecovery < s.flushed && !again {
			s.control.minRecovery, s.control.minTimeline = s.flushed, s.wal.b.timelineAt(s.flushed)
		}
	} else {
		s.control.state = inProduction
		if !clean {
			s.checkpoint(inProduction) // the end-of-recovery checkpoint
		}
	}
	if s.promoteAsked && s.recovery {
		s.promotes()
	}
	s.c.Changed()
}

// ended is the end of the last process.
func (s *Server) ended() {
	s.phase, s.promoting, s.promoteAsked, s.hung, s.wedged, s.doomed, s.dying = down, false, false, false, false, false, false
	s.life++
	s.flushing, s.checkAt = false, 0
}

func (s *Server) tell(gone bool) {
	if s.c.Exited != nil {
		s.c.Exited(s.name, events.PostgresExited{PID: s.pid, Gone: gone})
	}
}

// ends lets everything go at once, after which nothing is left.
func (s *Server) ends() {
	s.loseConnections()
	s.ended()
	s.tell(false)
	s.tell(true)
	s.c.Changed()
}

// loseConnections: clients hear nothing, and what had been received is on disk as far as the kernel has it.
func (s *Server) loseConnections() {
	s.unlink()
	s.settleStopped()
	s.hangUp()
}

// settleStopped: what was written, flushed or not, outlives the processes.
func (s *Server) settleStopped() {
	if s.flushed < s.wal.at {
		s.flushed = s.wal.at
		s.note()
	}
}

// Kill ends the postmaster as SIGKILL does. Its children follow, a little later: until then they may acknowledge commits.
func (s *Server) Kill() {
	if s.phase == down || s.phase == orphaned || s.dies() {
		return
	}
	if s.wedged {
		s.doomed = true
		return
	}
	was := s.phase
	s.unlink()
	s.phase = orphaned
	s.life++
	s.checkAt, s.flushing, s.promoting, s.promoteAsked = 0, false, false, false
	if was == up {
		s.flush()
		s.release()
	} else {
		s.hangUp()
	}
	s.afterLife(kernel.Between(s.c, "orphans live", time.Millisecond, s.c.Timing.Orphans), s.orphansEnd)
	s.c.Changed()
	s.tell(false)
}

func (s *Server) orphansEnd() {
	if s.phase != orphaned {
		return
	}
	s.loseConnections()
	s.ended()
	s.tell(true)
	s.c.Changed()
}

// KillAll ends every process at once, but those that hang in the kernel.
func (s *Server) KillAll() {
	switch {
	case s.phase == down:
	case s.wedged:
		s.doomed = true
	case s.dies():
	case s.phase == orphaned:
		s.orphansEnd()
	default:
		s.ends()
	}
}

// panics is what a server does that cannot write its WAL: it ends.
func (s *Server) panics() { s.KillAll() }

// CrashBackend lets one backend die: the postmaster ends all the others, recovers and goes on, with the same PID.
func (s *Server) CrashBackend() {
	if s.phase != up || s.hung {
		return
	}
	s.loseConnections()
	s.life++
	s.flushing, s.checkAt, s.phase, s.promoting, s.promoteAsked = false, 0, starting, false, false
	s.silentFrom = s.now()
	if !s.recovery {
		s.control.state = inCrashRecovery
	}
	s.c.Changed()
	took := s.c.Timing.Start + bytesTime(s.flushed-min(s.control.checkpoint, s.flushed), s.c.Timing.ReplayRate)
	s.afterLife(took, func() { s.recovered(false, true) })
}

// CrashHost ends everything on the host: what was not flushed is lost, nothing is told, peers hear only silence. What the driver
// did there ends as by AgentDied.
func (s *Server) CrashHost() {
	if s.hostDown {
		return
	}
	s.AgentDied()
	if u := s.up; u != nil {
		s.settleBefore()
		u.from.keepFor(s)
		s.up = nil
		s.c.After(s.c.Timing.SenderTimeout, u.from.drained) // nobody over there learns of it before
	}
	for _, d := range s.c.servers {
		if d.up != nil && d.up.from == s {
			d.fallSilent()
		}
	}
	s.hostDown, s.asleep = true, false
	s.wal.at = min(s.wal.at, s.flushed)
	s.hangUp()
	s.ended()
	s.c.Changed()
}

// BootHost lets the host come back, with nothing running. Its peers learn that their connections are gone.
func (s *Server) BootHost() {
	s.hostDown = false
	if s.disk == DiskStalled || s.disk == DiskReadOnly {
		s.disk = DiskWell // a boot checks and mounts it anew
	}
	for _, d := range s.c.servers {
		if d.up != nil && d.up.from == s {
			d.unlink()
		}
	}
	s.c.Changed()
}

// Hang stops all processes as SIGSTOP does: they answer nothing and hold what they hold. Resume lets them go on.
func (s *Server) Hang() {
	if s.asleep {
		s.hungBefore = true
	}
	if s.phase == down || s.hung {
		return
	}
	s.settle()
	s.hung, s.silentFrom = true, s.now()
	s.c.Changed()
}

// Wedge lets all processes hang in the kernel, as on a disk that is gone: they do nothing, and one that is killed stays until Resume.
func (s *Server) Wedge() {
	s.Hang()
	s.wedged = s.hung
}

// BlindProbe lets the driver's probe get no answer, though the server works.
func (s *Server) BlindProbe(blind bool) {
	if s.blind != blind {
		s.blind, s.silentFrom = blind, s.now()
	}
}

// Resume ends Hang and Wedge.
func (s *Server) Resume() {
	if s.asleep {
		s.hungBefore = false
		return
	}
	if !s.hung {
		return
	}
	s.wedged = false
	if s.doomed {
		s.ends()
		return
	}
	s.hung, s.silentFrom = false, s.now()
	s.replayFrom, s.replaySince = s.replayed, s.now()
	s.resumed()
}

// Suspend stops all processes of the host, the driver's too; Wake lets them go on. Nobody writes there meanwhile.
func (s *Server) Suspend() {
	s.hungBefore = s.hung
	s.Hang()
	s.asleep = true
	s.c.Changed()
}

// Wake ends Suspend.
func (s *Server) Wake() {
	if s.asleep = false; !s.hungBefore {
		s.Resume()
	}
	s.c.Changed()
}

// resumed goes on with what waited for the end of a hang or a stall.
func (s *Server) resumed() {
	s.c.Changed()
	if s.phase == up || s.phase == orphaned {
		s.flush()
		s.release()
		if s.promoteAsked && s.recovery && !s.promoting {
			s.promotes()
		}
	}
	s.drained()
}

// FillConnections makes new connections fail, also the probe's; what streams goes on. A false ends that.
func (s *Server) FillConnections(full bool) {
	if s.full != full {
		s.full, s.silentFrom = full, s.now()
	}
}

// RequestPromotion is what a person does with pg_ctl promote.
func (s *Server) RequestPromotion() { s.askPromote() }
