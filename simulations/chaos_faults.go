package simulations

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
)

// plan sets the next fault, again and again until the time is over.
func (c *Chaos) plan() {
	c.after(c.pauseBetween(), func() {
		if c.Now() < c.until {
			c.fault(c.anyone())
			c.plan()
		}
	})
}

// tender plans a fault for a moment when a member is in the middle of something.
func (c *Chaos) tender(m *Member, d *events.Decision) {
	if c.Now() >= c.until || c.leftover == 0 {
		return
	}
	if d.From == d.To {
		if len(d.Effects) > 0 {
			c.amid(m, d)
		}
		return
	}
	switch d.To {
	case engine.Campaigning, engine.Promoting, engine.Opening, engine.Adopting, engine.Switching, engine.Demoting, engine.Yielding,
		engine.Joining, engine.Rewinding, engine.Cloning, engine.Restarting, engine.Leading, engine.Fenced, engine.Bootstrapping:
	default:
		return
	}
	if c.pick("a tender moment", 4) < 3 {
		return
	}
	c.leftover--
	soon := c.time("how soon", 150*time.Millisecond)
	if c.pick("when the lease is about to end", 4) == 3 {
		if ends := c.store.Truth().Ends; ends > c.Now() {
			soon = max(ends.Sub(c.Now())-c.time("before its end", 4*time.Second), 0)
		}
	}
	victim := m
	if c.pick("somebody else", 3) == 2 {
		victim = c.anyone()
	}
	c.after(soon, func() {
		if c.Now() < c.until {
			c.fault(victim)
		}
	})
}

// fenceable tells that something besides the agent would stop this PostgreSQL, or that it need not be stopped. The
// death of agent and guard at once is beyond what is promised (G7 of package fence).
func (c *Chaos) fenceable(m *Member) bool {
	return m.guard.alive && (!m.pg.Running() || m.pg.Recovering() && !c.promoting(m) || m.guard.deadline != 0 || c.operators.paused) || !m.pg.Running()
}

func (c *Chaos) promoting(m *Member) bool { return m.alive && m.engine.State() == engine.Promoting }

// aroundTTL is a time for which an agent may be away: the lease ends in it, or just does not.
func (c *Chaos) aroundTTL() time.Duration {
	return c.ttl/2 + c.time("around the ttl", c.ttl)
}

func (c *Chaos) fault(m *Member) {
	if c.quiet || m.asleep {
		return
	}
	kinds := c.kinds()
	if c.calm {
		kinds = kinds[:len(kinds)-uncountable]
	}
	if k := c.pick("fault", 1+len(kinds)); k > 0 {
		said := c.said
		if kinds[k-1](m); c.said > said {
			c.injected++
		}
	}
}

// uncountable are the last of the kinds, each of which is many faults: nobody can say how many leaders they may cost.
const uncountable = 4

// kinds are the faults; those that stand twice come twice as often.
func (c *Chaos) kinds() []func(m *Member) {
	if c.faults == nil {
		c.faults = []func(m *Member){
			c.killAgent, c.killAgent, c.freeze, c.freeze, c.crashPostgres, c.crashPostgres, c.crashHost, c.killGuard, c.storeOutage, c.storeServer,
			c.storeServer, c.storeSplit, c.storeTrouble, c.cutFromStore, c.cutFromStore, c.isolate, c.switchover, c.switchover, c.switchover,
			c.pause, c.editConfig, c.editConfig, c.emptyData, c.order, c.order, c.stopAgent, c.hang,
			c.cutLink, c.cutLink, c.cutServer, c.diskFault, c.diskFault, c.diskFault, c.clockFault,
			c.suspendHost, c.suspendHost, c.killBetween, c.killBetween, c.powerCut,
			c.flapLink, c.badLink, c.fade, c.smallFaults,
		}
	}
	return c.faults
}

func (c *Chaos) crashPostgres(m *Member) {
	if m.pg.Running() {
		c.struck(coverage.PostmasterKilled, m)
		c.say("the postmaster of %s is killed", m.name)
		m.CrashPostgres()
	}
}

func (c *Chaos) killGuard(m *Member) {
	if m.alive && !m.frozen && m.guard.alive {
		c.struck(coverage.GuardKilled, m)
		c.say("the guard of %s is killed", m.name)
		m.KillGuard()
	}
}

func (c *Chaos) storeOutage(*Member) {
	if !c.storeUp() {
		return
	}
	d := c.time("outage", 2*c.ttl)
	c.struck(coverage.StoreDown, c.members...)
	c.say("the store is down for %v", d)
	c.SetStore(false)
	c.after(d, func() { c.SetStore(true) })
}

