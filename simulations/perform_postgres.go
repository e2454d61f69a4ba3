package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// performPostgres hands an effect to the model of PostgreSQL. Its outcome reaches the agent in an event of its own: the model tells it in
// the middle of a change.
func (m *Member) performPostgres(e events.Effect) {
	run := m.run
	m.pending[e.ID] = m.pg.Perform(e.Action, m.clock.when(e.Deadline), nil, func(outcome events.Outcome, r events.Result, why string) {
		ended := m.now()
		if e.Action.ActionKind().WorksOnData() {
			m.ended = e.ID
		}
		m.w.after(0, func() {
			if m.run != run {
				return
			}
			delete(m.pending, e.ID)
			m.post(events.EffectFinished{Effect: e.ID, Ended: ended, Action: e.Action.ActionKind(), Outcome: outcome, Result: r, Error: why})
			m.observe()
		})
	})
	m.guard.sees()
}

// cancel gives an effect up.
func (m *Member) cancel(id uint64) {
	giveUp, under := m.pending[id]
	switch {
	case !under:
	case giveUp != nil:
		giveUp()
	default:
		delete(m.pending, id)
		m.postAfter(time.Millisecond, events.EffectFinished{Effect: id, Outcome: events.Failed, Error: "cancelled"})
	}
}
