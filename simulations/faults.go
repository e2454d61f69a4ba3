package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Faults are small things that go wrong by themselves, each as a chance per thousand. The zero value is a world in
// which only what a scenario does goes wrong.
type Faults struct {
	LostRequest  int // a request to the store never arrives: its outcome is unknown, and nothing was done
	LostAnswer   int // it was done, and nobody says so
	LateRequest  int // its outcome is unknown, and it is done up to two seconds later
	Refused      int // a request fails at once, not applied for sure
	LateWatch    int // a change is delivered up to two seconds late
	SlowPeer     int // a member's answer takes most of the time there is, or is lost
	FailedEffect int // something on PostgreSQL fails
	SlowEffect   int // something on PostgreSQL takes ten times as long
	LateLook     int // an observation arrives up to half a second late
}

// chance draws whether something happens. Impossible things draw nothing, so that they change no other run.
func (w *World) chance(perMille int) bool { return perMille > 0 && w.rand.IntN(1000) < perMille }

// within draws a time below d.
func (w *World) within(d time.Duration) time.Duration { return time.Duration(w.rand.Int64N(int64(d))) }

// fate is what becomes of a request to the store.
type fate int

const (
	arrives fate = iota
	lostOnTheWay
	lostOnReturn
	arrivesLate
	refused
)

func (m *Member) fateOfRequest() fate {
	w := m.w
	switch f := &w.Faults; {
	case !w.store.up || m.storeCut:
		if w.chance(f.Refused) {
			return refused
		}
		return lostOnTheWay
	case w.chance(f.LostRequest):
		return lostOnTheWay
	case w.chance(f.LostAnswer):
		return lostOnReturn
	case w.chance(f.LateRequest):
		return arrivesLate
	case w.chance(f.Refused):
		return refused
	}
	return arrives
}

// request models a round trip to the store: do is what the store does, tell gives the agent the outcome, which
// is do's own, or unknown at the deadline, or failed.
func (m *Member) request(e events.Effect, do func(), tell func(outcome events.Outcome)) {
	run := m.run
	answer := func(after time.Duration, outcome events.Outcome) {
		m.w.after(after, func() {
			if m.run == run {
				tell(outcome)
			}
		})
	}
	m.w.after(m.w.jitter(storeLatency), func() {
		silence := max(e.Deadline.Sub(m.w.now), time.Millisecond)
		switch m.fateOfRequest() {
		case arrives:
			do()
			answer(m.w.jitter(storeLatency), events.Done)
		case lostOnTheWay:
			answer(silence, events.Unknown)
		case lostOnReturn:
			do()
			answer(silence, events.Unknown)
		case arrivesLate:
			m.w.after(m.w.within(2*time.Second), func() {
				if m.w.store.up && !m.storeCut {
					do()
				}
			})
			answer(silence, events.Unknown)
		case refused:
			answer(time.Millisecond, events.Failed)
		}
	})
}

// takes is how long something on PostgreSQL takes.
func (m *Member) takes(d time.Duration) time.Duration {
	if m.w.chance(m.w.Faults.SlowEffect) {
		d *= 10
	}
	return m.w.jitter(d)
}

// fails draws whether something on PostgreSQL fails.
func (m *Member) fails() bool { return m.w.chance(m.w.Faults.FailedEffect) }

// look delivers an observation, in the order in which they were made.
func (m *Member) look() {
	o := m.pg.observation()
	late := time.Duration(0)
	if m.w.chance(m.w.Faults.LateLook) {
		late = m.w.within(500 * time.Millisecond)
	}
	m.lookAt = max(m.lookAt, m.w.now.Add(late))
	if m.lookAt == m.w.now {
		m.post(events.PostgresObserved{Observation: o})
		return
	}
	m.postAfter(m.lookAt.Sub(m.w.now), events.PostgresObserved{Observation: o})
}