// storeServer kills or freezes one server of the store, rather often the one that leads it.
func (c *Chaos) storeServer(*Member) {
	s := c.pick("which server", c.store.Servers())
	if leader := c.store.Leader(); leader >= 0 && c.pick("the leader", 2) == 1 {
		s = leader
	}
	d := c.time("outage of a server", 2*c.ttl)
	if c.pick("frozen", 2) == 1 {
		c.struck(coverage.StoreServerFrozen, c.members...)
		c.say("server %d of the store is frozen for %v", s, d)
		c.store.Freeze(s)
		c.after(d, func() { c.store.Thaw(s) })
		return
	}
	c.struck(coverage.StoreServerKilled, c.members...)
	c.say("server %d of the store is killed, for %v", s, d)
	c.store.Kill(s)
	c.after(d, func() {
		if c.storeUp() {
			c.store.Start(s)
		}
	})
}

// storeSplit cuts one server off from the others.
func (c *Chaos) storeSplit(*Member) {
	if c.store.Servers() < 3 {
		return
	}
	s := c.pick("which server", c.store.Servers())
	d := c.time("split", 2*c.ttl)
	c.struck(coverage.StoreSplit, c.members...)
	c.say("server %d of the store is cut from the others for %v", s, d)
	c.store.Split([]int{s})
	c.after(d, c.store.Join)
}

func (c *Chaos) storeTrouble(*Member) {
	all := c.store.Troubles()
	if len(all) == 0 {
		return
	}
	t := all[c.pick("trouble", len(all))]
	if t.Wipes {
		if !c.mayWipe || c.pick("though it wipes the store", 4) < 3 || !c.allHaveData() {
			return
		}
		c.wiped, c.wipedAt = true, c.Now()
	}
	c.struck(coverage.StoreTrouble, c.members...)
	c.say("the store: %s", t.Name)
	c.troubled = c.Now()
	t.Do()
}

func (c *Chaos) cutFromStore(m *Member) {
	if m.line.noRequests || m.line.noAnswers {
		return
	}
	d := c.time("cut", 3*c.ttl)
	how := []string{"both ways", "its requests are lost", "the answers are lost"}[c.pick("one way", 3)]
	m.line.resets = c.pick("refused", 2) == 1
	if how == "both ways" {
		c.struck(coverage.StoreCut, m)
	} else {
		c.struck(coverage.StoreCutOneWay, m)
	}
	c.say("%s is cut from the store for %v: %s", m.name, d, how)
	m.line.noRequests, m.line.noAnswers = how != "the answers are lost", how != "its requests are lost"
	c.after(d, func() { m.line.noRequests, m.line.noAnswers = false, false })
}

func (c *Chaos) isolate(m *Member) {
	if m.isolated {
		return
	}
	d := c.time("isolation", 30*time.Second)
	c.struck(coverage.MembersCut, m)
	c.say("%s is isolated from the other members for %v", m.name, d)
	m.Isolate(true)
	c.after(d, func() { m.Isolate(false) })
}

func (c *Chaos) hang(m *Member) {
	if !m.pg.Running() {
		return
	}
	d := c.time("hang", 20*time.Second)
	if c.pick("longer than a primary may be silent", 4) == 3 {
		d += 2*c.ttl + c.time("hang", 30*time.Second)
	}
	pid := m.pg.PID()
	c.struck(coverage.PostgresHung, m)
	switch c.pick("how it hangs", 6) {
	case 5:
		c.say("the probe of %s gets no answer for %v", m.name, d)
		m.pg.BlindProbe(true)
		c.after(d, func() { m.pg.BlindProbe(false) })
		return
	case 4:
		c.say("PostgreSQL of %s hangs in the kernel for %v", m.name, d)
		m.pg.Wedge()
	default:
		c.say("PostgreSQL of %s hangs for %v", m.name, d)
		m.pg.Hang()
	}
	c.after(d, func() {
		if m.pg.PID() == pid {
			m.pg.Resume()
		}
	})
}

func (c *Chaos) smallFaults(*Member) {
	c.drawFaults()
	c.struck(coverage.SmallFaults, c.members...)
	c.say("small faults: %+v", c.Faults)
}

