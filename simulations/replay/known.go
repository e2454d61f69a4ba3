package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
)

// known is what is known of a member at a point: its run, and what a world needs and an engine does not keep.
type known struct {
	log        *Log
	life, step int // the last that were taken, -1: none
	by         time.Duration
	inputs     []events.Input
	wake       events.Instant
	exited     bool
	dead       bool
	frozen     bool
	status     *engine.Status

	// What outlives an agent: the last look at its PostgreSQL, what that told when it last answered, and the last word of the guard.
	seen     events.Observation
	files    events.Observation // the last one that tells what is in the data directory
	last     events.Server
	guard    events.GuardTick
	upstream string
	asked    map[uint64]request
	recorded request // of the member's record, the last that was done
	lease    struct {
		epoch uint64
		ttl   time.Duration
		ends  events.Instant
	}
	orders  map[events.OperatorVerb]events.Instant
	store   kept
	writes  []events.KeyValue // with a revision that the store told
	history []events.TimelineSwitch
	newest  events.Timeline // on which it accepted writes
}

// request is an effect on the store that has no answer yet.
type request struct {
	at         events.Instant
	ttl        time.Duration
	key, value string
}

func newKnown(log *Log) *known {
	return &known{log: log, life: -1, step: -1, asked: map[uint64]request{}, orders: map[events.OperatorVerb]events.Instant{}}
}

// take folds a step.
func (x *known) take(k mark, t *tracked) {
	if k.life != x.life {
		x.inputs, x.exited, x.asked = nil, false, map[uint64]request{}
		x.store = kept{}
	}
	x.life, x.step = k.life, k.step
	x.by = t.in.At.Sub(x.log.Lives[k.life].Steps[k.step].In.At)
	x.inputs = append(x.inputs, t.in)
	x.fact(&t.in)
	if t.d == nil {
		return
	}
	x.wake = t.d.WakeAt
	for i := range t.d.Effects {
		x.effect(t.in.At, &t.d.Effects[i])
	}
}

func (x *known) effect(at events.Instant, e *events.Effect) {
	switch a := e.Action.(type) {
	case events.StartPostgres:
		x.upstream = a.From.Name
	case events.RestartPostgres:
		x.upstream = a.From.Name
	case events.Follow:
		x.upstream = a.From.Name
	case events.PutMember:
		x.asked[e.ID] = request{at: at, ttl: a.TTL, key: events.KeyMembers + x.log.Member()}
	case events.PutKey:
		x.asked[e.ID] = request{at: at, key: a.Key, value: a.Value}
	case events.ReleaseLease, events.HandOverLease:
		x.lease.epoch, x.lease.ends = 0, 0
	case events.Exit:
		x.exited = true
	}
}

func (x *known) fact(in *events.Input) {
	switch f := in.Fact.(type) {
	case events.DCSSnapshot:
		x.store.snapshot(f)
	case events.DCSChange:
		x.store.change(f)
	case events.LeaseOutcome:
		x.leased(&f)
	case events.EffectFinished:
		x.finished(&f)
	case events.PostgresObserved:
		x.seen = f.Observation
		if x.seen.Data != events.DataUnknown {
			x.files = x.seen
		}
		if o := &f.Observation; o.Answering {
			x.last = o.Server
			if !o.Server.InRecovery {
				x.newest = max(x.newest, o.Server.Timeline)
			}
		}
	case events.GuardTick:
		x.guard = f
	case events.OperatorAsked:
		x.orders[f.Request.Verb] = in.At
	}
}

func (x *known) leased(f *events.LeaseOutcome) {
	switch {
	case f.Outcome == events.Done && (f.Op == events.LeaseAcquire || f.Op == events.LeaseRenew && f.Epoch == x.lease.epoch):
		x.lease.epoch, x.lease.ttl, x.lease.ends = f.Epoch, f.TTL, f.SentAt.Add(f.TTL)
		if f.Op == events.LeaseAcquire {
			x.writes = append(x.writes, events.KeyValue{Key: events.KeyLeader, Value: x.log.Member(), Revision: f.Epoch})
		}
	case f.Outcome == events.Lost && f.Op == events.LeaseRenew:
		x.lease.epoch, x.lease.ends = 0, 0
	}
}

