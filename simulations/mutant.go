package simulations

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Mutant is a deliberately wrong agent. A simulator that does not catch it is worthless: the table of mutants is the proof that
// the judges, the faults and the models can find what they are there for. Every member of a world has the same mutant, or none.
type Mutant struct {
	Name string // what is wrong, as a person would say it
	// Breaks are the invariants by which it may be found out.
	Breaks []string
	// Tolerated are the stores on which the mistake cannot do harm, with the reason.
	Tolerated map[string]string

	fact   func(m *Member, f events.Fact) events.Fact                   // what the engine is told
	decide func(m *Member, d *events.Decision)                          // what it is taken to have decided
	send   func(m *Member, r *stores.Request) bool                      // false: never sent, and reported as done
	answer func(m *Member, r *stores.Request, resp *stores.Response)    // what the adapter makes of an answer
	guard  func(m *Member, deadline events.Instant) (at events.Instant) // when the guard fires; zero: never
}

var late = map[string]string{"consul": "a session lasts up to twice the ttl that is promised: the mistake stays within that"}

// Mutants is the table.
var Mutants = []Mutant{
	{Name: "the lease is dated at the reply", Breaks: []string{"S1", "S4"}, Tolerated: late, fact: onLease(func(m *Member, l *events.LeaseOutcome) {
		l.SentAt = m.now()
	})},
	{Name: "the lease is taken to last twice as long", Breaks: []string{"S1", "S4"}, Tolerated: late, fact: onLease(func(_ *Member, l *events.LeaseOutcome) {
		l.TTL *= 2
	})},
	{Name: "a renewal is not sent", Breaks: []string{"S1", "S4"}, send: func(_ *Member, r *stores.Request) bool { return r.Op != stores.Renew }},
	{Name: "an unknown renewal counts as done", Breaks: []string{"S1", "S4"}, Tolerated: late, answer: unknownIsDone(stores.Renew)},
	{Name: "a lost acquisition counts as won", Breaks: []string{"S1", "S4", "S7"}, answer: lostIsDone(stores.Acquire)},
	{Name: "an unknown acquisition counts as won", Breaks: []string{"S1", "S4", "S7"}, Tolerated: map[string]string{
		"zookeeper": "the view must show a lease before it is acted upon (CA-03): no seed of 60 got around that"}, answer: unknownIsDone(stores.Acquire)},
	{Name: "the guard never fires", Breaks: []string{"S1"}, Tolerated: late, guard: func(*Member, events.Instant) events.Instant { return 0 }},
	{Name: "the guard fires ten seconds late", Breaks: []string{"S1"}, Tolerated: late, guard: func(_ *Member, at events.Instant) events.Instant {
		return at.Add(10 * time.Second)
	}},
	{Name: "the lease is released before PostgreSQL is down", Breaks: []string{"S1"}, decide: func(m *Member, d *events.Decision) {
		for i := range d.Effects {
			if _, stops := d.Effects[i].Action.(events.StopPostgres); stops && m.pg.Accepts() {
				e := d.Effects[i]
				e.ID, e.Action = 1<<40+e.ID, events.ReleaseLease{}
				d.Effects = append(d.Effects, e)
				return
			}
		}
	}},
	{Name: "the tag nofailover is ignored", Breaks: []string{"S3"}, fact: func(_ *Member, f events.Fact) events.Fact {
		if s, ok := f.(events.Started); ok {
			s.Member.Tags = events.Tags{}
			return s
		}
		return f
	}},
	{Name: "every timeline is taken for the newest", Breaks: []string{"S3", "S5", "S7"}, fact: func(m *Member, f events.Fact) events.Fact {
		newest := events.Timeline(0)
		for _, o := range m.w.members {
			newest = max(newest, o.pg.Timeline())
		}
		switch f := f.(type) {
		case events.PostgresObserved:
			f.Observation.Server.Timeline, f.Observation.Control.Timeline = newest, newest
			return f
		case events.PeerAnswered:
			f.Peer.Timeline = newest
			return f
		}
		return f
	}},
	{Name: "every comparison finds a divergence", Breaks: []string{"S5"}, fact: onCompared(events.DivergenceFound)},
	{Name: "no comparison finds a divergence", Breaks: []string{"L1", "L2", "L3"}, fact: onCompared(events.DivergenceNone)},
	{Name: "a rewind takes the place of every start", Breaks: []string{"S5"}, decide: replace(func(a events.Action) events.Action {
		if s, ok := a.(events.StartPostgres); ok && !s.AsPrimary && s.From.Name != "" {
			return events.Rewind{From: s.From}
		}
		return a
	})},
	{Name: "two effects work on the data directory at once", Breaks: []string{"S6"}, decide: func(_ *Member, d *events.Decision) {
		for i := range d.Effects {
			if _, starts := d.Effects[i].Action.(events.StartPostgres); starts {
				e := d.Effects[i]
				e.ID, e.Action = 1<<41+e.ID, events.CrashRecover{}
				d.Effects = append(d.Effects, e)
				return
			}
		}
	}},
	{Name: "a pause is not noticed", Breaks: []string{"S11", "S6"}, decide: func(m *Member, d *events.Decision) {
		if m.w.operators.paused && d.From == engine.Paused && !m.pg.Running() && len(d.Effects) == 0 && len(m.pending) == 0 {
			d.Effects = append(d.Effects, events.Effect{ID: 1<<42 + d.Input, Deadline: m.now().Add(time.Minute), Action: events.StartPostgres{}})
		}
	}},
	{Name: "reasons are not told", Breaks: []string{"L7"}, decide: func(_ *Member, d *events.Decision) {
		d.Why = ""
		for i := range d.Fired {
			d.Fired[i].Why = ""
		}
	}},
	{Name: "it wakes up all the time", Breaks: []string{"L5"}, decide: func(m *Member, d *events.Decision) { d.WakeAt = m.now() }},
	{Name: "a replica is never started", Breaks: []string{"L1", "L2"}, decide: func(_ *Member, d *events.Decision) {
		d.Effects = leavingOut(d.Effects, func(a events.Action) bool { s, ok := a.(events.StartPostgres); return ok && !s.AsPrimary })
	}},
	{Name: "nothing is promoted", Breaks: []string{"L1", "L2"}, decide: drop(events.ActPromote)},
	{Name: "a diverged member is never rewound", Breaks: []string{"L1", "L2"}, decide: drop(events.ActRewind)},
	{Name: "the loss of the lease stops nothing, and no guard watches", Breaks: []string{"S1"}, Tolerated: late,
		decide: func(_ *Member, d *events.Decision) {
			if d.To == engine.Demoting {
				d.Effects = leavingOut(d.Effects, func(a events.Action) bool { return a.ActionKind() == events.ActStopPostgres })
			}
		}, guard: func(*Member, events.Instant) events.Instant { return 0 }},
	{Name: "a renewal makes the lease immortal", Breaks: []string{"L1"}, Tolerated: map[string]string{
		"zookeeper": "no session gets more than 20 ticks"}, send: func(_ *Member, r *stores.Request) bool {
		if r.Op == stores.Renew {
			r.TTL = 24 * time.Hour
		}
		return true
	}, answer: func(m *Member, r *stores.Request, resp *stores.Response) {
		if r.Op == stores.Renew {
			resp.Lease.TTL = min(resp.Lease.TTL, m.engine.Status().Settings.TTL)
		}
	}},
	{Name: "what the store says is taken from a server that lags behind", Breaks: []string{"S3", "S7", "L1", "L2", "L3"}, fact: staleView},
	{Name: "a leader key with this member's name is taken for a lease that it won", Breaks: []string{"S1", "S4"},
		answer: func(m *Member, r *stores.Request, resp *stores.Response) {
			if truth := m.w.store.Truth(); r.Op == stores.Acquire && resp.Outcome != events.Done && truth.Holder == m.name {
				resp.Outcome = events.Done
				resp.Lease.Epoch, resp.Lease.SentAt, resp.Lease.TTL = truth.Epoch, m.w.Now(), r.TTL
			}
		}},
	{Name: "how far the last leader had come is not looked at", Breaks: []string{"S3"}, fact: func(_ *Member, f events.Fact) events.Fact {
		switch f := f.(type) {
		case events.DCSSnapshot:
			f.Keys = slices.DeleteFunc(slices.Clone(f.Keys), func(kv events.KeyValue) bool { return kv.Key == events.KeyStatus })
			return f
		case events.DCSChange:
			if f.Key == events.KeyStatus {
				return events.TimerFired{}
			}
		}
		return f
	}},
	{Name: "the slot of a member that is away is dropped", Breaks: []string{"S9"}, decide: func(m *Member, d *events.Decision) {
		if d.From != engine.Leading || d.Input%100 != 99 {
			return
		}
		for _, o := range m.w.members {
			if o != m && !o.pg.Streaming() {
				d.Effects = append(d.Effects, events.Effect{ID: 1<<43 + d.Input, Deadline: m.w.Now().Add(time.Minute),
					Action: events.SyncSlots{Drop: []string{engine.SlotName(o.name)}}})
				return
			}
		}
	}},
	{Name: "WAL is reset before every start as a primary", Breaks: []string{"S2"}, decide: func(m *Member, d *events.Decision) {
		for i := range d.Effects {
			if s, ok := d.Effects[i].Action.(events.StartPostgres); ok && s.AsPrimary && m.pg.HasData() {
				m.pg.CrashHost()
				m.pg.LoseFlushed(256)
				m.pg.BootHost()
			}
		}
	}},
	{Name: "a cluster is created though there is one", Breaks: []string{"S3", "S7"}, fact: func(m *Member, f events.Fact) events.Fact {
		if s, ok := f.(events.DCSSnapshot); ok && m.w.lastLeader != nil && !m.pg.HasData() {
			s.Keys = slices.DeleteFunc(slices.Clone(s.Keys), func(kv events.KeyValue) bool { return kv.Key == events.KeyInitialize })
			return s
		}
		return f
	}, send: func(m *Member, r *stores.Request) bool {
		if r.Op == stores.Put && r.Key == events.KeyInitialize && m.w.lastLeader != nil {
			r.Expect = events.Any
		}
		return true
	}},
	{Name: "nobody leads while another member does not answer", Breaks: []string{"L1"}, decide: func(m *Member, d *events.Decision) {
		for _, o := range m.w.members {
			if !o.alive || o.frozen || o.isolated {
				d.Effects = leavingOut(d.Effects, func(a events.Action) bool { return a.ActionKind() == events.ActAcquireLease })
				return
			}
		}
	}},
	{Name: "the end of a copy is not noticed", Breaks: []string{"L1", "L2", "L4"}, fact: func(_ *Member, f events.Fact) events.Fact {
		if e, ok := f.(events.EffectFinished); ok && e.Action == events.ActClone {
			return events.TimerFired{}
		}
		return f
	}},
	{Name: "effects are issued without a deadline", Breaks: []string{"L4"}, decide: func(_ *Member, d *events.Decision) {
		for i := range d.Effects {
			if d.Effects[i].Action.ActionKind() == events.ActStopPostgres {
				d.Effects[i].Deadline = 0
			}
		}
	}},
	{Name: "a leader resigns for no reason", Breaks: []string{"L3"}, decide: func(m *Member, d *events.Decision) {
		if d.From == engine.Leading && d.To == engine.Leading && d.Input%500 == 499 && len(d.Effects) == 0 {
			m.w.after(time.Millisecond, func() { m.pg.Kill() })
		}
	}},
}

