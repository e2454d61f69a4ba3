package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Options say what ensemble it is.
type Options struct {
	// Servers is 1 or 3; 3 if zero.
	Servers int
	// MinTTL is the least ttl that is granted, in whole seconds; 2 s, as with etcd's default ticks, if zero.
	MinTTL time.Duration
	// KeepsLease makes the adapter go on with a lease under a leader that did not grant it, which is wrong: the former
	// leader may have it revoked when it thaws.
	KeepsLease bool
	// Drift bounds how late a look for expired leases is, beside the half second between two of them. Servers with a ticker have
	// none (source: server/lease/lessor.go; seen on 3.7.3); those that sleep between two looks drift by what each takes (3.4.23, whose looks are in no fixed rhythm).
	Drift time.Duration
}

// Model is an ensemble. It implements stores.Model.
type Model struct {
	env        kernel.Env
	minTTL     int64 // seconds
	keepsLease bool
	drift      time.Duration
	servers    []*server
	group      []int // by server: who shares a number can talk to each other
	clients    []*session
	begun      map[string]*begun // what sessions go on with, by member

	term    uint64
	leader  int  // by the newest term, -1 for none
	healthy bool // the leader can commit
	ballot  int  // counts what may make an election needless
	voting  bool // an election is planned

	contents
	index     int64   // counts committed entries
	pending   []*work // proposed to the leader, in order
	lastReady events.Instant
	stuck     []*work // reads that wait for a majority
	slowDisk  events.Instant
	commitDue func()
	checkDue  func()
}

var _ stores.Model = (*Model)(nil)

// server is one of the ensemble.
type server struct {
	m       *Model
	id      int
	up      bool
	frozen  bool
	life    int    // counts its starts
	leads   bool   // as it believes
	knows   int    // the leader that it knows, -1 for none
	term    uint64 // that it knows
	applied int64  // index
	planned bool   // to apply
	lagging events.Instant
	inbox   []func() // what happens when it thaws
	waiting []*work  // until it has applied their index
	serving []*work  // whose answer is due
	streams []*stream
	stale   []lease // as they were when another leader was elected unheard
	applyDue,
	learnDue func()
}

const (
	leaseCheck      = 500 * time.Millisecond // source: server/lease/lessor.go
	electionTimeout = time.Second            // the default of --election-timeout
	requestTimeout  = 7 * time.Second        // source: server/config/config.go, ReqTimeout
)

// New makes an ensemble that has elected its first leader.
func New(env kernel.Env, o Options) *Model {
	if o.Servers == 0 {
		o.Servers = 3
	}
	if o.MinTTL == 0 {
		o.MinTTL = 2 * time.Second
	}
	m := &Model{env: env, minTTL: seconds(o.MinTTL), keepsLease: o.KeepsLease, drift: o.Drift, group: make([]int, o.Servers), leader: -1}
	m.rev = 1 // seen on 3.4.23: an empty store is at revision 1
	m.commitDue, m.checkDue = m.commit, m.checkLeases
	for i := range o.Servers {
		s := &server{m: m, id: i, up: true, knows: -1}
		s.applyDue, s.learnDue = s.apply, s.learn
		m.servers = append(m.servers, s)
	}
	m.elect(env.Pick("first leader", o.Servers))
	env.After(leaseCheck, m.checkDue)
	return m
}

// Kind is etcd.
func (m *Model) Kind() string { return "etcd" }

// Limits are those of our adapter.
func (m *Model) Limits() backends.Limits {
	return backends.Limits{Kind: "etcd", MinTTL: time.Duration(m.minTTL) * time.Second, WholeSecondTTL: true}
}

// Servers is their number.
func (m *Model) Servers() int { return len(m.servers) }

// Leader is the server that leads and runs, -1 if there is none.
func (m *Model) Leader() int {
	if m.leader >= 0 && m.servers[m.leader].running() {
		return m.leader
	}
	return -1
}

func (s *server) running() bool { return s.up && !s.frozen }

