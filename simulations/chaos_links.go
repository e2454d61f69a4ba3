package simulations

import (
	"time"

	"github.com/regent-ha/regent/simulations/coverage"
)

// Faults of the ways between two members' hosts, and between a member and the servers of the store.

// other draws another member than m.
func (c *Chaos) other(m *Member) *Member {
	return c.members[(m.index+1+c.pick("which other", len(c.members)-1))%len(c.members)]
}

// direction draws which of the two ways between two members a fault is about: both, or one.
func (c *Chaos) direction(a, b *Member) (ways [][2]*Member, how string) {
	switch c.pick("which direction", 3) {
	case 1:
		return [][2]*Member{{a, b}}, a.name + " to " + b.name
	case 2:
		return [][2]*Member{{b, a}}, b.name + " to " + a.name
	}
	return [][2]*Member{{a, b}, {b, a}}, a.name + " and " + b.name
}

func (c *Chaos) cutLink(m *Member) {
	o := c.other(m)
	ways, how := c.direction(m, o)
	refused := c.pick("refused", 2) == 1
	d := c.time("cut", 3*c.ttl)
	c.struck(coverage.LinkCut, m, o)
	c.say("nothing gets from %s for %v, refused %v", how, d, refused)
	c.cutWays(ways, refused, d)
}

func (c *Chaos) cutWays(ways [][2]*Member, refused bool, d time.Duration) {
	for _, w := range ways {
		c.CutLink(w[0], w[1], refused)
	}
	c.after(d, func() {
		for _, w := range ways {
			c.net.link(w[0], w[1]).cut = false
		}
		c.servers.Changed()
	})
}

// flapLink lets a way come and go in a rhythm near that of the loop, or of the lease: the member's line to the store, or a way to another.
func (c *Chaos) flapLink(m *Member) {
	period := c.loopWait/2 + c.time("rhythm", c.loopWait)
	if c.pick("the rhythm of the lease", 2) == 1 {
		period = c.ttl/2 + c.time("rhythm", c.ttl)
	}
	times := 2 + c.pick("how often", 4)
	if c.pick("to the store", 2) == 1 {
		c.struck(coverage.LinkFlaps, m)
		c.say("the line of %s to the store flaps %d times, every %v", m.name, times, period)
		c.flaps(times, period, func() { m.line.noRequests, m.line.noAnswers = true, true },
			func() { m.line.noRequests, m.line.noAnswers = false, false })
		return
	}
	o := c.other(m)
	ways, how := c.direction(m, o)
	c.struck(coverage.LinkFlaps, m, o)
	c.say("the way of %s flaps %d times, every %v", how, times, period)
	c.flaps(times, period, func() { c.cutWays(ways, false, period/2) }, func() {})
}

func (c *Chaos) flaps(times int, period time.Duration, off, on func()) {
	for i := range times {
		at := time.Duration(i) * period
		c.after(at, func() {
			if c.Now() < c.until {
				off()
			}
		})
		c.after(at+period/2, on)
	}
}

// badLink makes ways slow or bad: one, all of a member, or everything there is.
func (c *Chaos) badLink(m *Member) {
	late, loss := c.time("how late", 5*time.Second), 0
	if c.pick("bad rather than slow", 2) == 1 {
		late, loss = 0, 50+c.pick("how bad", 250)
	}
	d := c.time("for how long", 3*c.ttl)
	what := []string{"of one way", "of all ways", "everywhere"}[c.pick("how much", 3)]
	c.struck(coverage.LinkBad, m)
	c.say("the network of %s, %s, is late by %v and loses %d of a thousand packets, for %v", m.name, what, late, loss, d)
	spoil := func(late time.Duration, loss int) {
		for _, a := range c.members {
			if what == "everywhere" || a == m && what == "of all ways" {
				a.line.late, a.line.loss = late, loss
			}
			for _, b := range c.members {
				if a != b && (what == "everywhere" || a == m) {
					c.SpoilLinks(a, b, late, loss)
				}
			}
		}
	}
	if what == "of one way" {
		o := c.other(m)
		spoil = func(late time.Duration, loss int) { c.SpoilLinks(m, o, late, loss) }
	}
	spoil(late, loss)
	c.after(d, func() { spoil(0, 0) })
}

// fade lets the ways between members die one by one, and come back one by one.
func (c *Chaos) fade(m *Member) {
	step := c.time("between two deaths", c.ttl/2)
	c.struck(coverage.LinkCut, m)
	c.say("the ways between members die one by one, one every %v", step)
	for i := range c.members {
		c.after(time.Duration(i)*step, func() {
			if c.Now() < c.until {
				a := c.members[(m.index+i)%len(c.members)]
				c.say("all ways of %s to the others are dead, for %v", a.name, 2*step)
				for _, b := range c.members {
					if a != b {
						c.cutWays([][2]*Member{{a, b}}, false, 2*step)
					}
				}
			}
		})
	}
}

// cutServer separates a member from one server of the store, rather often from its leader.
func (c *Chaos) cutServer(m *Member) {
	if c.store.Servers() < 2 || m.line.without != 0 {
		return
	}
	s := c.pick("which server", c.store.Servers())
	if leader := c.store.Leader(); leader >= 0 && c.pick("the leader", 2) == 1 {
		s = leader
	}
	d := c.time("cut", 3*c.ttl)
	m.line.resets = c.pick("refused", 2) == 1
	c.struck(coverage.StoreServerCut, m)
	c.say("%s is cut from server %d of the store for %v", m.name, s, d)
	m.line.without = 1 << s
	c.after(d, func() { m.line.without = 0 })
}
