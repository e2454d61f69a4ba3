package postgres

import (
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
)

// content is what a data directory holds.
type content uint8

const (
	empty   content = iota
	present         // with a pg_control
	invalid         // something else
)

// phase is what the processes of a server do.
type phase uint8

const (
	down     phase = iota
	starting       // rejects connections: recovers
	up
	shutting // was told to stop, and writes its shutdown checkpoint
	draining // waits for its replicas to have flushed that
	orphaned // the postmaster is dead, its children are not
)

// PostgreSQL's own words for the states in pg_control.
const (
	inProduction       = "in production"
	shutDown           = "shut down"
	shutDownInRecovery = "shut down in recovery"
	inArchiveRecovery  = "in archive recovery"
	inCrashRecovery    = "in crash recovery"
	shuttingDown       = "shutting down"
)

// control is pg_control.
type control struct {
	state         string
	timeline      events.Timeline // of the latest checkpoint
	checkpoint    events.LSN      // where its record begins
	checkpointEnd events.LSN
	minRecovery   events.LSN
	minTimeline   events.Timeline
}

// data is what is on disk.
type data struct {
	content       content
	unfinished    string // "bootstrap" or "clone" that has not ended
	half          bool   // a rewind has begun to write and not ended
	unreadable    bool   // pg_control cannot be read
	sysid         string
	noChecksums   bool
	control       control
	standbySignal bool
	backupLabel   bool
	histories     []historyFile
	oldest        events.LSN // WAL before it was removed
	wal           point      // written here, or received
	flushed       events.LSN
	slots         []*slot // sorted by name
}

// Server is one PostgreSQL: a data directory and, while it runs, processes.
type Server struct {
	c        *Cluster
	name     string
	slotName string
	address  string

	data

	// Configuration.
	useSlots    bool
	walKeep     events.LSN
	sync        syncRule
	parameters  map[string]string // that need a restart, as configured
	inForce     map[string]string // as the server was started with
	lag         time.Duration     // of what it receives, beyond the cluster's
	applyDelay  time.Duration
	applyPaused bool
	rate        float64 // of catching up, zero: the cluster's

	// Processes.
	phase      phase
	recovery   bool
	hung       bool
	asleep     bool // with its host
	hungBefore bool // it hung when the host was suspended
	full       bool // no more connections
	blind      bool // the probe gets no answer, though the server works
	wedged     bool // its processes hang in the kernel: one that is killed goes when that ends
	doomed     bool // killed while wedged
	pid        int
	life       int // grows with each start and end of the processes
	startedAt  string
	silentFrom events.Instant // of the probe: when the server last answered or began
	hostDown   bool
	disk       Disk
	stalledAt  events.Instant
	slow       time.Duration // of every sync, beyond the cluster's
	dying      bool          // was killed, and waits for its disk

	// As a replica.
	upstream     *Server
	up           *stream
	lastTry      events.Instant
	tryAt        events.Instant
	refusal      string
	replayed     events.LSN
	replayFrom   events.LSN
	replaySince  events.Instant
	promoteAsked bool
	promoteSeen  bool
	promoting    bool

	// As a sender.
	marks []mark

	// As a primary.
	pending    []commit // inserted, not flushed
	flushing   bool
	waiting    []commit // flushed, not released
	checkAt    events.Instant
	nextPoint  events.Instant // when the next checkpoint is due
	drainTimer int

	// Of the driver.
	work    *work
	queue   []*work
	helpers []*work // that need not be alone

	seen look
}

// Name is the member's.
func (s *Server) Name() string { return s.name }

// Accepts tells whether the server accepts writes now, whatever anybody believes: also one that hangs will when it goes on.
// Backends that have lost their postmaster still do. A process that was killed in the kernel never runs again.
func (s *Server) Accepts() bool {
	return !s.hostDown && !s.recovery && !s.doomed && !s.dying && !s.asleep && (s.phase == up || s.phase == orphaned)
}

// Writable tells whether a commit that is sent now could be acknowledged, if its disk and its replicas do their part.
func (s *Server) Writable() bool {
	return s.Accepts() && !s.hung && s.disk != DiskFull && s.disk != DiskReadOnly
}

// Running tells whether a postmaster of this data directory lives.
func (s *Server) Running() bool { return s.phase != down && s.phase != orphaned }

