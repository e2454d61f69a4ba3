package postgres

import (
	"sort"
	"time"

	"github.com/regent-ha/regent/events"
)

// stream is a WAL receiver and the sender at its other end.
type stream struct {
	from      *Server
	since     events.Instant
	start     events.LSN // received when it began
	caught    bool       // has once had everything
	stalled   bool       // the network is silent; both ends wait
	stalledAt events.Instant
	mutedAt   events.Instant // since when nothing comes back from the receiver, zero: it does
	lag       time.Duration  // of this way, beyond what others have
}

// silent tells that the sender hears nothing of the receiver.
func (u *stream) silent() bool { return u.stalled || u.mutedAt != 0 }

// mark notes what a server had flushed, from an instant on.
type mark struct {
	at  events.Instant
	lsn events.LSN
}

// note keeps a mark for those that stream from here, and drops those that nobody can ask for any more.
func (s *Server) note() {
	now := s.now()
	if n := len(s.marks); n > 0 {
		switch last := &s.marks[n-1]; {
		case last.lsn == s.flushed:
			return
		case last.at == now:
			last.lsn = s.flushed
			return
		case n >= 64:
			old := now.Add(-s.c.horizon)
			i := sort.Search(n, func(i int) bool { return s.marks[i].at > old }) - 1
			if i >= n/2 {
				s.marks = s.marks[:copy(s.marks, s.marks[i:])]
			}
		}
	}
	s.marks = append(s.marks, mark{now, s.flushed})
}

// delay is what WAL takes to a replica that streams.
func (s *Server) delay() time.Duration { return s.c.Timing.Lag + s.lag + s.up.lag }

// flushedAt is what the server had flushed at an instant that is not long ago.
func (s *Server) flushedAt(t events.Instant) events.LSN {
	if u := s.up; u != nil && !u.stalled && t >= u.since {
		return max(u.start, s.receivedAt(t.Add(-s.fsync())))
	}
	for i := len(s.marks) - 1; i >= 0; i-- {
		if s.marks[i].at <= t {
			return s.marks[i].lsn
		}
	}
	if len(s.marks) > 0 {
		return s.marks[0].lsn
	}
	return s.flushed
}

// receivedAt is for a replica that streams.
func (s *Server) receivedAt(t events.Instant) events.LSN {
	u := s.up
	if t < u.since {
		return u.start
	}
	sent := u.from.flushedAt(t.Add(-s.delay()))
	if sent <= u.start {
		return u.start
	}
	if u.caught {
		return sent
	}
	could := u.start + events.LSN(s.streamRate()*t.Sub(u.since).Seconds())
	if could >= sent {
		return sent
	}
	return max(u.start, u.from.wal.b.floor(could))
}

func (s *Server) streamRate() float64 {
	if s.rate > 0 {
		return s.rate
	}
	return s.c.Timing.StreamRate
}

// settle brings the positions of a replica up to now.
func (s *Server) settle() {
	if u := s.up; u != nil && !u.stalled && !s.hung && s.disk == DiskWell {
		now := s.now()
		if r := s.receivedAt(now); r > s.wal.at {
			s.wal.at = r
		}
		if f := s.flushedAt(now); f > s.flushed {
			s.flushed = f
		}
		if !u.caught && s.wal.at >= u.from.flushedAt(now.Add(-s.delay())) && now >= u.since.Add(s.delay()) {
			u.caught = true
		}
		s.note()
	}
	if s.recovery && (s.phase == up || s.phase == shutting) && !s.hung {
		s.replay()
	}
}

// replay brings the position of replay up to now, and the restart points with it.
func (s *Server) replay() {
	if s.applyPaused || s.replayed >= s.flushed {
		s.replayFrom, s.replaySince = s.replayed, s.now()
		s.restartpoint()
		return
	}
	now := s.now()
	ready := s.flushed
	if s.applyDelay > 0 {
		ready = min(ready, s.flushedAt(now.Add(-s.applyDelay)))
	}
	could := s.replayFrom + events.LSN(s.c.Timing.ReplayRate*max(now.Sub(s.replaySince), time.Millisecond).Seconds())
	if could < ready {
		ready = s.wal.b.floor(could)
	}
	if ready > s.replayed {
		s.replayed = ready
		if ready == s.flushed {
			s.replayFrom, s.replaySince = ready, now
		}
	}
	s.restartpoint()
}

