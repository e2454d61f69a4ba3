package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// heartbeat is how often a leader lets its followers hear of it: the default of --heartbeat-interval.
const heartbeat = 100 * time.Millisecond

// majority tells whether a server runs and reaches more than half of all, itself included.
func (m *Model) majority(id int) bool {
	if !m.servers[id].running() {
		return false
	}
	n := 0
	for _, s := range m.servers {
		if s.running() && m.group[s.id] == m.group[id] {
			n++
		}
	}
	return 2*n > len(m.servers)
}

// recheck looks, after anything changed, whether the leader can lead, and otherwise plans an election.
func (m *Model) recheck() {
	m.healthy = m.leader >= 0 && m.majority(m.leader)
	if m.healthy {
		m.ballot++
		m.voting = false
		m.commit()
		m.serveStuck()
		m.followersApply()
		return
	}
	if m.voting || !slices.ContainsFunc(m.servers, func(s *server) bool { return m.majority(s.id) }) {
		return
	}
	m.voting = true
	m.ballot++
	ballot := m.ballot
	from, to := electionTimeout, 2*electionTimeout
	if len(m.servers) == 1 { // it begins with most of its ticks done; source: server/etcdserver/server.go, adjustTicks
		from, to = heartbeat, electionTimeout+heartbeat
	}
	m.env.After(kernel.Between(m.env, "election timeout", from, to), func() {
		if m.ballot != ballot {
			return
		}
		m.voting = false
		var able []int
		for _, s := range m.servers {
			if m.majority(s.id) {
				able = append(able, s.id)
			} else if s.running() && !s.leads {
				s.knows = -1
			}
		}
		if len(able) > 0 {
			m.elect(able[m.env.Pick("who is elected", len(able))])
		}
	})
}

// elect makes a server the leader of a new term. A former leader that does not hear of it goes on believing.
func (m *Model) elect(id int) {
	former := m.leader
	m.term++
	m.leader = id
	leader := m.servers[id]
	leader.leads = true
	for _, s := range m.servers {
		if s.running() && m.group[s.id] == m.group[id] {
			s.knows, s.term = id, m.term
			s.leads = s.id == id
		}
	}
	m.inherit(former)
	if former >= 0 && former != id && m.servers[former].frozen {
		m.servers[former].remember()
	}
	now := m.env.Now()
	for _, l := range m.leases { // source: server/lease/lessor.go, Promote
		l.ends, l.revoking = now.Add(time.Duration(l.ttl)*time.Second+electionTimeout), false
		for _, w := range l.waiting {
			w.answer(answer{err: leaderChanged})
		}
		l.waiting = nil
	}
	stuck := m.stuck
	m.stuck = nil
	for _, w := range stuck {
		w.answer(answer{err: leaderChanged})
	}
	leader.apply()
	m.recheck()
}

// inherit commits those of the entries without a majority that the new leader has, and loses the others.
func (m *Model) inherit(former int) {
	pending := m.pending
	m.pending = nil
	if former == m.leader && former >= 0 {
		m.pending = pending
		return
	}
	kept := 0
	if len(pending) > 0 {
		kept = m.env.Pick("entries that the new leader has", len(pending)+1)
	}
	for i, w := range pending {
		if i < kept {
			m.execute(w)
		} else {
			w.lose()
		}
	}
}

// learn lets a server hear who leads now.
func (s *server) learn() {
	m := s.m
	if !s.running() {
		return
	}
	if m.leader >= 0 && m.servers[m.leader].running() && m.group[s.id] == m.group[m.leader] {
		s.leads, s.knows, s.term = s.id == m.leader, m.leader, m.term
		m.serveStuck()
	} else if !s.leads && m.leader < 0 {
		s.knows = -1
	}
	m.followersApply()
}

// propose hands an entry to the leader that a server knows.
func (m *Model) propose(w *work) {
	leader := m.servers[w.at.knows]
	switch {
	case m.group[leader.id] != m.group[w.at.id] || !leader.up:
		w.lose()
	case leader.frozen:
		leader.inbox = append(leader.inbox, func() { m.append(leader, w) })
	default:
		m.append(leader, w)
	}
}

