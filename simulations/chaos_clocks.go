package simulations

import (
	"fmt"
	"time"

	"github.com/regent-ha/regent/simulations/coverage"
)

// Faults of time: boot clocks that run too fast or too slow, wall clocks that are set, hosts that are suspended. Up to mostDrift the
// arithmetic of leases allows for the rate; a run with more is out of the contract of S1, of what follows from it in S7, and of S4 where that is about time.

// mostDrift is by how many millionths a clock may be wrong.
const mostDrift = 10_000

// drawClocks gives some hosts clocks of their own, in few runs such as nothing is promised for.
func (c *Chaos) drawClocks() {
	beyond := c.pick("clocks beyond the contract", 12) == 11
	for _, m := range c.members {
		if c.pick("a clock of its own", 3) < 2 {
			continue
		}
		ppm := c.drift()
		if beyond {
			ppm *= 5
			why := fmt.Sprintf("the clock of %s is wrong by %d millionths", m.name, ppm)
			c.outOfContract("S1", why)
			c.outOfContract("S4", why)
			c.outOfContract("S7", why) // two that write at once do so on two timelines
		}
		m.Drift(ppm)
	}
}

func (c *Chaos) drift() int {
	ppm := (1 + c.pick("drift", 10)) * mostDrift / 10
	if c.pick("slow", 2) == 1 {
		return -ppm
	}
	return ppm
}

// clockFault lets a clock run at another rate, or sets the wall clock.
func (c *Chaos) clockFault(m *Member) {
	if c.pick("the wall clock", 2) == 1 {
		step := []time.Duration{-2 * time.Hour, time.Hour, -time.Second, 3 * time.Second}[c.pick("how far", 4)]
		c.struck(coverage.ClockSet, m)
		c.say("the wall clock of %s is set by %v", m.name, step)
		m.StepWall(step)
		return
	}
	ppm := c.drift()
	c.struck(coverage.ClockDrifts, m)
	c.say("the clock of %s runs too fast by %d millionths", m.name, ppm)
	m.Drift(ppm)
}

func (c *Chaos) suspendHost(m *Member) {
	if m.asleep || m.down || !c.fenceable(m) {
		return
	}
	d := c.aroundTTL()
	c.struck(coverage.HostSuspended, m)
	c.say("the host of %s is suspended for %v", m.name, d)
	m.Suspend()
	c.after(d, m.Wake)
}
