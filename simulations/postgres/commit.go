package postgres

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Answer is what a client learns of its commit.
type Answer uint8

// The answers.
const (
	Acknowledged Answer = iota
	Refused             // not done, for sure
	NoAnswer            // the connection broke, or the wait for replicas was cancelled: it may be there
)

// commit is one that a client waits for.
type commit struct {
	id   uint64
	end  events.LSN
	done func(Answer)
}

// Write asks for a commit with an id, which the client chooses and uses once. done is called at most once, possibly
// before Write returns; a server that hangs says nothing until it goes on or ends.
func (s *Server) Write(id uint64, done func(Answer)) {
	switch {
	case s.hostDown || s.phase == down || s.phase == starting || s.phase == shutting || s.phase == draining:
		done(Refused)
		return
	case s.hung:
		s.c.After(s.c.Timing.Connect, func() { done(NoAnswer) }) // nothing was sent: no connection came about
		return
	case s.recovery, s.full && s.phase == up, s.disk == DiskFull, s.phase == orphaned && s.disk.noWAL(), s.dying:
		done(Refused)
		return
	case s.disk.noWAL():
		s.panics()
		done(NoAnswer)
		return
	}
	s.checkpointIfDue()
	end := s.record(isWrite, s.c.Timing.WriteBytes, id)
	s.pending = append(s.pending, commit{id, end, done})
	s.flush()
}

// WriteWAL writes WAL that no client waits for, as a bulk load or vacuum does.
func (s *Server) WriteWAL(bytes events.LSN) {
	if s.Writable() && s.disk == DiskWell {
		s.checkpointIfDue()
		s.record(isOther, bytes, 0)
		s.flush()
	}
}

// record appends to the WAL of this server, on a branch of its own.
func (s *Server) record(kind recordKind, size events.LSN, id uint64) events.LSN {
	if b := s.wal.b; b.owner != s || b.end != s.wal.at {
		p := b.on(s.wal.at + 1)
		s.wal.b = &branch{timeline: p.timeline, parent: p, fork: s.wal.at, end: s.wal.at, owner: s, history: p.history}
		s.c.After(0, s.c.Changed) // for those that stream from here
	}
	s.wal.at = s.wal.b.append(kind, size, id)
	return s.wal.at
}

// flush writes what is inserted to the disk. Commits that come meanwhile share the next one.
func (s *Server) flush() {
	if s.flushing || s.hung || s.disk == DiskStalled || s.flushed == s.wal.at {
		return
	}
	s.flushing = true
	upTo := s.wal.at
	s.afterLife(s.fsync(), func() {
		s.flushing = false
		if s.hung || s.disk == DiskStalled {
			return // goes on when that ends
		}
		s.flushedTo(upTo)
		s.flush()
	})
}

func (s *Server) flushedTo(at events.LSN) {
	if at > s.flushed {
		s.flushed = at
		s.note()
	}
	n := 0
	for n < len(s.pending) && s.pending[n].end <= at {
		n++
	}
	if n == 0 {
		return
	}
	if s.sync.n == 0 && len(s.waiting) == 0 {
		if n == 1 && len(s.pending) == 1 { // nearly always
			done := s.pending[0].done
			s.pending = s.pending[:0]
			done(Acknowledged)
			return
		}
		ready := append([]commit(nil), s.pending[:n]...)
		s.pending = s.pending[:copy(s.pending, s.pending[n:])]
		for _, w := range ready {
			w.done(Acknowledged)
		}
		return
	}
	s.waiting = append(s.waiting, s.pending[:n]...)
	s.pending = s.pending[:copy(s.pending, s.pending[n:])]
	s.release()
}

// release lets go whoever waits for replicas and need not any more, and plans the next look.
func (s *Server) release() {
	if len(s.waiting) == 0 || s.hung || s.phase == down {
		return
	}
	upTo := s.wal.at
	if s.sync.n > 0 {
		at, ok := s.sync.released(s.standbys())
		if !ok {
			at = 0
		}
		upTo = at
	}
	n := 0
	for n < len(s.waiting) && s.waiting[n].end <= upTo {
		n++
	}
	ready := append([]commit(nil), s.waiting[:n]...)
	s.waiting = s.waiting[:copy(s.waiting, s.waiting[n:])]
	for _, w := range ready {
		w.done(Acknowledged)
	}
	s.planRelease()
}

// planRelease looks again when the next replica can have said that it has flushed.
func (s *Server) planRelease() {
	if len(s.waiting) == 0 {
		return
	}
	soonest := time.Duration(-1)
	for _, d := range s.c.servers {
		if d.up == nil || d.up.from != s || d.up.silent() || s.sync.priority(d.name) == 0 {
			continue
		}
		if d.up.caught && d.reported() >= s.waiting[0].end {
			continue
		}
		if e := d.eta(s.waiting[0].end); soonest < 0 || e < soonest {
			soonest = e
		}
	}
	if soonest < 0 {
		return // a change will come first
	}
	at := s.now().Add(soonest)
	if s.checkAt > s.now() && s.checkAt <= at {
		return
	}
	s.checkAt = at
	s.afterLife(soonest, func() {
		if s.checkAt == at {
			s.checkAt = 0
			s.release()
		}
	})
}

// CancelWaits ends the waits for replicas as a cancel by a person or a broken connection does: the commits are visible, and
// nobody is told that they were made.
func (s *Server) CancelWaits() {
	waiting := s.waiting
	s.waiting = nil
	for _, w := range waiting {
		w.done(NoAnswer)
	}
}

// Waiting is how many commits wait for replicas.
func (s *Server) Waiting() int { return len(s.waiting) }

// hangUp breaks the connections of all clients.
func (s *Server) hangUp() {
	open := append(append([]commit(nil), s.waiting...), s.pending...)
	s.waiting, s.pending = nil, nil
	for _, w := range open {
		w.done(NoAnswer)
	}
}

// checkpointIfDue makes the checkpoint that the checkpointer would have made by now. Without new WAL there is none.
func (s *Server) checkpointIfDue() {
	now := s.now()
	if now < s.nextPoint || s.recovery || s.phase != up || s.wal.at == s.control.checkpointEnd || s.disk != DiskWell || s.hung {
		return
	}
	s.nextPoint = now.Add(s.c.Timing.CheckpointEach)
	s.checkpoint(inProduction)
}

// checkpoint writes a checkpoint record and pg_control.
func (s *Server) checkpoint(state string) {
	at := s.wal.at
	end := s.record(isCheckpoint, checkpointBytes, 0)
	s.control = control{state: state, timeline: s.wal.b.timeline, checkpoint: at, checkpointEnd: end}
	s.flushedTo(end)
	s.removeWAL()
}