func (c *Chaos) killAgent(m *Member) {
	if !m.alive || m.frozen || !c.fenceable(m) {
		return
	}
	d := c.time("away", 4*time.Second)
	if c.pick("away for about a ttl", 2) == 1 {
		d = c.aroundTTL()
	}
	c.struck(coverage.AgentKilled, m)
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
	c.struck(coverage.AgentFrozen, m)
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
	d := c.time("host down", 2*c.ttl)
	c.struck(coverage.HostCrashed, m)
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
	if !m.alive || m.frozen || c.operators.paused {
		return
	}
	d := 10*time.Second + c.time("stopped", 20*time.Second)
	c.struck(coverage.AgentStopped, m)
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

func (c *Chaos) switchover(*Member) {
	if !c.storeUp() {
		return
	}
	name := func() string { return c.anyone().name }
	r := map[string]string{}
	if c.pick("a failover", 5) < 4 {
		r["leader"] = c.LeaderKey()
		if c.pick("a wrong leader", 4) == 3 {
			r["leader"] = name()
		}
	}
	if c.pick("no candidate", 3) < 2 || r["leader"] == "" {
		r["member"] = name()
		if c.pick("nobody known", 10) == 9 {
			r["member"] = "nosuch"
		}
	}
	if c.pick("scheduled", 5) == 4 {
		r["scheduled_at"] = c.wall().Add(c.time("schedule", 20*time.Second)).Format(time.RFC3339)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic("chaos: " + err.Error()) // it holds only texts
	}
	if r["leader"] == "" {
		c.struck(coverage.FailoverAsked, c.members...)
	} else {
		c.struck(coverage.SwitchoverAsked, c.members...)
	}
	c.say("an operator writes failover %s", b)
	c.Put(events.KeyFailover, string(b))
}

// connected tells that every agent of some members works and reaches the store. A pause disarms the guards, so that its end is
// dangerous when a primary cannot learn of it; operators are told to end it only then.
func (c *Chaos) connected(members []*Member) bool {
	for _, m := range members {
		if !m.alive || m.frozen || !m.line.well() || !m.engine.Status().DCSReachable {
			return false
		}
	}
	return c.storeUp()
}

func (c *Chaos) pause(*Member) {
	if !c.connected(c.members) {
		return
	}
	pause := !c.operators.paused
	c.doc["pause"] = pause
	c.struck(coverage.PauseSet, c.members...)
	c.say("an operator sets pause %v", pause)
	c.Put(events.KeyConfig, c.document())
	if !pause {
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

func (c *Chaos) editConfig(*Member) {
	if !c.storeUp() {
		return
	}
	if c.pick("a bad edit", 4) == 3 {
		bad := []string{`{"ttl":"soon"}`, `{`, `[]`, `null`, `{"ttl":1,"loop_wait":-3}`, `{"postgresql":7}`}[c.pick("how bad", 6)]
		if !c.operators.paused {
			c.struck(coverage.ConfigBroken, c.members...)
			c.say("an operator writes config %s", bad)
			c.Put(events.KeyConfig, bad)
		}
		return
	}
	c.drawTiming()
	c.struck(coverage.ConfigEdited, c.members...)
	c.say("an operator writes config %s", c.document())
	c.Put(events.KeyConfig, c.document())
	if c.pick("a fault while the members hear of it", 3) == 2 {
		c.after(c.time("how soon", 100*time.Millisecond), func() {
			if c.Now() < c.until {
				c.fault(c.anyone())
			}
		})
	}
}

// emptyData takes a member's data away, but never the last good copy.
func (c *Chaos) emptyData(m *Member) {
	if c.wiped || m.name == c.LeaderKey() || m.pg.Accepts() || m.pg.SystemID() == "" || m.pg.Busy() != "" || c.copies(m) < 2 {
		return
	}
	c.struck(coverage.DataGone, m)
	c.say("the data directory of %s is emptied", m.name)
	m.pg.Empty()
}

// allHaveData: an empty member that is alone with a store that was wiped cannot know that there was a cluster.
func (c *Chaos) allHaveData() bool {
	for _, m := range c.members {
		if !m.pg.HasData() {
			return false
		}
	}
	return true
}

// copies are the other members that could lead with data as new as this one's.
func (c *Chaos) copies(than *Member) int {
	n := 0
	for _, m := range c.members {
		if m != than && m.pg.HasData() && !m.Tags.NoFailover && m.pg.Timeline() >= than.pg.Timeline() {
			n++
		}
	}
	return n
}

func (c *Chaos) order(m *Member) {
	if !m.alive {
		return
	}
	r, asked := events.OperatorRequest{ID: fmt.Sprint("o", c.pick("order", 1e6)), Verb: events.AskRestart}, coverage.RestartAsked
	if c.pick("reinitialize", 3) == 2 {
		r.Verb, r.Force, asked = events.AskReinitialize, c.pick("forced", 2) == 1, coverage.ReinitAsked
	}
	c.struck(asked, m)
	c.say("an operator asks %s for %s", m.name, r.Verb)
	m.Ask(r)
}
