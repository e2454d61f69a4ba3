package differential

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// chooser makes the choices of one run: those of a run that came far, with some of them drawn anew, then harmless ones, most of the time.
type chooser struct {
	*kernel.Kernel
	rand   *rand.Rand
	before []int
	anew   []int // places of choices that are drawn anew
	bold   int   // of a hundred choices behind those of the former run, how many are drawn
	taken  []int
}

var _ kernel.Env = (*chooser)(nil)

// vary chooses which of the choices of a former run are drawn anew: a few of the latest, a few of all, or those about how the run began.
func (c *chooser) vary(before, marks []int) {
	c.before, c.bold = before, []int{0, 5, 25, 60}[c.rand.IntN(4)]
	from := 0
	switch c.rand.IntN(4) {
	case 0: // everything behind some step
		c.before = before[:marks[c.rand.IntN(len(marks))]]
		return
	case 1: // the last steps
		from = marks[max(0, len(marks)-1-c.rand.IntN(6))]
	case 2: // how long the servers have run: when they look for what has ended
		c.anew = []int{marks[0], marks[0] + 1}
	}
	if n := len(before) - from; n > 0 {
		for range 1 + c.rand.IntN(3) {
			c.anew = append(c.anew, from+c.rand.IntN(n))
		}
	}
}

// harm is how many choices were not the harmless one.
func (c *chooser) harm() int {
	n := 0
	for _, took := range c.taken {
		n += min(took, 1)
	}
	return n
}

// Pick draws a choice.
func (c *chooser) Pick(_ string, n int) int {
	if n <= 1 {
		return 0
	}
	took := 0
	switch i := len(c.taken); {
	case slices.Contains(c.anew, i):
		if c.rand.IntN(4) > 0 {
			took = c.rand.IntN(n)
		}
	case i < len(c.before):
		took = min(c.before[i], n-1)
	case c.bold > 0 && c.rand.IntN(100) < c.bold:
		took = c.rand.IntN(n)
	}
	c.taken = append(c.taken, took)
	return took
}

// line is a loopback device: it loses nothing.
type line struct{ kernel.Env }

func (l line) Send(int) (time.Duration, stores.Fate) {
	return kernel.Between(l, "delay of a message", 50*time.Microsecond, time.Millisecond), stores.Arrives
}

func (l line) Return(server int) (time.Duration, stores.Fate) { return l.Send(server) }

// modelWatch tells a model's facts to a watcher.
func modelWatch(s stores.Session, now func() time.Duration) *watcher {
	w := &watcher{now: now, last: map[string]Change{}, ends: map[string]int{}}
	s.Watch(func(f events.Fact) { w.take(f) })
	return w
}