// restartpoint makes pg_control follow a replayed checkpoint. In truth it may come minutes later.
func (s *Server) restartpoint() {
	if s.control.state != inArchiveRecovery || s.replayed <= s.control.checkpointEnd {
		return
	}
	b := s.wal.b.on(s.replayed)
	for b.newest == 0 && b.parent != nil {
		b = b.parent
	}
	if b.newest <= s.control.checkpointEnd {
		return
	}
	at, end, t := point{s.wal.b, s.replayed}.checkpointBefore()
	if end > s.control.checkpointEnd {
		s.control.checkpoint, s.control.checkpointEnd, s.control.timeline = at, end, t
		if s.control.minRecovery < end {
			s.control.minRecovery, s.control.minTimeline = end, t
		}
		s.removeWAL()
	}
}

// receives tells whether the server wants a stream.
func (s *Server) receives() bool {
	return s.phase == up && s.recovery && !s.hung && !s.hostDown && !s.promoting && s.upstream != nil && s.upstream != s &&
		s.disk == DiskWell
}

// serves tells whether the server has senders for others, new ones or those it had.
func (s *Server) serves() bool {
	return s.phase == up || s.phase == shutting || s.phase == draining
}

// relink looks whether a stream should break, fall silent, go on or be tried for.
func (s *Server) relink() {
	u := s.up
	if u == nil {
		if s.receives() {
			s.planTry()
		}
		return
	}
	alive := s.receives() || s.hung || s.disk == DiskStalled && s.phase == up && s.recovery && !s.promoting
	there, back := s.c.sends(u.from, s), s.c.sends(s, u.from)
	switch linked := there && back; {
	case s.hostDown || !alive || s.upstream != u.from && !s.hung:
		s.unlink()
		s.relink()
	case linked && !u.from.serves():
		s.unlink() // the kernel over there closes it
		s.relink()
	case !linked && s.c.refused(s, u.from):
		s.unlink()
		s.refusal, s.lastTry = "connection reset by peer", s.now()
		s.relink()
	case there && !linked && !u.stalled && !s.hung && !u.from.hung && s.disk == DiskWell && s.muted():
	case !linked || s.hung || u.from.hung || s.disk != DiskWell:
		s.fallSilent()
	case u.stalled: // TCP sends again what was lost
		u.stalled, u.mutedAt = false, 0
		u.since, u.start, u.caught = s.now(), s.wal.at, false
		s.moved(u.from)
		u.from.drained()
		u.from.release()
	default:
		if u.mutedAt != 0 {
			u.mutedAt = 0
			u.from.drained()
			u.from.release()
		}
		s.slowed(u)
		s.moved(u.from)
	}
}

// muted lets a stream go on whose receiver is not heard any more. TCP sends nothing new when nothing is acknowledged; muted tells whether
// it still does.
func (s *Server) muted() bool {
	u := s.up
	if u.mutedAt == 0 {
		s.settle()
		u.mutedAt = s.now()
		s.c.After(s.c.Timing.Retransmit, s.c.Changed)
	}
	return s.now().Sub(u.mutedAt) < s.c.Timing.Retransmit
}

// slowed looks how slow the way is now.
func (s *Server) slowed(u *stream) {
	if s.c.Late == nil {
		return
	}
	late := s.c.Late(u.from.name, s.name)
	if late == u.lag {
		return
	}
	s.settle()
	u.lag = late
	s.c.horizon = max(s.c.horizon, 2*s.delay()+s.applyDelay+time.Second)
	s.begunAnew()
}

func (s *Server) fallSilent() {
	u := s.up
	if u.stalled {
		return
	}
	s.settleBefore()
	u.stalled, u.stalledAt = true, s.now()
	s.c.After(s.c.Timing.SenderTimeout, func() {
		if s.up == u && u.stalled && s.now().Sub(u.stalledAt) >= s.c.Timing.SenderTimeout {
			s.unlink()
			s.c.Changed()
		}
	})
}

// settleBefore brings positions up to now although what is about to end the stream has happened already.
func (s *Server) settleBefore() {
	hung, disk := s.hung, s.disk
	s.hung, s.disk = false, DiskWell
	s.settle()
	s.hung, s.disk = hung, disk
}