// append puts an entry into the leader's log; it is committed when a majority has it on disk.
func (m *Model) append(leader *server, w *work) {
	if leader.id != m.leader {
		// Into the log of a deposed leader, where it is overwritten, or, once that has stepped down, on to the new one: seen
		// on 3.4.23, writes that a frozen leader had in its sockets were applied seconds later.
		if !m.healthy || m.group[leader.id] != m.group[m.leader] || m.env.Pick("a deposed leader passes an entry on", 2) == 0 {
			w.lose()
			return
		}
	}
	wait := kernel.Between(m.env, "a commit", 500*time.Microsecond, 5*time.Millisecond)
	now := m.env.Now()
	if now < m.slowDisk {
		wait += kernel.Between(m.env, "a slow fsync", time.Second, 4*time.Second)
	}
	m.lastReady = max(m.lastReady, now.Add(wait))
	w.ready = m.lastReady
	m.pending = append(m.pending, w)
	m.env.After(w.ready.Sub(now), m.commitDue)
}

// commit executes what a majority has.
func (m *Model) commit() {
	n := 0
	for now := m.env.Now(); m.healthy && n < len(m.pending) && m.pending[n].ready <= now; n++ {
		m.execute(m.pending[n])
	}
	if n == 0 {
		return
	}
	m.pending = slices.Delete(m.pending, 0, n)
}

// remember keeps what the leases are on a leader that does not hear of the next one.
func (s *server) remember() {
	for _, l := range s.m.leases {
		s.stale = append(s.stale, lease{id: l.id, ends: l.ends})
	}
}

// revokeStale is the first look for expired leases of a deposed leader that thaws: it may have the new leader revoke what has
// expired by its own clock, whatever was prolonged since (etcd-io/etcd#15247; seen on 3.4.23 and 3.7.3).
func (s *server) revokeStale() {
	m := s.m
	stale := s.stale
	s.stale = nil
	if len(stale) == 0 || !m.healthy || m.leader == s.id || m.env.Pick("a deposed leader revokes leases", 2) == 0 {
		return
	}
	for _, l := range stale {
		if l.ends <= m.env.Now() {
			m.append(m.servers[m.leader], &work{m: m, ask: ask{kind: revoke, lease: l.id}})
		}
	}
}

// committed makes an entry known to the servers, of which the leader applies it at once.
func (m *Model) committed() {
	m.index++
	if m.leader >= 0 && m.servers[m.leader].running() {
		m.servers[m.leader].apply()
	}
	m.followersApply()
}

func (m *Model) followersApply() {
	for _, s := range m.servers {
		if s.id == m.leader || s.planned || s.applied == m.index || !s.hears() {
			continue
		}
		s.planned = true
		wait := kernel.Between(m.env, "a follower applies", 200*time.Microsecond, 5*time.Millisecond)
		if m.env.Now() < s.lagging {
			wait += kernel.Between(m.env, "a follower lags", time.Second, 5*time.Second)
		}
		m.env.After(wait, s.applyDue)
	}
}

// hears tells whether entries come to a server from a leader.
func (s *server) hears() bool {
	m := s.m
	return s.running() && m.healthy && m.group[s.id] == m.group[m.leader]
}

// apply brings a server up to date: those that wait for it and its watches go on.
func (s *server) apply() {
	s.planned = false
	if !s.running() || s.id != s.m.leader && !s.hears() {
		return
	}
	s.applied = s.m.index
	waiting := s.waiting
	s.waiting = nil
	for _, w := range waiting {
		w.respond()
	}
	s.stream()
}

// checkLeases is the leader's look for leases that have expired; their end is an entry like any other. Those that one look finds are
// revoked side by side, so that any may be the first (source: server/etcdserver/server.go; seen on 3.4.23).
func (m *Model) checkLeases() {
	m.env.After(leaseCheck+kernel.Between(m.env, "how late the look for expired leases is", 0, m.drift), m.checkDue)
	if !m.healthy {
		return
	}
	now := m.env.Now()
	var expired []*lease
	for _, l := range m.leases {
		if !l.revoking && l.ends <= now {
			l.revoking = true
			expired = append(expired, l)
		}
	}
	for len(expired) > 0 {
		i := m.env.Pick("which expired lease is revoked first", len(expired))
		m.append(m.servers[m.leader], &work{m: m, ask: ask{kind: revoke, lease: expired[i].id}})
		expired = slices.Delete(expired, i, i+1)
	}
}

// ends is when a lease ends that is prolonged now.
func (m *Model) ends(l *lease) events.Instant {
	return m.env.Now().Add(time.Duration(l.ttl) * time.Second)
}
