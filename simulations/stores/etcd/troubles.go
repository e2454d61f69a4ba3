package etcd

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Troubles are what operators of etcd have met. Those that need followers are there with three servers only.
func (m *Model) Troubles() []stores.Trouble {
	all := []stores.Trouble{
		{Name: "the history is compacted", Do: func() { m.compact(m.rev) }},
		{Name: "every fsync takes seconds for a while", Do: func() {
			m.slowDisk = m.env.Now().Add(kernel.Between(m.env, "how long the disk is slow", 5*time.Second, 20*time.Second))
		}},
	}
	if len(m.servers) > 1 {
		all = append(all, stores.Trouble{Name: "a follower lags", Do: m.lag}, stores.Trouble{Name: "the leadership moves", Do: m.move})
	}
	return all
}

// follower draws one that runs and hears the leader, nil if there is none.
func (m *Model) follower(label string) *server {
	var able []*server
	for _, s := range m.servers {
		if s.id != m.leader && s.hears() {
			able = append(able, s)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[m.env.Pick(label, len(able))]
}

// lag lets a follower apply seconds late.
func (m *Model) lag() {
	if s := m.follower("which follower lags"); s != nil {
		s.lagging = m.env.Now().Add(kernel.Between(m.env, "how long a follower lags", 5*time.Second, 30*time.Second))
	}
}

// move lets the leader hand its office to a follower, as for maintenance.
func (m *Model) move() {
	if s := m.follower("where the leadership moves"); s != nil {
		m.elect(s.id)
	}
}
