package conform

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Line is a stores.Line whose faults can be set, from inside Env.Do or by the model's own plans. Its
// zero value with an Env and a delay loses nothing.
type Line struct {
	Env kernel.Env
	// Least and Most bound the delay of a message in one direction.
	Least, Most time.Duration
	// Lost is how many messages of a thousand vanish, in each direction, and Broken how many meet a connection that resets.
	Lost, Broken int
	// Out and Back are what becomes of all messages to a server and from it, where it is not Arrives.
	Out, Back map[int]stores.Fate
}

// Perfect is a line that loses nothing: a tenth of a millisecond each way.
func Perfect(env kernel.Env) *Line { return &Line{Env: env, Least: 100 * time.Microsecond} }

// Cut lets all messages to some servers and from them meet a fate; without servers it heals the line.
func (l *Line) Cut(fate stores.Fate, servers ...int) {
	l.Out, l.Back = map[int]stores.Fate{}, map[int]stores.Fate{}
	for _, s := range servers {
		l.Out[s], l.Back[s] = fate, fate
	}
}

// Send draws what becomes of a message to a server.
func (l *Line) Send(server int) (time.Duration, stores.Fate) { return l.draw(l.Out[server]) }

// Return draws what becomes of a message from a server.
func (l *Line) Return(server int) (time.Duration, stores.Fate) { return l.draw(l.Back[server]) }

func (l *Line) draw(fate stores.Fate) (time.Duration, stores.Fate) {
	if fate == stores.Arrives && kernel.Chance(l.Env, "a message is lost", l.Lost) {
		fate = stores.Vanishes
	}
	if fate == stores.Arrives && kernel.Chance(l.Env, "a connection breaks", l.Broken) {
		fate = stores.Resets
	}
	return kernel.Between(l.Env, "delay of a message", l.Least, l.Most), fate
}
