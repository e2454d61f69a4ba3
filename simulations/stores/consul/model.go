package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

const (
	// minTTL is session_ttl_min, by default.
	minTTL = 10 * time.Second
	// lockDelay is the smallest that can be sent: zero means the default of 15 s.
	lockDelay = time.Millisecond
)

// Config says what is modelled.
type Config struct {
	Servers int // 1 or 3; 3 if zero
	// AgentNode binds the sessions of leases to the catalog node of the member's own Consul agent, as Patroni does;
	// they then end with it. Otherwise only those of member records are (doc.go, point 3).
	AgentNode bool
}

// Model is a Consul datacenter and our adapters to it.
type Model struct {
	env     kernel.Env
	cfg     Config
	servers []*server
	leader  int    // -1 if none can commit
	term    uint64 // the newest
	// st is what is committed. Servers that follow share it.
	st     *state
	limbo  []*proposal
	timers []timer // of the leader, in its memory
	// election numbers the plans for one; planned tells that one stands.
	election int
	planned  bool
	waking   bool // blocking queries are being woken
	wipes    int

	agents     []*agent // open ones
	members    []string // in the order of their first Open
	sessionIDs sessionID
	begun      map[string]*begun // what adapters go on with, by member
	tokens     uint64            // for the flags of written keys
}

// New builds a model whose servers have just elected their first leader.
func New(env kernel.Env, cfg Config) *Model {
	if cfg.Servers == 0 {
		cfg.Servers = 3
	}
	m := &Model{env: env, cfg: cfg, term: 1, st: newState()}
	for i := range cfg.Servers {
		m.servers = append(m.servers, &server{m: m, id: i, up: true, started: env.Now(), st: m.st})
	}
	m.servers[0].leads, m.servers[0].term = true, 1
	return m
}

// newState is that of servers which have just been bootstrapped; they wrote about themselves.
func newState() *state { return &state{index: 20, table: 1} }

// Kind is "consul".
func (m *Model) Kind() string { return "consul" }

// Limits are those of Consul's sessions.
func (m *Model) Limits() backends.Limits { return backends.Limits{Kind: "consul", MinTTL: minTTL} }

// Servers is their number.
func (m *Model) Servers() int { return len(m.servers) }

// Leader is the server that can commit, -1 if there is none.
func (m *Model) Leader() int { return m.leader }

// Kill ends a server as a crash does.
func (m *Model) Kill(i int) {
	s := m.servers[i]
	if !s.up {
		return
	}
	s.cutOff()
	s.up, s.frozen, s.leads = false, false, false
	s.life++
	s.die()
	m.reconsider()
}

// Start starts a server that was killed; what it had synced is there.
func (m *Model) Start(i int) {
	s := m.servers[i]
	if s.up {
		return
	}
	s.up, s.started = true, m.env.Now()
	m.reconsider()
}

// Freeze stops a server's time.
func (m *Model) Freeze(i int) {
	s := m.servers[i]
	if !s.alive() {
		return
	}
	s.cutOff()
	s.frozen = true
	m.reconsider()
}

// Thaw lets a server go on. One that was deposed meanwhile may answer what had waited before it learns of it.
func (m *Model) Thaw(i int) {
	s := m.servers[i]
	if !s.up || !s.frozen {
		return
	}
	s.frozen = false
	deposed := s.leads && s.term != m.term
	if deposed && m.env.Pick("a deposed leader first answers what had waited", 2) == 0 {
		s.stepDown()
	}
	if !deposed {
		m.reconsider()
	}
	waited := s.backlog
	s.backlog = nil
	for _, do := range waited {
		s.run(do)
	}
	if deposed {
		s.stepDown()
		m.reconsider()
	} else if s.leads && !s.rules() {
		s.later(leaderLease, func() {
			if s.leads && !s.rules() {
				s.stepDown()
			}
		})
	}
}

// Split lets only the servers of group reach each other, and the others each other.
func (m *Model) Split(group []int) {
	for _, s := range m.servers {
		s.group = 0
		if slices.Contains(group, s.id) {
			s.group = 1
		}
	}
	for _, s := range m.servers {
		if m.reached(s) < m.majority() {
			s.cutOff()
		}
	}
	m.reconsider()
}

// Join heals a Split.
func (m *Model) Join() {
	for _, s := range m.servers {
		s.group = 0
	}
	m.reconsider()
}

// Wipe recreates the datacenter without its data: indices begin anew.
func (m *Model) Wipe() {
	m.st = newState()
	m.limbo, m.timers = nil, nil
	m.term++
	m.wipes++
	m.leader = -1
	for _, s := range m.servers {
		s.life++
		s.leads, s.started, s.st = false, m.env.Now(), m.st
		s.die()
	}
	m.reconsider()
}

// Truth is the leader key as committed. Epoch is that of the lease, which a move to another session keeps.
func (m *Model) Truth() stores.Truth {
	e := lookup(m.st.keys, events.KeyLeader)
	if e == nil {
		return stores.Truth{}
	}
	t := stores.Truth{Holder: e.value, Epoch: e.epoch}
	s := m.st.session(e.session)
	if s == nil {
		return t
	}
	t.Ends = m.env.Now()
	if m.leader < 0 { // the next leader starts the timer anew
		t.Ends = t.Ends.Add(timerFactor * s.ttl)
	} else if timer := m.timer(s.id); timer != nil {
		t.Ends = timer.ends
	}
	return t
}

// Contents is the directory as committed.
func (m *Model) Contents() events.DCSSnapshot { return snapshotOf(m.st.view(), m.st.listIndex()) }

// Edit writes or deletes a key as "consul kv put" or "consul kv delete" does: the session of the key stays.
func (m *Model) Edit(key, value string, remove bool) {
	m.st.index++
	do := step{verb: set, key: key, value: value}
	if remove {
		do.verb = erase
	}
	m.st.transact([]step{do})
	m.changed()
}

func snapshotOf(view []*entry, index uint64) events.DCSSnapshot {
	s := events.DCSSnapshot{Revision: index, Keys: make([]events.KeyValue, len(view))}
	for i, e := range view {
		s.Keys[i] = keyValue(e)
	}
	return s
}

func keyValue(e *entry) events.KeyValue {
	return events.KeyValue{Key: e.key, Value: e.value, Revision: e.modify}
}
