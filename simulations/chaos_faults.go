package simulations

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// plan sets the next fault, again and again until the time is over.
func (c *Chaos) plan() {
	pause := c.within(8 * time.Second)
	if c.rand.IntN(3) == 0 {
		pause = c.within(300 * time.Millisecond)
	}
	c.after(pause, func() {
		if c.now < c.until {
			c.fault(c.members[c.rand.IntN(len(c.members))])
			c.plan()
		}
	})
}

// tender plans a fault for a moment when a member is in the middle of something.
func (c *Chaos) tender(m *Member, d *events.Decision) {
	if c.now >= c.until || c.leftover == 0 || d.From == d.To {
		return
	}
	switch d.To {
	case engine.Campaigning, engine.Promoting, engine.Opening, engine.Adopting, engine.Switching, engine.Demoting, engine.Yielding,
		engine.Joining, engine.Rewinding, engine.Cloning, engine.Restarting, engine.Leading, engine.Fenced, engine.Bootstrapping:
	default:
		return
	}
	if c.rand.IntN(4) > 0 {
		return
	}
	c.leftover--
	soon := c.within(150 * time.Millisecond)
	if c.rand.IntN(4) == 0 { // when the lease is about to end
		if e := c.store.keys[events.KeyLeader]; e != nil && e.expires > c.now {
			soon = max(e.expires.Sub(c.now)-c.within(4*time.Second), 0)
		}
	}
	victim := m
	if c.rand.IntN(3) == 0 {
		victim = c.members[c.rand.IntN(len(c.members))]
	}
	c.after(soon, func() {
		if c.now < c.until {
			c.fault(victim)
		}
	})
}

// fenceable tells that something besides the agent would stop this PostgreSQL, or that it need not be stopped. The
// death of agent and guard at once is beyond what is promised (G7 of package fence).
func (c *Chaos) fenceable(m *Member) bool {
	return m.guardAlive && (!m.pg.running || m.pg.recovery && !c.promoting(m) || m.guardDeadline != 0 || c.paused) || !m.pg.running
}

func (c *Chaos) promoting(m *Member) bool { return m.alive && m.engine.State() == engine.Promoting }

// aroundTTL is a time for which an agent may be away: the lease ends in it, or just does not.
func (c *Chaos) aroundTTL() time.Duration {
	return c.ttl/2 + c.within(c.ttl)
}

func (c *Chaos) fault(m *Member) {
	if c.quiet {
		return
	}
	switch kind := c.rand.IntN(24); kind {
	case 0, 1:
		c.killAgent(m)
	case 2, 3:
		c.freeze(m)
	case 4, 5:
		if m.pg.running {
			c.say("the postmaster of %s is killed", m.name)
			m.CrashPostgres()
		}
	case 6:
		c.crashHost(m)
	case 7:
		if m.alive && !m.frozen && m.guardAlive {
			c.say("the guard of %s is killed", m.name)
			m.KillGuard()
		}
	case 8:
		if c.store.up {
			d := c.within(2 * c.ttl)
			c.say("the store is down for %v", d)
			c.SetStore(false)
			c.after(d, func() { c.SetStore(true) })
		}
	case 9, 10:
		if !m.storeCut {
			d := c.within(3 * c.ttl)
			c.say("%s is cut from the store for %v", m.name, d)
			c.Cut(m.name, true)
			c.after(d, func() { c.Cut(m.name, false) })
		}
	case 11:
		if !m.isolated {
			d := c.within(30 * time.Second)
			c.say("%s is isolated from the other members for %v", m.name, d)
			m.isolated = true
			c.after(d, func() { m.isolated = false })
		}
	case 12, 13, 14:
		c.switchover()
	case 15:
		c.pause()
	case 16, 17:
		c.editConfig()
	case 18:
		c.emptyData(m)
	case 19, 20:
		c.order(m)
	case 21:
		c.stopAgent(m)
	case 22:
		if m.pg.running && !m.pg.hung {
			d := c.within(20 * time.Second)
			pid := m.pg.pid
			c.say("PostgreSQL of %s hangs for %v", m.name, d)
			m.pg.hung = true
			c.after(d, func() {
				if m.pg.pid == pid {
					m.pg.hung = false
				}
			})
		}
	case 23:
		c.drawFaults()
		c.say("small faults: %+v", c.Faults)
	}
}

func (c *Chaos) killAgent(m *Member) {
	if !m.alive || m.frozen || !c.fenceable(m) {
		return
	}
	d := c.within(4 * time.Second)
	if c.rand.IntN(2) == 0 {
		d = c.aroundTTL()
	}
	c.say("the agent of %s is killed, for %v", m.name, d)
	m.Kill()
	run := m.run
	c.after(d, func() {
		if m.run == run {
			c.say("the agent of %s starts", m.name)
			m.Start()
		}
	})
}

