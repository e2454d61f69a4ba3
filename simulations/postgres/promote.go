package postgres

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// askPromote is the promote file and its signal. The request stands until the server sees it, whatever becomes of who asked.
func (s *Server) askPromote() {
	if s.phase != up && s.phase != starting || !s.recovery {
		return
	}
	s.promoteAsked = true
	if !s.hung {
		s.promoteSeen = true
		if s.phase == up && !s.promoting && s.disk != DiskStalled {
			s.promotes()
		}
	}
}

// promotes ends recovery: the receiver goes, what was received is replayed, a new timeline begins.
func (s *Server) promotes() {
	s.settle()
	s.promoting, s.promoteSeen = true, true
	s.unlink()
	s.settleStopped()
	s.replay()
	took := kernel.Between(s.c, "promote takes", s.c.Timing.Promote, 3*s.c.Timing.Promote)
	took += 2*s.slow + bytesTime(s.flushed-s.replayed, s.c.Timing.ReplayRate)
	s.afterLife(took, s.promoted)
}

func (s *Server) promoted() {
	if !s.promoting || s.phase != up {
		return
	}
	if s.hung || s.disk == DiskStalled {
		s.afterLife(50*time.Millisecond, s.promoted)
		return
	}
	if s.disk.refuses() != "" {
		s.panics()
		return
	}
	parent := s.wal.b.on(s.wal.at)
	from := s.wal.b.timelineAt(s.wal.at)
	rows := s.wal.b.on(s.wal.at + 1).history
	files := s.histories
	if s.c.Archive {
		files = keepHistories(files, s.c.archived)
	}
	timeline := from + 1
	for {
		if _, taken := historyOf(files, timeline); !taken {
			break
		}
		timeline++
	}
	rows = append(rows[:len(rows):len(rows)], events.TimelineSwitch{Parent: from, Switch: s.wal.at, Reason: "no recovery target specified"})
	file := historyFile{timeline, rows}
	s.histories = keepHistories(s.histories, []historyFile{file})
	if s.c.Archive {
		s.c.archived = keepHistories(s.c.archived, []historyFile{file})
	}
	s.wal.b = &branch{timeline: timeline, parent: parent, fork: s.wal.at, end: s.wal.at, owner: s, history: rows}
	s.wal.at = s.wal.b.append(isOther, recoveryEnd, 0)
	s.flushed = s.wal.at
	s.note()
	s.recovery, s.standbySignal, s.promoting, s.promoteAsked, s.upstream = false, false, false, false, nil
	s.applyPaused = false
	s.control.state = inProduction // the timeline of the checkpoint follows with the next one
	s.control.minRecovery, s.control.minTimeline = s.wal.at, timeline
	s.nextPoint = s.now().Add(s.c.Timing.CheckpointEach)
	s.afterLife(s.c.Timing.Checkpoint, func() {
		if s.phase == up && s.disk == DiskWell && !s.hung && s.control.timeline != s.wal.b.timeline {
			s.checkpoint(inProduction)
		}
	})
	s.c.Changed()
	s.workDone(events.ActPromote)
}