// Kill ends a server; those who talk to it learn it from their connections.
func (m *Model) Kill(id int) {
	s := m.servers[id]
	if !s.up {
		return
	}
	s.up, s.frozen, s.leads, s.knows = false, false, false, -1
	s.life++
	serving, streams := s.serving, s.streams
	s.inbox, s.waiting, s.serving, s.streams, s.stale = nil, nil, nil, nil, nil
	if m.leader == id {
		m.leader = -1
	}
	for _, c := range m.clients {
		c.serverDied(id)
	}
	for _, w := range serving {
		w.broke()
	}
	for _, st := range streams {
		st.broke()
	}
	m.recheck()
}

// Start starts a server that was killed. It has all that was acknowledged.
func (m *Model) Start(id int) {
	s := m.servers[id]
	if s.up {
		return
	}
	s.up = true
	m.env.After(heartbeat, s.learnDue)
	m.recheck()
}

// Freeze stops a server as SIGSTOP does.
func (m *Model) Freeze(id int) {
	if s := m.servers[id]; s.up {
		s.frozen = true
		m.recheck()
	}
}

// Thaw lets a frozen server go on: with what it believed and what has come in meanwhile.
func (m *Model) Thaw(id int) {
	s := m.servers[id]
	if !s.frozen {
		return
	}
	s.frozen = false
	m.recheck()
	inbox := s.inbox
	s.inbox = nil
	for _, do := range inbox {
		do()
	}
	s.revokeStale()
	m.env.After(kernel.Between(m.env, "a thawed server hears of the others", time.Millisecond, heartbeat), s.learnDue)
}

// run does something on the server now or, if it is frozen, when it thaws; never if it is dead by then.
func (s *server) run(do func()) {
	switch {
	case !s.up:
	case s.frozen:
		s.inbox = append(s.inbox, do)
	default:
		do()
	}
}

// Split lets only the servers of the group reach each other, and the others each other.
func (m *Model) Split(group []int) {
	for i := range m.group {
		m.group[i] = 0
		if slices.Contains(group, i) {
			m.group[i] = 1
		}
	}
	m.topology()
}

// Join heals a split.
func (m *Model) Join() {
	clear(m.group)
	m.topology()
}

func (m *Model) topology() {
	for _, s := range m.servers {
		m.env.After(heartbeat, s.learnDue)
		if s.leads && !m.majority(s.id) {
			// It steps down when it has missed its followers for an election timeout.
			m.env.After(kernel.Between(m.env, "a leader without followers steps down", electionTimeout, 2*electionTimeout), func() {
				if s.leads && !m.majority(s.id) {
					s.leads, s.knows = false, -1
					if m.leader == s.id {
						m.leader = -1
						m.recheck()
					}
				}
			})
		}
	}
	m.recheck()
}

// Wipe kills all servers, throws away their data and starts those that ran.
func (m *Model) Wipe() {
	var ran []int
	for _, s := range m.servers {
		if s.up {
			ran = append(ran, s.id)
		}
		m.Kill(s.id)
		s.applied, s.term = 0, 0
	}
	m.contents = contents{rev: 1, ids: m.ids}
	m.index, m.pending, m.term = 0, nil, 0
	for _, id := range ran {
		m.Start(id)
	}
}

// Truth is the leader key.
func (m *Model) Truth() stores.Truth {
	kv := m.get(events.KeyLeader)
	if kv == nil {
		return stores.Truth{}
	}
	// A handed-over key keeps its revision until its successor claims it, which is another revision.
	t := stores.Truth{Holder: kv.value, Epoch: uint64(kv.mod)}
	if kv.epoch != 0 {
		t.Epoch = uint64(kv.epoch)
	}
	if l := m.lease(kv.lease); l != nil {
		t.Ends = max(l.ends, m.env.Now())
	}
	return t
}

// Contents is the whole directory.
func (m *Model) Contents() events.DCSSnapshot { return m.snapshot(m.term) }

// Edit writes or deletes a key at once.
func (m *Model) Edit(key, value string, remove bool) {
	if remove {
		if m.get(key) != nil {
			m.rev++
			m.remove(key)
		}
	} else {
		m.put(key, value, 0)
	}
	m.committed()
}

// Open begins a session of a member.
func (m *Model) Open(member string, line stores.Line) stores.Session {
	c := newSession(m, member, line)
	c.goOn()
	return c
}
