package postgres

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// What can happen to a data directory and to replication, besides what effects do.

// Empty removes the data directory. What runs there ends.
func (s *Server) Empty() {
	s.KillAll()
	s.data, s.marks = data{}, nil
	s.c.Changed()
}

// Launch is pg_ctl start, as a replica after a standby.signal was put there. It returns why PostgreSQL would end at once, or nothing.
func (s *Server) Launch(replica bool) string {
	if why := s.requireControl(); why != "" {
		return why
	}
	s.KillAll()
	return s.launch(replica)
}

// Spoil replaces the data directory by something that is none.
func (s *Server) Spoil() {
	s.KillAll()
	s.data, s.marks = data{content: invalid}, nil
	s.c.Changed()
}

// CorruptControl makes pg_control unreadable, or readable again.
func (s *Server) CorruptControl(corrupt bool) { s.unreadable = corrupt }

// Restore replaces the data directory by a stopped primary's of another database cluster.
func (s *Server) Restore() {
	s.KillAll()
	root := &branch{timeline: 1, fork: firstLSN, end: firstLSN, owner: s}
	s.data = data{content: present, sysid: s.c.newSystemID(), wal: point{root, firstLSN}, flushed: firstLSN}
	s.marks = nil
	s.checkpoint(shutDown)
	s.c.Changed()
}

// LoseFlushed takes away the newest WAL of a host that is down although it was flushed, as a disk that lies does at a
// power cut. What pg_control tells is not touched.
func (s *Server) LoseFlushed(bytes events.LSN) {
	if !s.hostDown || s.content != present || s.flushed < s.control.checkpointEnd+bytes || s.control.minRecovery > s.flushed-bytes {
		return
	}
	s.flushed = s.wal.b.floor(s.flushed - bytes)
	s.wal.at, s.marks = s.flushed, nil
}

// WithoutChecksums makes the data directory one that cannot be rewound.
func (s *Server) WithoutChecksums() { s.noChecksums = true }

// SetLag makes everything that this replica receives arrive later than the cluster's lag by d.
func (s *Server) SetLag(d time.Duration) {
	s.settle()
	s.lag = d
	s.c.horizon = max(s.c.horizon, 2*(d+s.c.Timing.Lag)+s.applyDelay+time.Second)
	s.begunAnew()
}

// SetStreamRate bounds what this replica receives, in bytes a second; zero is the cluster's rate. It bounds a replica that catches up:
// one that has once had everything is bound again from now on.
func (s *Server) SetStreamRate(bytes float64) {
	s.settle()
	s.rate = bytes
	s.begunAnew()
}

// begunAnew lets a stream go on from here under new conditions.
func (s *Server) begunAnew() {
	if u := s.up; u != nil && !u.stalled {
		u.since, u.start, u.caught = s.now(), s.wal.at, false
		s.flushed = s.wal.at
		s.note()
	}
}

// SetApplyDelay is recovery_min_apply_delay.
func (s *Server) SetApplyDelay(d time.Duration) {
	s.settle()
	s.applyDelay = d
	s.c.horizon = max(s.c.horizon, 2*(s.lag+s.c.Timing.Lag)+d+time.Second)
}

// PauseReplay pauses replay on a replica, or lets it go on. A promotion ends it.
func (s *Server) PauseReplay(pause bool) {
	s.settle()
	s.applyPaused = pause
	s.replayFrom, s.replaySince = s.replayed, s.now()
}

// DisconnectReplicas breaks the connections of all that stream from here; they try again.
func (s *Server) DisconnectReplicas() {
	for _, d := range s.c.servers {
		if d.up != nil && d.up.from == s {
			d.unlink()
			d.lastTry, d.refusal = s.now(), "terminating connection due to administrator command"
		}
	}
	s.c.Changed()
}

// Oldest is where the WAL begins that is still here.
func (s *Server) Oldest() events.LSN { return s.oldest }

// Stray leaves a replica with WAL of an older timeline only, and bytes of its own after where that was left: as if it had never heard
// of the later ones.
func (s *Server) Stray(t events.Timeline, bytes events.LSN) {
	s.settle()
	s.unlink()
	b, at := s.wal.b, s.wal.at
	for b.timeline > t && b.parent != nil {
		at = min(at, b.fork)
		b = b.parent
	}
	s.wal.b = &branch{timeline: b.timeline, parent: b, fork: at, end: at, owner: s, history: b.history}
	s.wal.at = s.wal.b.append(isOther, max(bytes, recoveryEnd), 0)
	s.flushed, s.replayed, s.replayFrom, s.marks = s.wal.at, s.wal.at, s.wal.at, nil
	s.note()
	s.histories = slices.DeleteFunc(slices.Clone(s.histories), func(f historyFile) bool { return f.timeline > t })
	s.control.checkpoint, s.control.checkpointEnd, s.control.timeline = point{b, at}.checkpointBefore()
	s.control.minRecovery, s.control.minTimeline = s.flushed, b.timeline
	s.c.Changed()
}

// KeepNoWAL lets checkpoints remove all WAL that no slot needs.
func (s *Server) KeepNoWAL() { s.walKeep = 0 }

// Knows tells whether the history file of a timeline is there.
func (s *Server) Knows(t events.Timeline) bool {
	_, has := historyOf(s.histories, t)
	return has
}
