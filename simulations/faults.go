package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Faults are small things that go wrong by themselves, each as a chance per thousand. The zero value is a world in
// which only what a scenario does goes wrong.
type Faults struct {
	LostRequest  int // a message to the store never arrives
	LostAnswer   int // one from the store never arrives: an answer, or a change for a watcher
	LateRequest  int // a message to the store takes up to two seconds
	LateAnswer   int // one from it does
	Refused      int // a message to the store is refused at once
	SlowPeer     int // a member's answer takes most of the time there is, or is lost
	FailedEffect int // something on PostgreSQL fails
	SlowEffect   int // something on PostgreSQL takes ten times as long
	LateLook     int // an observation arrives up to half a second late
}

// look delivers an observation, in the order in which they were made.
func (m *Member) look() {
	o := m.pg.Observe()
	o.Sampled = m.clock.at(o.Sampled)
	now := m.w.Now()
	late := time.Duration(0)
	if kernel.Chance(m.w.hosts, "a look is late", m.w.Faults.LateLook) {
		late = kernel.Between(m.w.hosts, "how late a look is", 0, 500*time.Millisecond)
	}
	m.lookAt = max(m.lookAt, now.Add(late))
	if m.lookAt == now {
		if m.w.OnInput != nil || m.w.set.Mutant != nil { // who may keep it, or look for the plain one
			m.post(events.PostgresObserved{Observation: o})
			return
		}
		m.seen.Observation = o
		m.post(&m.seen)
		return
	}
	m.postAfter(m.lookAt.Sub(now), events.PostgresObserved{Observation: o})
}
