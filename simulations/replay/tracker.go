package replay

import (
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Breach is something that must not happen and did.
type Breach struct {
	At        events.Instant `json:"at"`
	Invariant string         `json:"invariant"` // as in docs/SIMULATIONS.md
	Text      string         `json:"text"`
}

// Source says whose step it is: the member, and the clock that it was recorded by.
type Source struct {
	Member string
	Clock  int
}

// Tracker looks at the steps of all members, in the order of the axis, and judges what can be known from them alone. It changes
// nothing; whatever feeds it, a recording or a world of models, it sees the same facts.
type Tracker struct {
	// Doubt is how far instants by two clocks may be off against each other. Nil: they are one clock.
	Doubt func(a, b int) time.Duration

	members  []*watched
	tenures  []*Tenure
	writings []*Writing
	breaches []Breach
	margins  []Margin
	lines    []Line
	now      events.Instant
	free     events.Instant // from when on the steps are those of a world
	restored bool           // the store was restored to an older state: its revisions mean nothing against those before
	holders  map[uint64]holder
}

// holder is whom the leader key named at a revision, and who saw it first.
type holder struct{ name, by string }

// watched is what is known of one member, by its own record.
type watched struct {
	Source
	config  events.MemberConfig
	state   events.LifecycleState
	run     int  // of its agent
	alive   bool // its agent has started and not ended
	view    events.LiveView
	older   int // snapshots in a row that were older than the view
	tenure  *Tenure
	writing *Writing
	pg      events.Observation
	ended   events.Instant // when its PostgreSQL was last known to end
	exitPID int
	order   events.Instant // from when a server may accept writes by order of its agent; zero: not since it ended

	guard    events.GuardTick
	arming   map[uint64]events.Instant
	armed    events.Instant // the latest deadline that the guard may have been told, zero when disarmed
	late     bool           // told that the server outlived it
	asked    uint64         // revision of the last order to move the leader
	moved    events.Instant // when that was seen
	failover events.Instant // until when an order to fail over to this member stands
	orders   map[events.OperatorVerb]events.Instant
	work     struct {
		effect uint64
		kind   events.ActionKind
		until  events.Instant
	}
}

// NewTracker makes a tracker that has seen nothing.
func NewTracker() *Tracker { return &Tracker{holders: map[uint64]holder{}} }

func (t *Tracker) doubt(a, b int) time.Duration {
	if t.Doubt == nil {
		return 0
	}
	return t.Doubt(a, b)
}

func (t *Tracker) breaks(invariant, text string) {
	t.breaches = append(t.breaches, Breach{t.now, invariant, text})
}

func (t *Tracker) member(name string) *watched {
	for _, m := range t.members {
		if m.Member == name {
			return m
		}
	}
	m := &watched{Source: Source{Member: name}, orders: map[events.OperatorVerb]events.Instant{}, arming: map[uint64]events.Instant{}}
	t.members = append(t.members, m)
	return m
}

// Step takes one step. Its instants are those of the axis. The decision is nil where it was lost.
func (t *Tracker) Step(from Source, in events.Input, d *events.Decision) {
	m := t.member(from.Member)
	m.Clock, t.now = from.Clock, in.At
	t.fact(m, &in)
	if d == nil {
		return
	}
	t.decision(m, &in, d)
	if d.From != d.To || m.state != d.To && m.state != "" {
		t.lines = append(t.lines, t.line(m, &in, d))
	}
	m.state = d.To
}

// fact folds what was seen.
func (t *Tracker) fact(m *watched, in *events.Input) {
	switch f := in.Fact.(type) {
	case events.Started:
		t.started(m, f)
	case events.DCSSnapshot:
		t.snapshot(m, f)
	case events.DCSChange:
		if f.Revision == 0 || f.Revision >= m.view.Revision {
			m.view.Apply(f)
			t.viewed(m)
		}
	case events.LeaseOutcome:
		t.lease(m, &f)
	case events.PostgresObserved:
		t.observed(m, &f.Observation)
	case events.PostgresExited:
		if f.Gone && (f.PID == m.pg.PID || m.pg.PID == 0) {
			m.exitPID = f.PID
			t.closed(m, in.At, "its postmaster ended")
		}
	case events.EffectFinished:
		t.finished(m, &f)
	case events.GuardTick:
		if f.Fired && !m.guard.Fired {
			t.closed(m, in.At, "its guard fired")
		}
		m.guard = f
		m.armed = max(m.armed, f.Deadline)
	case events.OperatorAsked:
		m.orders[f.Request.Verb] = in.At
		if f.Request.Member != nil {
			m.config = *f.Request.Member
		}
	}
}

func (t *Tracker) started(m *watched, f events.Started) {
	if m.alive {
		t.lines = append(t.lines, Line{At: t.now, Member: m.Member, States: t.states(), Run: m.run, Text: "its agent had ended before, without a word in its log"})
	}
	m.run++
	m.config, m.alive, m.state = f.Member, true, engine.Starting
	m.view, m.older = events.LiveView{}, 0 // the guard outlives its agent
	m.work.effect = 0
	clear(m.arming)
	t.lines = append(t.lines, Line{At: t.now, Member: m.Member, States: t.states(), Run: m.run, Seq: 1, Text: "its agent starts"})
}

// snapshot takes a view as the engine does: an older one only when it is said again and again.
func (t *Tracker) snapshot(m *watched, f events.DCSSnapshot) {
	if f.Revision < m.view.Revision {
		if m.older++; m.older < 3 {
			return
		}
		t.restored = true
		clear(t.holders)
	}
	m.older = 0
	m.view.TakeSnapshot(f)
	t.viewed(m)
}

// viewed draws what follows from a new view.
func (t *Tracker) viewed(m *watched) {
	v := &m.view
	if v.Leader != "" && v.LeaderRevision != 0 && !t.restored {
		seen, known := t.holders[v.LeaderRevision]
		if !known {
			t.holders[v.LeaderRevision] = holder{v.Leader, m.Member}
		} else if seen.name != v.Leader {
			t.breaks("S4", "the leader key names "+v.Leader+" for "+m.Member+" and "+seen.name+" for "+seen.by+", at one revision")
			t.holders[v.LeaderRevision] = holder{v.Leader, m.Member}
		}
	}
	if x := m.tenure; x.open() && v.Leader != m.Member && (v.LeaderRevision == 0 || v.LeaderRevision > x.Epoch) && v.Revision > x.Epoch {
		x.end(t.now, "the store shows that it is over")
	}
	if v.Failover.Leader != "" || v.Failover.Candidate != "" {
		if v.Failover.Revision != m.asked {
			m.asked, m.moved = v.Failover.Revision, t.now
		}
		if v.Failover.Leader == "" && v.Failover.Candidate == m.Member {
			m.failover = t.now.Add(3 * time.Second)
		}
	}
}

func (t *Tracker) finished(m *watched, f *events.EffectFinished) {
	if f.Effect == m.work.effect {
		m.work.effect = 0
	}
	at := f.Ended
	if at == 0 {
		at = t.now
	}
	switch f.Action {
	case events.ActArmGuard:
		if deadline := m.arming[f.Effect]; deadline != 0 && f.Outcome == events.Done {
			m.guard.Deadline = deadline
		}
		delete(m.arming, f.Effect)
	case events.ActDisarmGuard:
		if f.Outcome == events.Done {
			m.armed, m.guard.Deadline, m.guard.Fired = 0, 0, false
		}
	case events.ActStopPostgres:
		if f.Outcome == events.Done {
			m.exitPID = m.pg.PID
			t.closed(m, at, "it was stopped")
		}
	case events.ActPromote, events.ActStartPostgres, events.ActRestartPostgres:
		if f.Outcome == events.Failed || f.Outcome == events.Stale {
			if m.writing == nil && !m.pg.Running {
				m.order = 0
			}
		}
	}
}
