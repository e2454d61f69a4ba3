package postgres

import (
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// look is what was told last. Slices that were handed out are never changed: they are replaced when their content is.
type look struct {
	walsenders []events.Walsender
	slots      []events.Slot
	pending    []events.PendingParam
}

// observedTimeline is a replica's timeline as the monitoring query finds it.
func (s *Server) observedTimeline() events.Timeline {
	t := max(s.control.timeline, s.control.minTimeline, s.wal.b.on(s.replayed).timeline)
	if s.up != nil {
		t = max(t, s.wal.b.timelineAt(s.wal.at))
	}
	return t
}

// Observe is what the driver's probe would tell now. The slices in it belong to whoever gets them, and are shared
// with later observations: nobody may write into them. Nothing is allocated while nothing in them changes.
func (s *Server) Observe() events.Observation {
	now := s.now()
	s.settle()
	o := events.Observation{Sampled: now}
	s.observeData(&o)
	if !s.Running() {
		return o
	}
	o.Running, o.PID = true, s.pid
	switch {
	case s.hung, s.blind:
		o.Problem = keep(o.Problem, "no answer within 2s: context deadline exceeded")
	case s.phase == starting:
		o.Starting = true
	case s.phase == shutting, s.phase == draining:
		o.Rejecting, o.Problem = true, keep(o.Problem, "the database system is shutting down")
	case s.full:
		o.Rejecting, o.Problem = true, keep(o.Problem, "sorry, too many clients already")
	default:
		s.checkpointIfDue()
		o.Answering = true
		s.silentFrom = now
		if o.Data == events.DataPresent {
			o.Control = s.observedControl() // a checkpoint may have come
		}
		s.observeServer(&o.Server)
		return o
	}
	o.NoAnswerFor = max(now.Sub(s.silentFrom), 1)
	return o
}

func keep(problem, other string) string {
	if problem != "" {
		return problem
	}
	return other
}

// fileStall is how long the driver waits for a look at the data directory.
const fileStall = 2 * time.Second

func (s *Server) observeData(o *events.Observation) {
	if s.disk == DiskStalled {
		o.Sampled = s.stalledAt // the last look that ended
		if d := o.Sampled.Sub(s.now()); -d > fileStall {
			o.Data, o.Problem = events.DataUnknown, fmt.Sprintf("the data directory has not answered for %v", (-d).Round(time.Second))
			return
		}
	}
	switch {
	case s.unfinished != "":
		o.Data, o.Problem = events.DataEmpty, "holds an unfinished "+s.unfinished+", which will be begun anew"
		return
	case s.content == empty:
		o.Data = events.DataEmpty
		return
	case s.content == invalid:
		o.Data, o.Problem = events.DataInvalid, "holds something, but not a PostgreSQL data directory: no PG_VERSION"
		return
	case s.unreadable:
		o.Data, o.Problem = events.DataInvalid, "pg_control has an unknown layout or a wrong checksum"
		return
	case s.half:
		o.Problem = "a rewind did not end: rewind again, or clone this member anew"
	}
	o.Data, o.Control = events.DataPresent, s.observedControl()
}

func (s *Server) observedControl() events.Control {
	c := &s.control
	return events.Control{SystemID: s.sysid, State: c.state, Timeline: c.timeline, CheckpointLSN: c.checkpoint, MinRecoveryLSN: c.minRecovery,
		MinRecoveryTLI: c.minTimeline, CanRewind: !s.noChecksums, StandbySignal: s.standbySignal, VersionMajor: 15, BackupLabelSeen: s.backupLabel}
}

func (s *Server) observeServer(v *events.Server) {
	v.InRecovery, v.Version, v.StartedAt = s.recovery, 150014, s.startedAt
	if s.recovery {
		v.Timeline, v.ReplayedLSN, v.ReplayPaused = s.observedTimeline(), s.replayed, s.applyPaused
		v.ReceivedLSN = s.flushed // pg_last_wal_receive_lsn tells what was synced
		switch {
		case s.up != nil:
			v.ReplicationState, v.Upstream, v.LatestEndLSN = "streaming", s.up.from.address, s.wal.at
		case s.c.Archive:
			v.ReplicationState = "in archive recovery"
		}
	} else {
		v.Timeline, v.FlushLSN = s.wal.b.timeline, s.flushed
	}
	v.Walsenders, v.Slots, v.PendingRestart = s.observeWalsenders(), s.observeSlots(), s.observePending()
}

// observeWalsenders lists the senders by application name, as the servers were added.
func (s *Server) observeWalsenders() []events.Walsender {
	var quorum []standby
	if s.sync.n > 0 {
		quorum = s.standbys()
		s.sync.released(quorum) // sorts it
	}
	n, same := 0, true
	last := s.seen.walsenders
	for pass := 0; pass < 2; pass++ {
		var fresh []events.Walsender
		if pass > 0 && n > 0 {
			fresh = make([]events.Walsender, 0, n)
		}
		n = 0
		for i, d := range s.c.servers {
			if d.up == nil || d.up.from != s {
				continue
			}
			d.settle()
			x := events.Walsender{User: "replicator", ApplicationName: d.name, ClientAddr: d.name, State: "catchup", SyncState: "async", FlushLSN: d.reported()}
			if d.up.caught {
				x.State = "streaming"
			}
			s.syncState(&x, i, quorum)
			if pass == 0 {
				same = same && n < len(last) && last[n] == x
			} else {
				fresh = append(fresh, x)
			}
			n++
		}
		if pass == 0 && same && n == len(last) {
			return last
		}
		if pass == 1 {
			s.seen.walsenders = fresh
		}
	}
	return s.seen.walsenders
}

// syncState fills what pg_stat_replication says of the release rule.
func (s *Server) syncState(x *events.Walsender, order int, quorum []standby) {
	p := s.sync.priority(x.ApplicationName)
	if p == 0 {
		return
	}
	if s.sync.any {
		p = 1
	}
	x.SyncPriority = p
	x.SyncState = "potential"
	if i := slices.IndexFunc(quorum, func(q standby) bool { return q.order == order }); i >= 0 {
		switch {
		case s.sync.any:
			x.SyncState = "quorum"
		case i < s.sync.n:
			x.SyncState = "sync"
		}
	} else if s.sync.any {
		x.SyncState = "quorum"
	}
}

func (s *Server) observeSlots() []events.Slot {
	last := s.seen.slots
	same := len(last) == len(s.slots)
	for i := 0; same && i < len(last); i++ {
		same = last[i] == s.observedSlot(s.slots[i])
	}
	if same {
		return last
	}
	s.seen.slots = nil
	if len(s.slots) > 0 {
		s.seen.slots = make([]events.Slot, 0, len(s.slots))
	}
	for _, x := range s.slots {
		s.seen.slots = append(s.seen.slots, s.observedSlot(x))
	}
	return s.seen.slots
}

func (s *Server) observedSlot(x *slot) events.Slot {
	return events.Slot{Name: x.name, Physical: true, Active: s.user(x) != nil, RestartLSN: s.restartOf(x)}
}

// observePending lists the parameters that were changed since the start and need another.
func (s *Server) observePending() []events.PendingParam {
	if len(s.parameters) == 0 && len(s.inForce) == 0 {
		return nil
	}
	var pending []events.PendingParam
	for _, name := range restartNames {
		now, wanted := restartParameters[name], restartParameters[name]
		if v, ok := s.inForce[name]; ok {
			now = v
		}
		if v, ok := s.parameters[name]; ok {
			wanted = v
		}
		if now != wanted {
			pending = append(pending, events.PendingParam{Name: name, Old: now, New: wanted})
		}
	}
	if !slices.Equal(pending, s.seen.pending) {
		s.seen.pending = pending
	}
	return s.seen.pending
}
