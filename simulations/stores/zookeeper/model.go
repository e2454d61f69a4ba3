package zookeeper

import (
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Options are the settings of an ensemble, with ZooKeeper's own names. Zero is the default.
type Options struct {
	Servers  int           // 3
	TickTime time.Duration // 2 s
	// SyncLimit is after how many ticks of silence a leader and a follower give each other up: 5.
	SyncLimit int
}

func (o Options) withDefaults() Options {
	if o.Servers <= 0 {
		o.Servers = 3
	}
	if o.TickTime <= 0 {
		o.TickTime = 2 * time.Second
	}
	if o.SyncLimit <= 0 {
		o.SyncLimit = 5
	}
	return o
}

// Model is an ensemble with the adapters of its members (stores.Model).
type Model struct {
	env     kernel.Env
	o       Options
	servers []*server
	links   [][]link // by sender and receiver
	epoch   uint64   // of the last leader
	nextSID uint64
	// electing tells that an election is planned.
	electing bool
	members  []*Session
	packets  []*packet          // to be used again
	hops     []*hopping         // likewise
	begun    map[string][]begun // what adapters go on with, by member
}

// New starts an ensemble, which elects its first leader at once.
func New(env kernel.Env, o Options) *Model {
	m := &Model{env: env, o: o.withDefaults(), nextSID: 1 << 56}
	for i := range m.o.Servers {
		m.servers = append(m.servers, &server{m: m, id: i, up: true, tree: newTree()})
		m.links = append(m.links, make([]link, m.o.Servers))
	}
	m.elect()
	return m
}

// Kind is "zookeeper".
func (m *Model) Kind() string { return "zookeeper" }

// Limits tells the least timeout that the servers negotiate: two ticks (source: ZooKeeperServer.getMinSessionTimeout).
func (m *Model) Limits() backends.Limits {
	return backends.Limits{Kind: "zookeeper", MinTTL: 2 * m.o.TickTime}
}

// negotiate clamps a timeout to 2 to 20 ticks (source: ZooKeeperServer.processConnectRequest).
func (m *Model) negotiate(timeout time.Duration) time.Duration {
	return min(max(timeout, 2*m.o.TickTime), 20*m.o.TickTime)
}

// Servers is their number.
func (m *Model) Servers() int { return len(m.servers) }

// Leader is the server that leads and has a quorum that follows it, -1 if none.
func (m *Model) Leader() int {
	if s := m.leading(); s != nil {
		return s.id
	}
	return -1
}

// leading is the leader of the newest epoch, nil if it does not answer.
func (m *Model) leading() *server {
	for _, s := range m.servers {
		if s.up && !s.frozen && s.lead != nil && s.lead.epoch == m.epoch && m.quorumAround(s) {
			return s
		}
	}
	return nil
}

// quorumAround tells whether a majority could answer s now.
func (m *Model) quorumAround(s *server) bool {
	n := 0
	for _, o := range m.servers {
		if o == s || o.up && !o.frozen && o.leader == s && m.reach(s, o) {
			n++
		}
	}
	return n > len(m.servers)/2
}

// Kill ends a server as a crash does. Its clients and peers see their connections break.
func (m *Model) Kill(id int) {
	s := m.servers[id]
	if !s.up {
		return
	}
	s.up, s.frozen, s.inbox = false, false, nil
	term := s.term
	s.look()
	for _, o := range m.servers {
		switch {
		case o == s:
		case o.leader == s:
			m.send(s, o, func() { o.lostLeader(s, term) })
		case o.lead != nil:
			m.send(s, o, func() { o.lostFollower(s, term) })
		}
	}
}

// Start starts a killed server, with what it had on disk.
func (m *Model) Start(id int) {
	s := m.servers[id]
	if s.up {
		return
	}
	s.up = true
	m.elect()
}

// Freeze stops a server's time; what arrives waits in its sockets.
func (m *Model) Freeze(id int) {
	if s := m.servers[id]; s.up {
		s.frozen = true
	}
}

// Thaw lets a frozen server go on. Whether it works off its sockets first or notices first how late it is,
// is chance: these are threads (source: SessionTrackerImpl.run, NIOServerCnxnFactory).
func (m *Model) Thaw(id int) {
	s := m.servers[id]
	if !s.frozen {
		return
	}
	s.frozen = false
	inbox := s.inbox
	s.inbox = nil
	if m.env.Pick("clock before sockets", 2) == 1 {
		s.expireDue()
	}
	for _, f := range inbox {
		s.take(f)
	}
	m.elect()
}

// Split lets only the servers of a group reach each other.
func (m *Model) Split(group []int) {
	for i := range m.links {
		for j := range m.links[i] {
			m.links[i][j].split = i < len(group) && j < len(group) && group[i] != group[j]
		}
	}
}

// Join heals what Split did.
func (m *Model) Join() {
	m.Split(nil)
	m.flushLinks()
	m.elect()
}

// Wipe recreates the ensemble with empty disks: sessions are unknown and zxids begin anew.
func (m *Model) Wipe() {
	m.epoch = 0
	for _, s := range m.servers {
		s.look()
		s.tree, s.tail, s.inbox = newTree(), nil, nil
	}
	for i := range m.links {
		for j := range m.links[i] {
			m.links[i][j].held = nil
		}
	}
	m.elect()
}

// newest is the tree with everything that was ever acknowledged: a majority has logged it, and the leader that
// committed it has applied it on a disk that outlives it.
func (m *Model) newest() *tree {
	best := m.servers[0].tree
	for _, s := range m.servers[1:] {
		if s.tree.zxid > best.zxid {
			best = s.tree
		}
	}
	return best
}

// Truth is the leader key.
func (m *Model) Truth() stores.Truth {
	n := m.newest().nodes[events.KeyLeader]
	if n == nil {
		return stores.Truth{}
	}
	t := stores.Truth{Holder: n.value, Epoch: n.lease}
	if t.Epoch == 0 {
		t.Epoch = n.mzxid
	}
	if n.owner == 0 {
		return t
	}
	if s := m.leading(); s != nil {
		if k := s.lead.session(n.owner); k != nil {
			t.Ends = k.touched.Add(k.timeout)
			return t
		}
	}
	t.Ends = m.env.Now().Add(time.Duration(m.newest().sessions[n.owner])) // whoever leads next starts all timeouts anew
	return t
}

// Contents is the whole directory.
func (m *Model) Contents() events.DCSSnapshot {
	t := m.newest()
	return events.DCSSnapshot{Revision: t.zxid, Term: t.zxid >> 32, Keys: t.keys()}
}

// Edit writes a key as zkCli does. Without a leader it is done when there is one.
func (m *Model) Edit(key, value string, remove bool) {
	s := m.leading()
	if s == nil {
		m.env.After(100*time.Millisecond, func() { m.Edit(key, value, remove) })
		return
	}
	var x *txn
	if remove {
		x = s.lead.prepare(0, []op{{kind: opDelete, path: key, version: anyVersion}})
	} else if x = s.lead.prepare(0, []op{{kind: opSet, path: key, value: value, version: anyVersion}}); x.result.code == noNode {
		x = s.lead.prepare(0, []op{{kind: opCreate, path: key, value: value}})
	}
	alone := len(s.lead.proposals) == 0
	s.propose(x)
	if alone && len(s.lead.proposals) > 0 { // nobody waits for it: it counts as agreed on at once
		s.commit()
	}
}
