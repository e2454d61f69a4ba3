package simulations

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// network carries messages between members, and between members and the servers of the store.
type network struct {
	w         *World
	env       *kernel.Domain
	storeDown bool // all servers of the store were taken down on purpose
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
	noRequests, noAnswers bool // cut, each way of its own
	resets                bool // what is cut is refused rather than swallowed
}

var _ stores.Line = (*line)(nil)

// Send draws what becomes of a request.
func (l *line) Send(int) (time.Duration, stores.Fate) {
	f := &l.net.w.Faults
	if l.noRequests {
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
	return around(l.net.env, "to the store", storeLatency), stores.Arrives
}

// Return draws what becomes of an answer, or of a change on its way to a watcher.
func (l *line) Return(int) (time.Duration, stores.Fate) {
	f := &l.net.w.Faults
	if l.noAnswers {
		return 0, l.cut()
	}
	switch {
	case kernel.Chance(l.net.env, "an answer is lost", f.LostAnswer):
		return 0, stores.Vanishes
	case kernel.Chance(l.net.env, "an answer is late", f.LateAnswer):
		return kernel.Between(l.net.env, "how late an answer is", storeLatency, 2*time.Second), stores.Arrives
	}
	return around(l.net.env, "from the store", storeLatency), stores.Arrives
}

func (l *line) cut() stores.Fate {
	if l.resets {
		return stores.Resets
	}
	return stores.Vanishes
}
