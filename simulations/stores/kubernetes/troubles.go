package kubernetes

import (
	"net/http"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// trouble is what goes on beside crashes.
type trouble struct {
	denied, shedding events.Instant // until when
	deniedAt         int            // the server that denies, -1 for all
	swallows         int            // writes whose answers will not come
}

// refuse tells whether a server refuses a request before it does anything.
func (t *trouble) refuse(m *Model, i int) (reply, bool) {
	now := m.env.Now()
	if now < t.denied && (t.deniedAt < 0 || t.deniedAt == i) {
		return reply{code: http.StatusForbidden}, true
	}
	if now < t.shedding && kernel.Chance(m.env, "a request is shed", 500) {
		return reply{code: http.StatusTooManyRequests, after: time.Second}, true
	}
	return reply{}, false
}

// swallow tells whether the answer to a write that was done is lost.
func (t *trouble) swallow() bool {
	if t.swallows == 0 {
		return false
	}
	t.swallows--
	return true
}

func (m *Model) some(label string) int {
	if len(m.servers) == 1 {
		return 0
	}
	return m.env.Pick(label, len(m.servers))
}

// Troubles are what operators of control planes have met.
func (m *Model) Troubles() []stores.Trouble {
	return []stores.Trouble{
		{Name: "the watch cache of an API server lags", Do: m.lagCache},
		{Name: "410 gone", Do: m.compact},
		{Name: "a third party edits the leader object", Do: m.meddle},
		{Name: "the API answers 403 for a while", Do: m.deny},
		{Name: "a PUT is applied though it timed out", Do: func() { m.trouble.swallows += 1 + m.env.Pick("how many answers are lost", 3) }},
		{Name: "an API server sheds load", Do: func() {
			m.trouble.shedding = m.env.Now().Add(kernel.Between(m.env, "how long load is shed", time.Second, 20*time.Second))
		}},
		{Name: "an API server restarts", Do: m.restart},
		{Name: "the wall clock of a member is wrong", Do: m.shiftClock},
	}
}

// lagCache stops the watch caches of a server; reads with quorum go past them.
func (m *Model) lagCache() {
	s := m.servers[m.some("whose watch cache lags")]
	d := kernel.Between(m.env, "how long a watch cache lags", 500*time.Millisecond, 20*time.Second)
	s.lagging = max(s.lagging, m.env.Now().Add(d))
	m.env.After(d, func() { m.catchUp(s) })
}

// compact empties the windows of all watch caches: watches end with a 410.
func (m *Model) compact() {
	m.forget(0)
	for _, s := range m.servers {
		for _, st := range s.streams {
			d, _ := st.line.Return(st.server)
			st.breaks(http.StatusGone, d)
		}
		s.streams = nil
	}
}

// meddle is a controller that writes labels and subsets into the leader object, several times: the lease in it stays as it is, but its
// resourceVersion does not.
func (m *Model) meddle() {
	for i := range 1 + m.env.Pick("how often the leader object is edited", 20) {
		m.env.After(time.Duration(i)*100*time.Millisecond, func() {
			if v := m.objs[objLeader]; v != nil {
				n := v.foreign(objLeader)
				n.other++
				m.commit(n)
			}
		})
	}
}

func (m *Model) deny() {
	m.trouble.deniedAt = m.env.Pick("which API server denies", len(m.servers)+1) - 1
	m.trouble.denied = m.env.Now().Add(kernel.Between(m.env, "how long the API denies", time.Second, 20*time.Second))
}

func (m *Model) restart() {
	i := m.some("which API server restarts")
	m.Kill(i)
	m.env.After(kernel.Between(m.env, "how long an API server is away", time.Second, 10*time.Second), func() { m.Start(i) })
}

// shiftClock sets one member's wall clock off, for ten minutes.
func (m *Model) shiftClock() {
	if len(m.members) == 0 {
		return
	}
	c := m.members[m.env.Pick("whose wall clock", len(m.members))]
	c.off = []time.Duration{0, time.Second, -time.Second, time.Hour, -time.Hour}[m.env.Pick("how wrong a wall clock is", 5)]
	m.env.After(10*time.Minute, func() { c.off = 0 })
}