// Recovering tells whether it runs in recovery, or would begin as a replica.
func (s *Server) Recovering() bool {
	if s.phase != down {
		return s.recovery
	}
	return s.standbySignal
}

// HasData tells whether there is a usable data directory, that no bootstrap, clone or rewind has left half done.
func (s *Server) HasData() bool { return s.content == present && s.unfinished == "" && !s.half }

// HalfRewound tells that a rewind has begun and not ended.
func (s *Server) HalfRewound() bool { return s.half }

// SystemID is the database cluster's identity, empty without data.
func (s *Server) SystemID() string { return s.sysid }

// PID is the postmaster's, zero if none runs.
func (s *Server) PID() int {
	if !s.Running() {
		return 0
	}
	return s.pid
}

// Timeline of the newest WAL that the server holds.
func (s *Server) Timeline() events.Timeline {
	if s.content != present || s.wal.b == nil {
		return 0
	}
	s.settle()
	return s.wal.b.timelineAt(s.wal.at)
}

// LSN is where the newest WAL ends that the server holds and would keep if its host crashed.
func (s *Server) LSN() events.LSN {
	if s.content != present {
		return 0
	}
	s.settle()
	return s.flushed
}

// History is the rows of the present timeline's history file. The slice is not to be changed.
func (s *Server) History() []events.TimelineSwitch {
	if s.wal.b == nil {
		return nil
	}
	return s.wal.b.on(s.wal.at + 1).history
}

// Diverged tells whether this server has WAL on disk that is not in the other's, by the WAL itself. A rewind that has not ended counts.
func (s *Server) Diverged(o *Server) bool {
	if s.half {
		return true
	}
	if s.content != present || o.content != present || s.wal.b == nil || o.wal.b == nil {
		return false
	}
	s.settle()
	o.settle()
	if s.sysid != o.sysid {
		return true
	}
	// On the same branch, one that is merely ahead has not diverged yet: the other may still get that.
	mine := point{s.wal.b, s.flushed}
	return !o.wal.holds(mine) && !mine.holds(point{o.wal.b, o.flushed})
}

// Ahead tells whether this server has WAL on disk that the other does not have now.
func (s *Server) Ahead(o *Server) bool {
	s.settle()
	o.settle()
	return s.content == present && s.wal.b != nil && !point{o.wal.b, o.flushed}.holds(point{s.wal.b, s.flushed})
}

// Streaming tells whether the server receives WAL from its upstream: one whose connection is silent does not.
func (s *Server) Streaming() bool { return s.up != nil && !s.up.stalled }

// Upstream is the name of the server that this one is configured to follow, empty for nobody.
func (s *Server) Upstream() string {
	if s.upstream == nil {
		return ""
	}
	return s.upstream.name
}

// Refusal says why the last attempt to stream failed, empty when it did not.
func (s *Server) Refusal() string { return s.refusal }

// Has tells whether a commit would be there after the host's crash: its record is flushed.
func (s *Server) Has(id uint64) bool {
	s.settle()
	return s.content == present && point{s.wal.b, s.flushed}.has(id)
}

// Holds is the set of all commits that are flushed here.
func (s *Server) Holds() Ranges {
	s.settle()
	if s.content != present {
		return nil
	}
	return point{s.wal.b, s.flushed}.ids()
}

// Visible tells whether another session on this server sees a commit: it is released on a primary, replayed on a replica.
func (s *Server) Visible(id uint64) bool {
	if s.phase != up || s.content != present {
		return false
	}
	s.settle()
	if s.recovery {
		return point{s.wal.b, s.replayed}.has(id)
	}
	for _, list := range [][]commit{s.waiting, s.pending} {
		for _, w := range list {
			if w.id == id {
				return false
			}
		}
	}
	return s.Has(id)
}

func (s *Server) now() events.Instant { return s.c.Now() }

// afterLife plans something that does not happen if the processes have ended or begun anew before.
func (s *Server) afterLife(d time.Duration, do func()) {
	life := s.life
	s.c.After(d, func() {
		if s.life == life {
			do()
		}
	})
}

// newSystemID is one that no other database cluster of this world has.
func (c *Cluster) newSystemID() string {
	c.systems++
	return strconv.FormatUint(c.systems, 10)
}

// bytesTime is how long something takes that costs time by bytes.
func bytesTime(n events.LSN, rate float64) time.Duration {
	return time.Duration(float64(n) / rate * float64(time.Second))
}