func (x *known) finished(f *events.EffectFinished) {
	r, there := x.asked[f.Effect]
	delete(x.asked, f.Effect)
	if f.Outcome != events.Done {
		return
	}
	switch {
	case f.Action == events.ActPromote && len(f.Result.History) > 0:
		x.history = f.Result.History
	case there && r.ttl != 0:
		x.recorded = r
	case there && f.Result.Revision != 0:
		x.writes = append(x.writes, events.KeyValue{Key: r.key, Value: r.value, Revision: f.Result.Revision})
	}
}

// kept is what a member saw of the store, key by key.
type kept struct {
	revision, term uint64
	keys           []events.KeyValue // sorted
	older          int
}

func (s *kept) snapshot(f events.DCSSnapshot) {
	if f.Revision < s.revision {
		if s.older++; s.older < 3 {
			return
		}
	}
	s.older, s.revision, s.term = 0, f.Revision, f.Term
	s.keys = slices.Clone(f.Keys)
}

func (s *kept) change(f events.DCSChange) {
	if f.Revision != 0 && f.Revision < s.revision {
		return
	}
	s.revision = max(s.revision, f.Revision)
	s.set(f.KeyValue, f.Deleted)
}

func (s *kept) set(kv events.KeyValue, remove bool) {
	i, there := slices.BinarySearchFunc(s.keys, kv.Key, func(x events.KeyValue, key string) int { return cmp.Compare(x.Key, key) })
	switch {
	case there && remove:
		s.keys = slices.Delete(s.keys, i, i+1)
	case there:
		s.keys[i] = kv
	case !remove:
		s.keys = slices.Insert(s.keys, i, kv)
	}
}

// fill makes the moment of what is known of all members.
func (c *Cut) fill(m *Merged, members []*known) {
	mo := c.Moment
	mo.Contents = c.contents(members)
	view := events.ParseView(mo.Contents)
	mo.Settings = inForce(members)
	for _, row := range view.History {
		mo.History = append(mo.History, events.TimelineSwitch{Parent: row.Timeline, Switch: row.LSN, Reason: row.Reason})
	}
	for _, x := range members {
		mo.Timeline = max(mo.Timeline, x.newest)
		if len(x.history) > len(mo.History) {
			mo.History = x.history
		}
		mo.Members = append(mo.Members, x.moment(c, mo.At))
		if x.log.Member() == view.Leader && x.lease.ends != 0 { // its agent may be gone: the store waits for the end all the same
			mo.LeaseEnds, mo.LeaseTTL = max(x.lease.ends, mo.At), x.lease.ttl
		}
	}
	c.strangers(m, &view)
	slices.SortFunc(mo.Members, func(a, b simulations.MemberMoment) int { return cmp.Compare(a.Name, b.Name) })
	if settings, errs := events.ParseSettings(view.Config, events.DefaultSettings()); len(errs) > 0 {
		c.leave("of the configuration: %v", errs[0])
	} else if settings.Unsupported != "" {
		c.leave("%s, which neither the rules nor the models know", settings.Unsupported)
	}
	for _, kv := range mo.Contents.Keys {
		if !knownKey(kv.Key) {
			c.leave("what the key %s means: it is kept, and nobody reads it", kv.Key)
		}
	}
	c.leave("WAL that was removed: all is taken to be there; an archive is taken to be there; what clients wrote before the point is not counted as acknowledged")
}

// inForce are the settings of the member whose view of the store is the newest.
func inForce(members []*known) events.Settings {
	newest, settings := uint64(0), events.DefaultSettings()
	for _, x := range members {
		if x.status != nil && x.status.View.Revision >= newest {
			newest, settings = x.status.View.Revision, x.status.Settings
		}
	}
	return settings
}

func (c *Cut) leave(format string, args ...any) {
	c.LeftOut = append(c.LeftOut, fmt.Sprintf(format, args...))
}

func knownKey(key string) bool {
	switch key {
	case events.KeyInitialize, events.KeyConfig, events.KeyLeader, events.KeyStatus, events.KeyOptimeLeader, events.KeyHistory, events.KeySync,
		events.KeyFailover, events.KeyFailsafe:
		return true
	}
	return strings.HasPrefix(key, events.KeyMembers)
}

// contents are what the member saw that saw most, with what others were told of their own writes since.
func (c *Cut) contents(members []*known) events.DCSSnapshot {
	var best kept
	for _, x := range members {
		if x.store.revision > best.revision {
			best = x.store
		}
	}
	best.keys = slices.Clone(best.keys)
	seen := best.revision
	for _, x := range members {
		for _, w := range x.writes {
			if w.Revision > seen {
				best.set(w, false)
				best.revision = max(best.revision, w.Revision)
			}
		}
	}
	return events.DCSSnapshot{Revision: best.revision, Term: best.term, Keys: best.keys}
}

