package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
)

// delicate tells that an effect changes PostgreSQL's data or role, or who has the lease: a bad moment to die.
func delicate(e *events.Effect) bool {
	k := e.Action.ActionKind()
	if k.WorksOnData() {
		return true
	}
	switch k {
	case events.ActAcquireLease, events.ActReleaseLease, events.ActHandOverLease, events.ActArmGuard:
		return true
	}
	return false
}

func anyDelicate(d *events.Decision) bool {
	for i := range d.Effects {
		if delicate(&d.Effects[i]) {
			return true
		}
	}
	return false
}

// killBetween lets an agent die between two effects of its next delicate decision: some of them are performed, and the rest are not.
func (c *Chaos) killBetween(m *Member) {
	if !m.alive || m.frozen || m.doom != nil {
		return
	}
	c.struck(coverage.AgentKilledAmid, m)
	c.say("the agent of %s will die in the middle of a decision", m.name)
	away := c.time("away", 4*time.Second)
	if c.pick("away for about a ttl", 2) == 1 {
		away = c.aroundTTL()
	}
	m.doom = func(d *events.Decision) (performed int, dies bool) {
		switch {
		case c.Now() >= c.until || c.quiet:
			m.doom = nil
			return 0, false
		case !anyDelicate(d) || !c.fenceable(m):
			return 0, false
		}
		n := c.pick("effects that are performed", len(d.Effects)+1)
		c.say("the agent of %s dies after %d of %d effects, for %v", m.name, n, len(d.Effects), away)
		c.after(0, func() {
			run := m.run
			c.after(away, func() {
				if m.run == run {
					c.say("the agent of %s starts", m.name)
					m.Start()
				}
			})
		})
		return n, true
	}
}

// amid plans a fault for between a delicate effect and its outcome.
func (c *Chaos) amid(m *Member, d *events.Decision) {
	if !anyDelicate(d) || c.pick("a fault amid an effect", 8) < 7 {
		return
	}
	c.leftover--
	c.after(c.time("how soon", 300*time.Millisecond), func() {
		if c.Now() < c.until {
			c.fault(m)
		}
	})
}
