package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Troubles are what operators of ZooKeeper have met.
func (m *Model) Troubles() []stores.Trouble {
	return []stores.Trouble{
		{Name: "the session is expired by the leader while its follower goes on answering pings", Do: m.deafFollower},
		{Name: "the connection moves to another server", Do: m.moveConnection},
		{Name: "a follower lags", Do: m.lagFollower},
	}
}

// follower draws one that follows the leader, nil if there is none.
func (m *Model) follower(label string) *server {
	l := m.leading()
	var all []*server
	for _, s := range m.servers {
		if l != nil && s.up && !s.frozen && s.follows(l) {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[m.env.Pick(label, len(all))]
}

// deafFollower cuts a follower from its leader for up to two syncLimits. Until it notices, it answers pings and reads.
func (m *Model) deafFollower() {
	s := m.follower("which follower is cut from the leader")
	if s == nil {
		return
	}
	l := s.leader
	link := &m.links[s.id][l.id]
	link.cut++
	m.env.After(kernel.Between(m.env, "how long the follower is cut from the leader", m.limit()/2, 2*m.limit()), func() {
		link.cut--
		m.flushLinks()
		m.elect()
	})
}

// moveConnection breaks the connections of one member's sessions; it goes on with the next servers.
func (m *Model) moveConnection() {
	var all []*Session
	for _, a := range m.members {
		if a.watch != nil && a.watch.c != nil || slices.ContainsFunc(a.lanes, func(l *lane) bool { return l.c != nil }) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return
	}
	a := all[m.env.Pick("whose connections move", len(all))]
	for _, l := range a.lanes {
		if l.c != nil {
			m.env.After(0, l.c.broken)
		}
	}
	if a.watch != nil && a.watch.c != nil {
		m.env.After(0, a.watch.c.broken)
	}
}

// lagFollower lets a follower apply what is committed late: its clients read old data, and their writes seem slow.
func (m *Model) lagFollower() {
	s := m.follower("which follower lags")
	if s == nil || s.lagging {
		return
	}
	s.lagging = true
	term := s.term
	m.env.After(kernel.Between(m.env, "how long the follower lags", 500*time.Millisecond, 5*time.Second), func() {
		if s.term != term {
			return // whoever changes its role has caught up
		}
		s.take(func() {
			s.lagging = false
			s.catchUp()
		})
	})
}

// catchUp applies what waited.
func (s *server) catchUp() {
	backlog := s.backlog
	s.backlog = nil
	for _, f := range backlog {
		f()
	}
}

var _ stores.Model = (*Model)(nil)
var _ stores.Session = (*Session)(nil)