// moment is the member at the point.
func (x *known) moment(c *Cut, now events.Instant) simulations.MemberMoment {
	at := simulations.MemberMoment{Name: x.log.Member(), Config: x.log.Config, Inputs: x.inputs, Dead: x.dead, Frozen: x.frozen, Last: x.last,
		Upstream: x.upstream, Orders: x.orders}
	if x.status == nil {
		c.leave("%s: its log begins after the point; it starts there, with an empty data directory", at.Name)
		return at
	}
	at.Config, at.Seen, at.Guard = x.status.Member, x.status.Postgres, x.status.Guard
	at.Guard.Deadline = shifted(at.Guard.Deadline, x.by)
	if at.Seen.Sampled == 0 { // its agent has just started, and has not looked yet
		at.Seen = x.seen
	}
	if at.Seen.Data == events.DataUnknown && x.files.Data != events.DataUnknown {
		at.Seen.Data, at.Seen.Control = x.files.Data, x.files.Control
		c.leave("%s: its data directory does not answer; it is taken to be as it was last seen", at.Name)
	}
	if at.Guard == (events.GuardTick{}) {
		at.Guard = x.guard
	}
	if g := &at.Guard; g.Fired || g.Alive && g.Deadline != 0 && g.Deadline <= now { // it needs no agent to fire
		g.Fired, g.Deadline = true, 0
		at.Seen.Running, at.Seen.Answering, at.Seen.Starting = false, false, false
	}
	if x.recorded.ttl != 0 {
		at.RecordTTL, at.RecordEnds = x.recorded.ttl, max(x.recorded.at.Add(x.recorded.ttl), now)
	}
	if x.dead {
		c.leave("%s: its agent is not heard of at that point; it is taken to have ended, and its PostgreSQL to be as it was last seen", at.Name)
	}
	if len(x.status.InFlight) > 0 {
		var kinds []string
		for _, e := range x.status.InFlight {
			kinds = append(kinds, string(e.Action.ActionKind()))
		}
		c.leave("%s: how far %s had come: begun anew", at.Name, strings.Join(kinds, ", "))
	}
	return at
}

// strangers are members that the store knows and whose logs are not there: they are what their records say.
func (c *Cut) strangers(m *Merged, view *events.View) {
	mo := c.Moment
	for i := range view.Members {
		r := &view.Members[i]
		if slices.ContainsFunc(mo.Members, func(at simulations.MemberMoment) bool { return at.Name == r.Name }) {
			continue
		}
		config := m.Logs[0].Config
		config.Name, config.APIURL, config.ConnURL, config.Tags = r.Name, r.APIURL, r.ConnURL, events.Tags{}
		if r.Tags != nil {
			config.Tags = *r.Tags
		}
		at := simulations.MemberMoment{Name: r.Name, Config: config, Upstream: view.Leader}
		at.Seen = standing(r, m.SystemID, 1<<20+i)
		at.Last = at.Seen.Server
		mo.Members = append(mo.Members, at)
		c.leave("%s: its log is not there; its agent starts at that point, beside the PostgreSQL of which its record tells", r.Name)
	}
}

// standing is a PostgreSQL as a member's record tells of it.
func standing(r *events.MemberRecord, systemID string, pid int) events.Observation {
	if r.Role == "uninitialized" || r.Timeline == 0 {
		return events.Observation{Data: events.DataEmpty}
	}
	primary := r.Role == "primary" || r.Role == "master"
	o := events.Observation{Data: events.DataPresent, Control: events.Control{SystemID: systemID, State: "in archive recovery", Timeline: r.Timeline,
		CheckpointLSN: r.XlogLocation, CanRewind: true, StandbySignal: !primary}}
	o.Server = events.Server{InRecovery: !primary, Timeline: r.Timeline}
	if primary {
		o.Control.State, o.Server.FlushLSN = "in production", r.XlogLocation
	} else {
		o.Server.ReceivedLSN, o.Server.ReplayedLSN = r.XlogLocation, r.XlogLocation
	}
	if r.State == "running" {
		o.Running, o.Answering, o.PID = true, true, pid
	}
	return o
}
