package simulations

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// A cluster in which everything works again comes up even when every member waits for all others. So before everything is healed, a part of
// the cluster is: the core, some members and the store as it is for them. All others stay as broken as they are, and have
// no way to lead: dead hosts stay dead, cuts stay, frozen agents stay frozen. The core has to find its leader without them.

// after plans something that belongs to a fault: its end, or the next. While only the core is healed nothing else heals by itself.
func (c *Chaos) after(d time.Duration, do func()) {
	c.World.after(d, func() {
		if c.core == nil {
			do()
		}
	})
}

// demandCore draws a core, heals it, and demands of it what a whole cluster owes. It returns the core's leader, nil if there is none.
func (c *Chaos) demandCore() *Member {
	if c.pick("a core is healed first", 2) == 0 || c.maintained() {
		return nil
	}
	core, others := c.drawCore()
	c.healCore(core, others)
	leader := c.demandLeader(core)
	if leader != nil && !c.demandRejoin(core) || c.spoiled() {
		return nil
	}
	return leader
}

// maintained tells that members leave PostgreSQL alone: the end of a pause is safe only when all members learn of it.
func (c *Chaos) maintained() bool {
	return c.operators.paused || slices.ContainsFunc(c.members, func(m *Member) bool { return m.alive && m.engine.State() == engine.Paused })
}

// drawCore draws who belongs to the core: some members, not all.
func (c *Chaos) drawCore() (core, others []*Member) {
	first, size := c.pick("the first of the core", len(c.members)), 1+c.pick("the core's size", len(c.members)-1)
	for i := range c.members {
		m := c.members[(first+i)%len(c.members)]
		if i < size {
			core = append(core, m)
		} else {
			others = append(others, m)
		}
	}
	return core, others
}

func (c *Chaos) healCore(core, others []*Member) {
	c.say("a core is healed: %s; all others stay broken", names(core))
	c.core = core
	for _, m := range others {
		c.breakMember(m)
	}
	c.Faults = Faults{}
	c.healStore()
	if n := c.store.Servers(); n > 2 && c.pick("a server of the store stays broken", 2) == 1 {
		s := c.pick("which server", n)
		c.say("server %d of the store stays frozen", s)
		c.store.Freeze(s)
	}
	c.healMembers(core)
	c.Put(events.KeyFailover, "{}")
	c.Put(events.KeyConfig, c.document())
}

// breakMember sees to it that a member which is not of the core has no way to lead.
func (c *Chaos) breakMember(m *Member) {
	if !m.alive || m.frozen || m.asleep || m.line.noRequests || m.line.noAnswers {
		c.say("%s stays broken", m.name)
		return
	}
	c.injected++
	switch how := c.pick("how it is broken", 6); {
	case how == 1 && c.fenceable(m):
		c.say("the agent of %s is killed", m.name)
		m.Kill()
	case how == 2 && c.fenceable(m):
		c.say("the agent of %s is frozen", m.name)
		m.Freeze()
	case how == 3:
		c.say("%s is cut from the store, for its requests", m.name)
		m.line.noRequests = true
	case how == 4:
		c.say("%s is cut from the store, for the answers", m.name)
		m.line.noAnswers = true
	case how == 5:
		c.say("%s is cut from the store and from the other members", m.name)
		m.line.noRequests, m.line.noAnswers = true, true
		m.Isolate(true)
	default:
		c.say("the host of %s crashes", m.name)
		m.KillAll()
	}
}

func names(members []*Member) string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.name
	}
	return strings.Join(all, ", ")
}
