package nats

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Troubles are what else can happen to a bucket.
func (m *Model) Troubles() []stores.Trouble {
	all := []stores.Trouble{
		{Name: "the consumer restarts", Do: m.restartConsumers},
		{Name: "the stream is recreated", Wipes: true, Do: m.recreateStream},
	}
	if len(m.servers) > 1 {
		all = append(all,
			stores.Trouble{Name: "the stream leader steps down", Do: m.stepDown},
			stores.Trouble{Name: "a replica answers direct reads late", Do: m.lagReplica})
	}
	if m.opt.SyncEveryTwoMinutes {
		all = append(all, stores.Trouble{Name: "the last unsynced writes are lost", Do: m.failPower})
	}
	return all
}

// restartConsumers ends the consumers of one server, as a restart of JetStream on it does.
func (m *Model) restartConsumers() {
	m.endConsumers(m.env.Pick("whose consumers restart", len(m.servers)), m.env.Pick("whether the consumer's end is told", 2) == 0)
}

// How the stream comes back.
const (
	byWipe        = iota // an operator deletes it and makes it as regent does
	byMembers            // an operator deletes it, the members make it again
	fromBackup           // restored, with sequences that were there before
	byAnotherTool        // by hand, with sequences that begin at one
	waysToRecreate
)

// recreateStream deletes the stream. What cannot be lived with is put right by an operator within a minute.
func (m *Model) recreateStream() {
	first := m.first
	switch m.env.Pick("how the stream comes back", waysToRecreate) {
	case byWipe:
		m.Wipe()
		return
	case byMembers:
		m.drop()
		return
	case fromBackup: // seen on nats-server 2.15.2: adapter_test.go sequencesWentBack
		m.create(max(first, 1_000_001) - 1_000_000)
	case byAnotherTool: // seen on nats-server 2.15.2: adapter_test.go foreignBucket
		m.create(1)
	}
	made := m.made
	m.env.After(kernel.Between(m.env, "how long the wrong stream stays", 10*time.Second, time.Minute), func() {
		if m.made == made {
			m.Wipe()
		}
	})
}

// stepDown lets the leader hand over to another replica.
func (m *Model) stepDown() {
	if !m.active() {
		return
	}
	m.notNext = m.lead
	m.servers[m.lead].believes = false
	m.lead = -1
	m.planElection(kernel.Between(m.env, "how long a campaign takes", campaignLeast, campaignMost))
}

// lagReplica lets a replica that does not lead apply nothing for a while, though its log has everything.
func (m *Model) lagReplica() {
	i := m.env.Pick("which replica is late", len(m.servers))
	if i == m.lead {
		i = (i + 1) % len(m.servers)
	}
	s := &m.servers[i]
	if !s.runs() || s.view != nil || s.believes {
		return
	}
	s.view = m.data.clone()
	made, life := m.made, s.life
	m.env.After(kernel.Between(m.env, "how long a replica is late", time.Second, 10*time.Second), func() {
		if s.view != nil && s.synced && s.life == life && m.made == made {
			m.applied(i)
		}
	})
}

// failPower cuts the power of all servers for some seconds.
func (m *Model) failPower() {
	var were []int
	for i := range m.servers {
		if m.servers[i].up {
			were = append(were, i)
			m.Kill(i)
		}
	}
	m.env.After(kernel.Between(m.env, "how long the power is gone", time.Second, 10*time.Second), func() {
		for _, i := range were {
			m.Start(i)
		}
	})
}
