package simulations

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Member is a modelled host: an agent with its engine, a PostgreSQL and a guard.
type Member struct {
	w      *World
	name   string
	engine *engine.Engine
	pg     postgres
	alive  bool
	frozen bool
	run    int // grows with each start of the agent: what was for an older one is dropped
	inbox  []events.Fact

	storeCut  bool
	isolated  bool // from other members
	watchLost bool
	watchAt   events.Instant // of the last delivery
	lookAt    events.Instant // of the last observation's delivery

	guardAlive    bool
	guardDeadline events.Instant
	guardFired    bool

	wake events.Instant
	seq  uint64
	// Exit is the code with which the agent ended, -1 while it has not.
	Exit int
	// Tags of the member, set before Start.
	Tags events.Tags
	// Mutate changes effects before they are performed: a deliberately wrong executor, for tests of the judges.
	Mutate  func(*events.Effect)
	pending map[uint64]bool // effects under way
}

func newMember(w *World, name string) *Member {
	m := &Member{w: w, name: name, Exit: -1, guardAlive: true}
	m.pg = postgres{w: w, m: m}
	w.every(10*time.Millisecond, m.tick)
	w.every(time.Second, m.observe)
	return m
}

// tick is what goes on all the time: clients write, WAL flows, the guard looks at its clock.
func (m *Member) tick() {
	m.pg.write()
	m.pg.stream()
	m.guardLook()
}

func (w *World) every(d time.Duration, do func()) {
	w.after(w.jitter(d), func() { do(); w.every(d, do) })
}

// Start starts the agent.
func (m *Member) Start() {
	m.run++
	m.engine = engine.New(engine.Options{})
	m.alive, m.frozen, m.inbox, m.pending, m.seq = true, false, nil, map[uint64]bool{}, 0
	m.wake, m.watchLost = 0, true
	m.post(events.Started{Version: "sim", Member: events.MemberConfig{
		Name: m.name, Scope: "sim", APIURL: "http://" + m.name + ":8008/patroni", ConnURL: "postgres://" + m.name + ":5432/postgres",
		CanBootstrap: true, Bootstrap: json.RawMessage(m.w.set.Config), GuardPolicy: m.w.set.Guard, Tags: m.Tags,
	}})
	m.post(m.guardTick())
	if !m.guardAlive {
		m.startGuard()
	}
	m.observe()
	m.reachChanged()
}

// Kill ends the agent at once; PostgreSQL and the guard go on.
func (m *Member) Kill() { m.alive = false; m.run++ }

// KillAll ends everything of this host.
func (m *Member) KillAll() {
	m.Kill()
	m.pg.running, m.pg.starting, m.pg.streaming, m.pg.hung = false, false, false, false
	m.guardAlive, m.guardDeadline = false, 0
}

// Boot starts the host again.
func (m *Member) Boot() { m.guardAlive, m.guardFired = true, false; m.Start() }

// Freeze stops the agent's time, Thaw lets it go on.
func (m *Member) Freeze() { m.frozen = true }

// Thaw lets a frozen agent go on with what it missed.
func (m *Member) Thaw() {
	m.frozen = false
	in := m.inbox
	m.inbox = nil
	for _, f := range in {
		m.post(f)
	}
	m.post(events.TimerFired{})
}

// CrashPostgres kills the postmaster.
func (m *Member) CrashPostgres() { m.pg.die() }

// KillGuard ends the guard; Agents start another after a moment.
func (m *Member) KillGuard() {
	m.guardAlive = false
	m.post(m.guardTick())
	m.startGuard()
}

// startGuard is what a living agent does. The new guard takes the deadline from the page.
func (m *Member) startGuard() {
	m.w.after(100*time.Millisecond, func() {
		if m.alive && !m.guardAlive {
			m.guardAlive = true
			m.post(m.guardTick())
		}
	})
}

func (m *Member) guardTick() events.GuardTick {
	return events.GuardTick{Alive: m.guardAlive, Deadline: m.guardDeadline, Fired: m.guardFired}
}

// guardLook is the guard's own loop.
func (m *Member) guardLook() {
	if m.guardAlive && m.guardFired && m.pg.running {
		m.pg.die() // whatever is started, until an agent acknowledges
	}
	if !m.guardAlive || m.guardDeadline == 0 || m.w.now < m.guardDeadline || m.guardFired {
		return
	}
	m.guardFired, m.guardDeadline = true, 0
	m.pg.die()
	m.post(m.guardTick())
}

func (m *Member) observe() {
	if m.alive && !m.frozen {
		m.look()
	}
}

// reachChanged tells the agent that it can, or cannot, reach the store.
func (m *Member) reachChanged() {
	if !m.alive {
		return
	}
	if !m.w.store.up || m.storeCut {
		m.watchLost = true
		run := m.run
		m.w.after(time.Second, func() {
			if m.run == run && m.watchLost {
				m.post(events.DCSReach{Reason: "no answer"})
			}
		})
		return
	}
	if m.watchLost {
		m.watchLost = false
		m.watched(m.w.store.snapshot())
	}
}

// post gives a fact to the agent now; postAfter later. A frozen agent gets it when it thaws.
func (m *Member) post(f events.Fact) {
	if !m.alive {
		return
	}
	if m.frozen {
		m.inbox = append(m.inbox, f)
		return
	}
	m.seq++
	in := events.Input{Seq: m.seq, At: m.w.now, Wall: epochWall.Add(time.Duration(m.w.now)).UnixNano(), Fact: f}
	d := m.engine.Step(in)
	m.w.note(m, in, &d)
	for _, e := range d.Effects {
		if m.Mutate != nil {
			m.Mutate(&e)
		}
		m.perform(e)
	}
	m.sleepUntil(d.WakeAt)
}

func (m *Member) postAfter(d time.Duration, f events.Fact) {
	run := m.run
	m.w.after(d, func() {
		if m.run == run {
			m.post(f)
		}
	})
}

// watched delivers a change in the order of the watch: late, never before an earlier one.
func (m *Member) watched(f events.Fact) {
	d := m.w.jitter(storeLatency)
	if m.w.chance(m.w.Faults.LateWatch) {
		d += m.w.within(2 * time.Second)
	}
	m.watchAt = max(m.watchAt, m.w.now.Add(d))
	m.postAfter(m.watchAt.Sub(m.w.now), f)
}

func (m *Member) sleepUntil(at events.Instant) {
	m.wake = at
	run := m.run
	m.w.after(max(at.Sub(m.w.now), time.Millisecond), func() {
		if m.run == run && m.wake == at && !m.frozen {
			m.wake = 0
			m.post(events.TimerFired{})
		}
	})
}

// Ask gives an operator's order.
func (m *Member) Ask(r events.OperatorRequest) { m.post(events.OperatorAsked{Request: r}) }

// Stop asks the agent to end.
func (m *Member) Stop() { m.post(events.ShutdownAsked{Reason: "SIGTERM"}) }

// State tells the lifecycle state and the rule that holds the member there.
func (m *Member) State() string {
	s := m.engine.Status()
	return fmt.Sprintf("%s %s: %s", s.State, s.Rule, s.Why)
}
