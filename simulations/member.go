package simulations

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
	"github.com/regent-ha/regent/simulations/stores"
)

// Member is a modelled host: an agent with its engine, a PostgreSQL and a guard.
type Member struct {
	w       *World
	name    string // of its host
	called  string // by the agent's configuration: the same, unless somebody has made a mistake
	index   int    // its place among the world's members
	engine  *engine.Engine
	session stores.Session // of the agent that runs
	line    *line
	force   runner.Force
	pg      *postgres.Server
	guard   guard
	log     eventLog
	clock   hostClock

	alive  bool
	frozen bool
	// frozenBefore tells that the agent of a host that is suspended was frozen before that.
	frozenBefore bool
	asleep       bool   // the host is suspended
	isolated     bool   // from other members
	down         bool   // the host is
	ended        uint64 // the effect on the data directory that ended last, whether the agent has heard of that or not
	run          int    // grows with each start of the agent: what was for an older one is dropped
	inbox        []events.Fact
	syncing      bool            // waits for its event log
	deferred     []events.Effect // that are performed after that
	lookAt       events.Instant  // of the last observation's delivery
	wake         *kernel.Timer
	wakeAt       events.Instant // by the host's clock
	looks        *kernel.Timer
	seq          uint64
	in           events.Input            // of the last step, and
	d            events.Decision         // what was decided: kept here, so that no step allocates them
	seen         events.PostgresObserved // what was looked at last, likewise
	// Exit is the code with which the agent ended, -1 while it has not.
	Exit int
	// Tags of the member, set before Start.
	Tags   events.Tags
	config *events.MemberConfig // instead of the world's own, when it is not nil
	// doom, if set, says whether the agent dies in the middle of a decision, and how many of its effects are performed before.
	doom    func(d *events.Decision) (performed int, dies bool)
	pending map[uint64]func() // effects under way, and how those on PostgreSQL are given up
	laggard laggard           // of a mutant
}

func newMember(w *World, name string) *Member {
	m := &Member{w: w, name: name, called: name, index: len(w.net.links), Exit: -1, line: &line{net: w.net}}
	w.net.joinLinks()
	m.line.clock = &m.clock
	m.pg = w.servers.Add(name)
	m.guard = newGuard(m)
	m.wake = w.k.NewTimer(func() {
		if m.alive && !m.frozen {
			m.post(events.TimerFired{})
		}
	})
	m.looks = w.k.NewTimer(func() {
		m.looks.Set(w.Now().Add(time.Second))
		m.observe()
	})
	m.looks.Set(w.Now().Add(kernel.Between(w.hosts, "phase of the probe", 0, time.Second)))
	return m
}

// Start starts the agent, and its host if that is down.
func (m *Member) Start() {
	if m.down {
		m.down = false
		m.pg.BootHost()
	}
	m.run++
	if m.log.stalled || m.asleep {
		m.startLater()
		return
	}
	m.engine = engine.New(engine.Options{})
	m.alive, m.frozen, m.inbox, m.pending, m.seq, m.force = true, false, nil, map[uint64]func(){}, 0, runner.Force{}
	m.syncing, m.deferred = false, nil
	m.log.begun()
	run := m.run
	m.session = m.w.store.Open(m.called, m.line)
	m.post(events.Started{Version: "sim", Member: m.local()})
	m.post(m.guard.tick())
	if m.run != run {
		return // it died in the middle of that
	}
	m.guard.agentStarted()
	if m.observe(); m.run != run {
		return
	}
	m.session.Watch(func(f events.Fact) {
		if m.run == run {
			m.post(f)
		}
	})
}

// local is the configuration of the member's agent.
func (m *Member) local() events.MemberConfig {
	c := events.MemberConfig{Name: m.called, Scope: "sim", APIURL: "http://" + m.name + ":8008/patroni", ConnURL: "postgres://" + m.name + ":5432/postgres",
		CanBootstrap: true, Bootstrap: json.RawMessage(m.w.set.Config), GuardPolicy: m.w.set.Guard}
	if m.config != nil {
		c = *m.config
	}
	c.Tags, c.MinTTL, c.WholeSecondTTL = m.Tags, m.w.store.Limits().MinTTL, m.w.store.Limits().WholeSecondTTL
	return c
}

// startLater is an agent that waits for the volume of its event log, or for its host.
func (m *Member) startLater() {
	run := m.run
	m.w.after(100*time.Millisecond, func() {
		if m.run == run {
			m.Start()
		}
	})
}