// onLease changes what the engine is told of a lease that was won or prolonged.
func onLease(change func(*Member, *events.LeaseOutcome)) func(*Member, events.Fact) events.Fact {
	return func(m *Member, f events.Fact) events.Fact {
		if l, ok := f.(events.LeaseOutcome); ok && l.Outcome == events.Done && l.TTL != 0 {
			change(m, &l)
			return l
		}
		return f
	}
}

func onCompared(found events.Divergence) func(*Member, events.Fact) events.Fact {
	return func(_ *Member, f events.Fact) events.Fact {
		if e, ok := f.(events.EffectFinished); ok && e.Action == events.ActCheckDivergence && e.Outcome == events.Done {
			e.Result.Divergence = found
			return e
		}
		return f
	}
}

func unknownIsDone(op stores.Op) func(*Member, *stores.Request, *stores.Response) {
	return taken(op, events.Unknown)
}

func lostIsDone(op stores.Op) func(*Member, *stores.Request, *stores.Response) {
	return taken(op, events.Lost)
}

// taken makes a success of another outcome of a lease operation.
func taken(op stores.Op, outcome events.Outcome) func(*Member, *stores.Request, *stores.Response) {
	return func(m *Member, r *stores.Request, resp *stores.Response) {
		if r.Op != op || resp.Outcome != outcome {
			return
		}
		resp.Outcome = events.Done
		resp.Lease.SentAt, resp.Lease.TTL = m.w.Now(), r.TTL
		if resp.Lease.Epoch = r.Epoch; op == stores.Acquire {
			resp.Lease.Epoch = m.w.store.Contents().Revision
		}
	}
}

func replace(change func(events.Action) events.Action) func(*Member, *events.Decision) {
	return func(_ *Member, d *events.Decision) {
		for i := range d.Effects {
			d.Effects[i].Action = change(d.Effects[i].Action)
		}
	}
}

func drop(kind events.ActionKind) func(*Member, *events.Decision) {
	return func(_ *Member, d *events.Decision) {
		d.Effects = leavingOut(d.Effects, func(a events.Action) bool { return a.ActionKind() == kind })
	}
}

func leavingOut(effects []events.Effect, unwanted func(events.Action) bool) []events.Effect {
	kept := effects[:0:0]
	for _, e := range effects {
		if !unwanted(e.Action) {
			kept = append(kept, e)
		}
	}
	return kept
}