// unlink ends the stream; what was on the way is lost.
func (s *Server) unlink() {
	if u := s.up; u != nil {
		if !u.stalled {
			s.settleBefore()
		}
		u.from.keepFor(s)
		s.up = nil
		if s.flushed < s.wal.at && s.phase == up {
			s.flushed = s.wal.at // the receiver flushes before it ends
		}
		s.note()
		u.from.drained()
		u.from.release()
	}
}

// moved follows the upstream to its present branch, or ends the stream if that is impossible.
func (s *Server) moved(from *Server) {
	if s.wal.b == from.wal.b {
		return
	}
	s.settle()
	if s.up == nil {
		return
	}
	if !(point{from.wal.b, from.wal.at}).holds(s.wal) {
		s.unlink()
		s.relink()
		return
	}
	s.wal.b = from.wal.b
	s.histories = keepHistories(s.histories, from.histories)
	s.c.again = true // for those that stream from here
}

// planTry plans the next attempt of the receiver, in its rhythm.
func (s *Server) planTry() {
	now := s.now()
	if s.tryAt >= now && s.tryAt != 0 {
		return
	}
	at := now
	if s.lastTry != 0 && now.Sub(s.lastTry) < s.c.Timing.Retry {
		at = s.lastTry.Add(s.c.Timing.Retry)
	} else if s.refusal != "" && s.lastTry != 0 {
		n := now.Sub(s.lastTry) / s.c.Timing.Retry
		at = s.lastTry.Add((n + 1) * s.c.Timing.Retry)
	}
	s.tryAt = at
	s.afterLife(at.Sub(now), func() {
		if s.tryAt != at {
			return
		}
		s.tryAt = 0
		if s.up != nil || !s.receives() {
			return
		}
		s.lastTry = s.now()
		if s.refusal = s.connect(); s.refusal == "" {
			s.c.Changed()
		}
	})
}

// connect begins a stream, or says why not.
func (s *Server) connect() string {
	from := s.upstream
	switch {
	case s.c.refused(s, from):
		return "connection refused"
	case !s.c.linked(s, from):
		return "timeout expired"
	case from.phase == down || from.phase == orphaned:
		return "connection refused"
	case from.phase != up:
		return "the database system is starting up or shutting down"
	case from.hung:
		return "no answer"
	case s.sysid != from.sysid:
		return "database system identifier differs between the primary and standby"
	}
	s.settle()
	from.settle()
	mine, theirs := s.wal.b.timelineAt(s.wal.at), from.wal.b.timelineAt(from.wal.at)
	if theirs < mine {
		return "highest timeline of the primary is behind recovery timeline"
	}
	if theirs > mine {
		s.histories = keepHistories(s.histories, from.histories)
	}
	have := point{from.wal.b, from.flushed}
	if !have.holds(s.wal) && !(s.wal.holds(have) && s.wal.b.on(s.wal.at) == from.wal.b.on(from.flushed) && s.wal.at-s.wal.at%segmentBytes <= from.flushed) {
		return "requested starting point is not in this server's history"
	}
	if s.useSlots && from.slot(s.slotName) == nil {
		return "replication slot does not exist"
	}
	if s.wal.at < from.oldest && !s.c.Archive {
		return "requested WAL segment has already been removed"
	}
	s.wal.b = from.wal.b
	s.note()
	s.up = &stream{from: from, since: s.now(), start: s.wal.at}
	s.slowed(s.up)
	from.release()
	return ""
}

// eta is how long it takes until a position is flushed on a replica that streams, as its upstream knows.
func (s *Server) eta(at events.LSN) time.Duration {
	u := s.up
	now := s.now()
	var least time.Duration
	if at = max(at, u.from.flushed); !u.caught && at > u.start {
		least = u.since.Add(bytesTime(at-u.start, s.streamRate())).Sub(now)
	}
	return max(least, 0) + 2*s.delay() + s.fsync() + time.Microsecond
}

// reported is what the upstream knows that the replica has flushed.
func (s *Server) reported() events.LSN {
	u := s.up
	t := s.now()
	if u.stalled {
		t = u.stalledAt
	}
	if u.mutedAt != 0 {
		t = min(t, u.mutedAt)
	}
	return s.flushedAt(t.Add(-s.delay()))
}
