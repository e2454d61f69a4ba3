package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Troubles are what operators of Consul have met.
func (m *Model) Troubles() []stores.Trouble {
	return []stores.Trouble{
		{Name: "the consul agent restarts", Do: m.restartAgent},
		{Name: "the index goes backwards", Do: m.restore},
		{Name: "the tombstones are reaped", Do: m.reap},
		{Name: "an election resets every session timer", Do: m.transfer},
		{Name: "the lock delay refuses", Do: m.delayLocks},
	}
}

const (
	ownNode = "regent" // the external node that leases' sessions belong to
	// nodeTries bounds how often a deregistration is asked for while no server leads.
	nodeTries = 10
)

// restartAgent lets the Consul agent of a member's host leave and come back: its node is deregistered, and all
// sessions that belong to it end at once. source: state/catalog.go deleteNodeTxn
func (m *Model) restartAgent() {
	if len(m.members) > 0 {
		m.deregister(m.members[m.env.Pick("whose consul agent restarts", len(m.members))], nodeTries)
	}
}

func (m *Model) deregister(node string, tries int) {
	if m.leader < 0 {
		if tries > 0 {
			m.env.After(time.Second, func() { m.deregister(node, tries-1) })
		}
		return
	}
	nothing := func() {}
	m.servers[m.leader].propose(&proposal{
		apply: func(st *state, now events.Instant) {
			for _, s := range slices.Clone(st.sessions) {
				if s.node == node {
					st.destroy(s.id, now)
				}
			}
		},
		applied: nothing, lost: nothing,
	})
}

// restore lets an operator restore a snapshot that was taken some seconds ago: what was written since is
// gone, raft's own index goes on, that of the directory goes back, all timers start anew. source:
// snapshot_endpoint.go, leader.go reassertLeadership. It is not done over a change of the leader key: no
// lease survives that, and operators are told to stop the agents first.
func (m *Model) restore() {
	taken, wipes := m.st.clone(), m.wipes
	m.env.After(kernel.Between(m.env, "age of the restored snapshot", time.Second, 10*time.Second), func() {
		if m.leader < 0 || lookup(taken.keys, events.KeyLeader) != lookup(m.st.keys, events.KeyLeader) || m.wipes != wipes {
			return
		}
		taken.index, taken.shared, taken.delays = m.st.index+2, nil, nil
		*m.st = *taken
		m.resetTimers()
		m.servers[m.leader].abandon()
	})
}

// reap removes the tombstones of deleted keys, as the leader does some 15 minutes after the deletions: the index of the
// directory may go back. source: tombstone_gc.go, state/kvs.go ReapTombstones
func (m *Model) reap() {
	if m.leader >= 0 {
		m.st.index++
		m.st.stones, m.st.table = 0, m.st.index
	}
}

// transfer takes the leadership from the server that has it; it may win the election.
func (m *Model) transfer() {
	if m.leader >= 0 {
		l := m.servers[m.leader]
		m.lose()
		l.stepDown()
		m.reconsider()
	}
}

// delayLocks refuses locks of the leader key for a while, as after the end of a session with the default lock delay.
func (m *Model) delayLocks() {
	now := m.env.Now()
	until := now.Add(kernel.Between(m.env, "lock delay", time.Second, 15*time.Second))
	m.st.delays = append(slices.DeleteFunc(m.st.delays, func(d delay) bool { return d.until <= now }),
		delay{key: events.KeyLeader, set: now, until: until})
}
