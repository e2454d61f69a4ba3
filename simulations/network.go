package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// network carries messages between members, and between members and the servers of the store.
type network struct {
	w         *World
	env       *kernel.Domain
	storeDown bool     // all servers of the store were taken down on purpose
	links     [][]link // between members, by their numbers: from, to
}

func newNetwork(w *World) *network {
	return &network{w: w, env: w.k.Domain("network")}
}

// What a message takes one way on a machine room's network.
const (
	storeLatency = 2 * time.Millisecond
	peerLatency  = 2 * time.Millisecond
)

// line is between one member's host and the store.
type line struct {
	net                   *network
	clock                 *hostClock
	noRequests, noAnswers bool          // cut, each way of its own
	resets                bool          // what is cut is refused rather than swallowed
	asleep                bool          // the member's host is suspended: nothing leaves it, and nobody there takes anything
	without               uint64        // servers of the store that cannot be reached, a bit for each
	loss                  int           // packets of a thousand that have to be sent again, in each direction
	late                  time.Duration // how much longer a message takes than it should, each way
}

// well tells that nothing is wrong with the line.
func (l *line) well() bool {
	return !l.noRequests && !l.noAnswers && l.without == 0 && l.loss == 0 && l.late == 0
}

// heal makes it good again.
func (l *line) heal() { *l = line{net: l.net, asleep: l.asleep, clock: l.clock} }

// Clock is what the host's clock reads at a true instant.
func (l *line) Clock(t events.Instant) events.Instant { return l.clock.at(t) }

var _ stores.Clocked = (*line)(nil)

// Send draws what becomes of a request.
func (l *line) Send(server int) (time.Duration, stores.Fate) {
	f := &l.net.w.Faults
	if l.noRequests || l.asleep || l.without>>server&1 != 0 {
		return 0, l.cut()
	}
	switch {
	case kernel.Chance(l.net.env, "a request is lost", f.LostRequest):
		return 0, stores.Vanishes
	case kernel.Chance(l.net.env, "a request is refused", f.Refused):
		return 0, stores.Resets
	case kernel.Chance(l.net.env, "a request is late", f.LateRequest):
		return kernel.Between(l.net.env, "how late a request is", storeLatency, 2*time.Second), stores.Arrives
	}
	return l.spoiled(around(l.net.env, "to the store", storeLatency))
}

// Return draws what becomes of an answer, or of a change on its way to a watcher.
func (l *line) Return(server int) (time.Duration, stores.Fate) {
	f := &l.net.w.Faults
	if l.noAnswers || l.asleep || l.without>>server&1 != 0 {
		return 0, l.cut()
	}
	switch {
	case kernel.Chance(l.net.env, "an answer is lost", f.LostAnswer):
		return 0, stores.Vanishes
	case kernel.Chance(l.net.env, "an answer is late", f.LateAnswer):
		return kernel.Between(l.net.env, "how late an answer is", storeLatency, 2*time.Second), stores.Arrives
	}
	return l.spoiled(around(l.net.env, "from the store", storeLatency))
}

// spoiled adds what a bad line adds to the time of a message.
func (l *line) spoiled(d time.Duration) (time.Duration, stores.Fate) {
	d += l.late
	if l.loss == 0 {
		return d, stores.Arrives
	}
	again, ok := l.net.sentAgain(l.loss)
	if !ok {
		return 0, stores.Vanishes
	}
	return d + again, stores.Arrives
}

func (l *line) cut() stores.Fate {
	if l.resets && !l.asleep {
		return stores.Resets
	}
	return stores.Vanishes
}
