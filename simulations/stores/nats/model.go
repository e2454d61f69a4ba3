package nats

import (
	"strings"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Options say what is modelled. The zero value is one server that is set up as backends/nats advises.
type Options struct {
	Servers int // 1 (also 0), 3 or 5
	// SyncEveryTwoMinutes is the server's default sync_interval instead of "always": a power failure of all
	// servers may forget what was acknowledged since.
	SyncEveryTwoMinutes bool
	// ClocksApart bounds by how much the wall clocks of the servers differ.
	ClocksApart time.Duration
	// ClockSkew is what the adapter's configuration says of that.
	ClockSkew time.Duration
}

// Model is a bucket, its servers, and our adapter to them.
type Model struct {
	env kernel.Env
	opt Options

	servers  []server
	lead     int    // elected last, whether it runs or not; -1: nobody since it died
	term     uint64 // of lead
	electing uint64
	planned  bool // an election is planned
	notNext  int  // steps down, and is not elected next if there is another; -1: nobody
	cold     bool // all servers were down since the last election
	pipe     []proposal
	drainer  func()

	exists  bool // the stream does
	first   uint64
	made    int // grows with each creation of the stream
	data    view
	journal []undo
	alarm   events.Instant

	sessions []*session
	begun    map[string]*begun // what sessions go on with, by member
	tokens   uint64
}

var _ stores.Model = (*Model)(nil)

// New starts the servers; they have a leader, and the bucket is there.
func New(env kernel.Env, opt Options) *Model {
	opt.Servers = max(opt.Servers, 1)
	m := &Model{env: env, opt: opt, servers: make([]server, opt.Servers)}
	m.drainer = m.drain
	for i := range m.servers {
		s := &m.servers[i]
		s.up, s.synced = true, true
		if opt.ClocksApart > 0 && i > 0 {
			s.offset = kernel.Between(env, "how far a server's clock is ahead", 0, opt.ClocksApart)
		}
	}
	m.lead, m.term, m.notNext, m.servers[0].believes = 0, 1, -1, true
	m.exists, m.first = true, m.freshFirst()
	m.data.last = m.first - 1
	return m
}

// freshFirst is a first sequence as the adapter makes it.
func (m *Model) freshFirst() uint64 { return wallStart + uint64(m.env.Now())/1000 }

// create makes an empty stream.
func (m *Model) create(first uint64) {
	m.drop()
	m.exists, m.first, m.data.last = true, first, first-1
}

// drop deletes the stream and all its consumers.
func (m *Model) drop() {
	m.exists = false
	m.made++
	m.data = view{}
	m.pipe, m.journal, m.alarm = nil, nil, 0
	for i := range m.servers {
		m.servers[i].view = nil
		m.servers[i].synced = true
	}
	m.endConsumers(-1, m.env.Pick("whether the consumer's end is told", 2) == 0)
}

func (m *Model) token() uint64 {
	m.tokens++
	return m.tokens
}

// Kind is the store's name.
func (m *Model) Kind() string { return "nats" }

// Limits are those of the adapter.
func (m *Model) Limits() backends.Limits {
	return backends.Limits{Kind: "nats", MinTTL: time.Second, WholeSecondTTL: true}
}

// Servers is their number.
func (m *Model) Servers() int { return len(m.servers) }

// Leader is the server that leads the stream now, -1 if none does.
func (m *Model) Leader() int {
	if !m.active() {
		return -1
	}
	return m.lead
}

// Kill ends a server's process. What it had written survives, synced or not, as long as one server is left or the
// disks are synced always.
func (m *Model) Kill(i int) {
	s := &m.servers[i]
	if !s.up {
		return
	}
	s.up, s.frozen, s.believes, s.doubts, s.stuck = false, false, false, false, nil
	if m.lead == i {
		m.lead = -1
	}
	m.cold = true
	for j := range m.servers {
		m.cold = m.cold && !m.servers[j].up
	}
	if m.cold && m.opt.SyncEveryTwoMinutes && len(m.journal) > 0 {
		m.loseUnsynced()
	}
	m.endConsumers(i, false)
	for _, c := range m.sessions {
		c.lease.serverDied(i)
		c.ops.serverDied(i)
	}
	m.reconsider()
}

// loseUnsynced forgets the last writes, up to two minutes of them.
func (m *Model) loseUnsynced() {
	lost := kernel.Between(m.env, "how much the disks did not have", 0, unsyncedFor)
	m.pipe = nil
	m.forget(m.env.Now().Add(-lost + 1)) // with nothing drawn, nothing is lost
}

// Start starts a server that was killed.
func (m *Model) Start(i int) {
	s := &m.servers[i]
	if s.up {
		return
	}
	s.up = true
	s.life++
	m.reconsider()
}

// Freeze stops a server's time; its connections stay open and fill.
func (m *Model) Freeze(i int) {
	if s := &m.servers[i]; s.runs() {
		s.frozen = true
		m.reconsider()
	}
}

// Thaw lets a frozen server go on: first with what waits in its sockets, in the belief that it had before.
func (m *Model) Thaw(i int) {
	s := &m.servers[i]
	if !s.frozen {
		return
	}
	s.frozen = false
	stuck := s.stuck
	s.stuck = nil
	m.reconsider()
	for _, do := range stuck {
		do()
	}
	for _, c := range m.sessions {
		if k := c.watch.consumer; k != nil && k.host == i && s.view == nil {
			k.catchUp()
		}
	}
}

// Split lets only the servers of a group reach each other.
func (m *Model) Split(group []int) {
	for i := range m.servers {
		m.servers[i].group = 0
		if i < len(group) {
			m.servers[i].group = group[i]
		}
	}
	m.reconsider()
}

// Join heals what Split did.
func (m *Model) Join() { m.Split(nil) }

// Wipe deletes the stream and makes it again as the adapter does: the sequences go on above the old ones.
func (m *Model) Wipe() { m.create(m.freshFirst()) }

// Truth is the leader key in the log of the majority.
func (m *Model) Truth() stores.Truth {
	i, there := m.data.find(events.KeyLeader)
	if !there || !m.data.entries[i].live {
		return stores.Truth{}
	}
	e := &m.data.entries[i]
	t := stores.Truth{Holder: e.value, Epoch: e.epoch}
	if e.ttl > 0 { // by the clock that is most ahead: its server may be the next leader
		ahead := m.servers[0].offset
		for j := range m.servers {
			ahead = max(ahead, m.servers[j].offset)
		}
		t.Ends = e.wall.Add(e.ttl - ahead)
	}
	return t
}

// Contents is the directory as the majority has it.
func (m *Model) Contents() events.DCSSnapshot {
	snap := events.DCSSnapshot{Revision: m.data.last}
	for i := range m.data.entries {
		if e := &m.data.entries[i]; e.live && !e.isRead() {
			snap.Keys = append(snap.Keys, events.KeyValue{Key: e.key, Value: e.value, Revision: e.seq})
		}
	}
	return snap
}

// Edit writes as an operator's tool does, without a condition and without a ttl.
func (m *Model) Edit(key, value string, remove bool) {
	if !m.exists || remove && !m.data.get(key).live {
		return
	}
	w := message{key: key, value: value, remove: remove, token: m.token()}
	if remove {
		w.value, w.ttl = "", markerTTL
	}
	m.commit(w, m.wall(max(m.lead, 0)))
}

// Direct is a direct read from a server (allow_direct): any replica answers it, also with the past
// (source: nats-server, ADR-53). The adapter never reads so.
func (m *Model) Direct(server int, key string) (value string, revision uint64, there bool) {
	s := &m.servers[server]
	if !s.runs() || !m.exists {
		return "", 0, false
	}
	now := m.data.get(key)
	if s.view != nil {
		now = s.view.get(key)
	} else if i, ok := m.data.find(key); ok && server != m.lead {
		if e := &m.data.entries[i]; m.env.Now() < e.at.Add(hop) {
			now = e.prev
		}
	}
	return now.value, now.seq, now.live
}

// isDirectory tells the directory's keys from those of the adapter's reads.
func isDirectory(key string) bool { return !strings.HasPrefix(key, readPrefix) }
