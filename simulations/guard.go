package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// guard is the companion process of an agent: it kills PostgreSQL at the deadline that it was told.
type guard struct {
	m        *Member
	alive    bool
	deadline events.Instant // zero: disarmed
	fired    bool
	deaf     bool // takes no new deadline, and is well otherwise
	timer    *kernel.Timer
	watch    *kernel.Timer // looks again whether something was started
}

func newGuard(m *Member) guard {
	return guard{m: m, alive: true, timer: m.w.k.NewTimer(func() { m.guard.due() }), watch: m.w.k.NewTimer(func() { m.guard.sees() })}
}

func (g *guard) tick() events.GuardTick {
	return events.GuardTick{Alive: g.alive, Deadline: g.deadline, Fired: g.fired}
}

// arm tells the deadline; it fails when there is no guard to tell, or it is too late.
func (g *guard) arm(deadline events.Instant) bool {
	if !g.alive || g.fired || g.deaf || deadline <= g.m.now() {
		return false
	}
	g.deadline = deadline
	if mutant := g.m.w.set.Mutant; mutant != nil && mutant.guard != nil {
		if deadline = mutant.guard(g.m, deadline); deadline == 0 {
			g.timer.Stop()
			return true
		}
	}
	g.timer.Set(g.m.clock.when(deadline))
	return true
}

// disarm also acknowledges that it has fired.
func (g *guard) disarm() {
	g.deadline, g.fired = 0, false
	g.timer.Stop()
}

// due is the deadline. A guard that is dead then acts when another takes its place.
func (g *guard) due() {
	if !g.alive || g.deadline == 0 || g.fired || g.m.asleep || g.m.now() < g.deadline {
		return
	}
	g.fired, g.deadline = true, 0
	g.m.pg.KillAll()
	g.m.post(g.tick())
	g.sees()
}

// clockChanged sets the timer anew: the clock runs at another rate.
func (g *guard) clockChanged() {
	if g.timer.At() != 0 {
		g.timer.Set(g.m.clock.when(g.deadline))
	}
}

// sees looks whether PostgreSQL was started, while somebody may start it: a guard that has fired kills it, until an agent acknowledges.
func (g *guard) sees() {
	if !g.alive || !g.fired || g.m.asleep {
		return
	}
	g.m.pg.KillAll()
	if g.m.pg.Busy() != "" {
		g.watch.Set(g.m.w.Now().Add(10 * time.Millisecond))
	}
}

// end is the end of the process with its host: the page is gone too.
func (g *guard) end() {
	g.alive, g.deadline = false, 0
	g.timer.Stop()
}

// boot starts it with its host.
func (g *guard) boot() { g.alive, g.fired = true, false }

// agentStarted lets the agent replace a guard that died.
func (g *guard) agentStarted() {
	if !g.alive {
		g.replace()
	}
}

// replace is what a living agent does. The new guard takes the deadline from the page.
func (g *guard) replace() {
	g.m.w.after(100*time.Millisecond, func() {
		if g.m.asleep {
			g.replace()
			return
		}
		if g.m.alive && !g.alive {
			g.alive = true
			g.m.post(g.tick())
			g.due()
			g.sees()
		}
	})
}

// KillGuard ends the guard; agents start another after a moment.
func (m *Member) KillGuard() {
	m.guard.alive = false
	m.post(m.guard.tick())
	m.guard.replace()
}