func (c *Chaos) freeze(m *Member) {
	if !m.alive || m.frozen || !c.fenceable(m) {
		return
	}
	d := c.aroundTTL()
	c.say("the agent of %s is frozen for %v", m.name, d)
	m.Freeze()
	run := m.run
	c.after(d, func() {
		if m.run == run && m.frozen {
			c.say("the agent of %s thaws", m.name)
			m.Thaw()
		}
	})
}

func (c *Chaos) crashHost(m *Member) {
	d := c.within(2 * c.ttl)
	c.say("the host of %s crashes, for %v", m.name, d)
	m.KillAll()
	run := m.run
	c.after(d, func() {
		if m.run == run {
			c.say("the host of %s boots", m.name)
			m.Exit = -1
			m.Boot()
		}
	})
}

func (c *Chaos) stopAgent(m *Member) {
	if !m.alive || m.frozen || c.paused {
		return
	}
	d := 10*time.Second + c.within(20*time.Second)
	c.say("the agent of %s is asked to stop", m.name)
	m.Stop()
	c.after(d, func() {
		if !m.alive && m.Exit >= 0 {
			c.say("the agent of %s starts again", m.name)
			m.Exit = -1
			m.Start()
		}
	})
}

func (c *Chaos) switchover() {
	if !c.store.up {
		return
	}
	name := func() string { return c.members[c.rand.IntN(len(c.members))].name }
	r := map[string]string{}
	if c.rand.IntN(5) > 0 {
		r["leader"] = c.LeaderKey()
		if c.rand.IntN(4) == 0 {
			r["leader"] = name()
		}
	}
	if c.rand.IntN(3) > 0 || r["leader"] == "" {
		r["member"] = name()
		if c.rand.IntN(10) == 0 {
			r["member"] = "nosuch"
		}
	}
	if c.rand.IntN(5) == 0 {
		r["scheduled_at"] = epochWall.Add(time.Duration(c.now) + c.within(20*time.Second)).Format(time.RFC3339)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic("chaos: " + err.Error()) // it holds only texts
	}
	c.say("an operator writes failover %s", b)
	c.judges.moved = c.now
	c.judges.failover(r["leader"], r["member"])
	c.Put(events.KeyFailover, string(b))
}

// connected tells that every agent works and reaches the store. A pause disarms the guards, so that its end is
// dangerous when a primary cannot learn of it; operators are told to end it only then.
func (c *Chaos) connected() bool {
	for _, m := range c.members {
		if !m.alive || m.frozen || m.storeCut {
			return false
		}
	}
	return c.store.up
}

func (c *Chaos) pause() {
	if !c.connected() {
		return
	}
	c.paused = !c.paused
	c.doc["pause"] = c.paused
	c.say("an operator sets pause %v", c.paused)
	c.Put(events.KeyConfig, c.document())
	if !c.paused {
		c.unpause()
	}
}

// unpause waits until every member has left the pause: until then the guard of a primary may be disarmed, and
// further faults would prove nothing.
func (c *Chaos) unpause() {
	c.quiet = true
	var again func()
	again = func() {
		for _, m := range c.members {
			if m.alive && m.engine.State() == engine.Paused {
				c.after(100*time.Millisecond, again)
				return
			}
		}
		c.quiet = false
	}
	c.after(100*time.Millisecond, again)
}

func (c *Chaos) editConfig() {
	if !c.store.up {
		return
	}
	if c.rand.IntN(4) == 0 {
		bad := []string{`{"ttl":"soon"}`, `{`, `[]`, `null`, `{"ttl":1,"loop_wait":-3}`, `{"postgresql":7}`}[c.rand.IntN(6)]
		if !c.paused {
			c.say("an operator writes config %s", bad)
			c.Put(events.KeyConfig, bad)
		}
		return
	}
	c.drawTiming()
	c.say("an operator writes config %s", c.document())
	c.Put(events.KeyConfig, c.document())
}

// emptyData takes a member's data away, but never the last good copy.
func (c *Chaos) emptyData(m *Member) {
	if m.name == c.LeaderKey() || m.pg.writable() || !m.pg.data || c.copies(m) < 2 {
		return
	}
	c.say("the data directory of %s is emptied", m.name)
	m.pg.die()
	m.pg.data, m.pg.half = false, false
}

// copies are the other members that could lead with data as new as this one's.
func (c *Chaos) copies(than *Member) int {
	n := 0
	for _, m := range c.members {
		if m != than && m.pg.data && !m.pg.half && !m.Tags.NoFailover && m.pg.timeline >= than.pg.timeline {
			n++
		}
	}
	return n
}

func (c *Chaos) order(m *Member) {
	if !m.alive {
		return
	}
	r := events.OperatorRequest{ID: fmt.Sprint("o", c.rand.IntN(1e6)), Verb: events.AskRestart}
	if c.rand.IntN(3) == 0 {
		r.Verb, r.Force = events.AskReinitialize, c.rand.IntN(2) == 0
	}
	c.say("an operator asks %s for %s", m.name, r.Verb)
	c.judges.ordered(m, r.Verb)
	m.Ask(r)
}