// Kill ends the agent at once; PostgreSQL and the guard go on.
func (m *Member) Kill() {
	if m.session != nil {
		m.session.Close()
		m.session = nil
	}
	m.alive = false
	m.run++
	m.wake.Stop()
	m.pg.AgentDied()
}

// KillAll ends everything of this host.
func (m *Member) KillAll() {
	m.Kill()
	m.dropped()
	m.pg.CrashHost()
	m.down = true
	m.guard.end()
}

// Isolate cuts the member from the other members, or joins them again.
func (m *Member) Isolate(isolated bool) {
	m.isolated = isolated
	m.w.servers.Changed()
}

// Boot starts the host again.
func (m *Member) Boot() {
	m.guard.boot()
	m.Start()
}

// Freeze stops the agent's time, Thaw lets it go on.
func (m *Member) Freeze() {
	if m.asleep {
		m.frozenBefore = true
	}
	m.frozen = true
}

// Thaw lets a frozen agent go on with what it missed.
func (m *Member) Thaw() {
	if m.asleep {
		m.frozenBefore = false
		return
	}
	m.frozen = false
	m.goOn()
	m.post(events.TimerFired{})
}

// goOn does what waited while the agent was frozen, or for its event log.
func (m *Member) goOn() {
	if m.frozen || m.syncing {
		return
	}
	effects, in := m.deferred, m.inbox
	m.deferred, m.inbox = nil, nil
	for _, e := range effects {
		m.perform(e)
	}
	for _, f := range in {
		m.post(f)
	}
}

// CrashPostgres kills the postmaster.
func (m *Member) CrashPostgres() { m.pg.Kill() }

func (m *Member) observe() {
	if m.alive && !m.frozen {
		m.look()
	}
}

// post gives a fact to the agent now; postAfter later. A frozen agent gets it when it thaws.
func (m *Member) post(f events.Fact) {
	if !m.alive {
		return
	}
	if m.frozen || m.syncing {
		m.inbox = append(m.inbox, f)
		return
	}
	m.seq++
	now, mutant := m.now(), m.w.set.Mutant
	if mutant != nil && mutant.fact != nil {
		f = mutant.fact(m, f)
	}
	m.in = events.Input{Seq: m.seq, At: now, Wall: m.wall(), Fact: f}
	m.d = m.engine.Step(m.in)
	if mutant != nil && mutant.decide != nil {
		mutant.decide(m, &m.d)
	}
	m.w.note(m, &m.in, &m.d)
	if m.doom != nil && m.dies(&m.d) {
		return
	}
	if m.log.stalled {
		m.log.recorded(2)
	}
	wake, effects := max(m.d.WakeAt, now.Add(time.Millisecond)), m.d.Effects // what is performed may post again
	if m.log.stalled && waitsForLog(effects) {
		m.sync(effects)
	} else {
		for _, e := range effects {
			m.perform(e)
		}
	}
	if m.alive {
		m.wakeAt = wake
		m.wake.Set(m.clock.when(wake))
	}
}

// wall is what the host's wall clock reads, in Unix nanoseconds.
func (m *Member) wall() int64 {
	return epochWall.Add(time.Duration(m.w.Now()) + m.clock.wall).UnixNano()
}

// dies ends the agent in the middle of a decision, if that is its doom.
func (m *Member) dies(d *events.Decision) bool {
	n, dies := m.doom(d)
	if !dies {
		return false
	}
	m.doom = nil
	run := m.run
	for _, e := range d.Effects[:n] {
		m.perform(e)
	}
	if m.run == run {
		m.Kill()
	}
	return true
}

// sync lets effects wait for an event log that does not answer, for as long as that may take.
func (m *Member) sync(effects []events.Effect) {
	run := m.run
	m.syncing, m.deferred = true, slices.Clone(effects)
	m.w.after(logSyncBudget, func() {
		if m.run == run {
			m.syncing = false
			m.goOn()
		}
	})
}

func (m *Member) postAfter(d time.Duration, f events.Fact) {
	run := m.run
	m.w.after(d, func() {
		if m.run == run {
			m.post(f)
		}
	})
}

// Stop asks the agent to end.
func (m *Member) Stop() { m.post(events.ShutdownAsked{Reason: "SIGTERM"}) }

// State tells the lifecycle state and the rule that holds the member there.
func (m *Member) State() string {
	s := m.engine.Status()
	return fmt.Sprintf("%s %s: %s", s.State, s.Rule, s.Why)
}
