package nats

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Timing of a connection, as in backends/nats/config.go and wire.go.
const (
	dialTimeout    = 1500 * time.Millisecond
	pingInterval   = 700 * time.Millisecond
	pingsMissed    = 2
	reconnectWait  = 200 * time.Millisecond
	reconnectMost  = 300 * time.Millisecond
	attemptTimeout = 1500 * time.Millisecond
)

// link is one connection of an adapter.
type link struct {
	s      *session
	server int
	gen    int // grows when it breaks
	down   bool
	met    bool // was up before
	missed int  // pings without an answer
	tried  int  // servers since it broke
	dials  int  // number of the last attempt to connect
	// A connection is a stream: nothing overtakes what was sent before it.
	outUntil, inUntil events.Instant
}

// send sends a query, once, and tells what is known of it at once.
func (l *link) send(q *query) fault {
	if l.down || !l.s.ready() {
		return unavailable
	}
	q.l, q.gen, q.server = l, l.gen, l.server
	d, fate := l.s.line.Send(l.server)
	switch fate {
	case stores.Arrives:
		now := l.s.m.env.Now()
		at := max(now.Add(d), l.outUntil)
		l.outUntil = at
		l.s.m.env.After(at.Sub(now), q.arrive)
	case stores.Resets:
		// It was in the socket when the connection broke: the client does not know whether it was read.
		l.broken()
	}
	return fine
}

// probe is a ping and its answer, seen as one moment.
func (l *link) probe() (took time.Duration, ok bool) {
	if l.down {
		return 0, false
	}
	out, fate := l.s.line.Send(l.server)
	srv := &l.s.m.servers[l.server]
	switch {
	case fate == stores.Vanishes:
		return 0, false
	case fate == stores.Resets || !srv.up:
		l.broken()
		return 0, false
	case srv.frozen:
		return 0, false
	}
	back, fate := l.s.line.Return(l.server)
	if fate == stores.Resets {
		l.broken()
	}
	return out + back, fate == stores.Arrives
}

// keepAlive counts pings without an answer; with the third the connection is given up.
func (l *link) keepAlive(ok bool) {
	switch {
	case l.down:
	case ok:
		l.missed = 0
	default:
		if l.missed++; l.missed > pingsMissed {
			l.broken()
		}
	}
}

// serverDied tells the connection to a server whose process ended, if the line lets that through.
func (l *link) serverDied(server int) {
	if l.down || l.server != server || l.s.closed {
		return
	}
	d, fate := l.s.line.Return(server)
	if fate == stores.Vanishes {
		return
	}
	gen := l.gen
	l.s.m.env.After(d, func() { l.brokenAt(gen) })
}

// brokenAt ends the connection if it is still the one that was meant.
func (l *link) brokenAt(gen int) {
	if l.gen == gen && !l.down {
		l.broken()
	}
}

// broken ends the connection and begins another.
func (l *link) broken() {
	l.gen++
	l.down, l.tried, l.missed = true, 0, 0
	l.s.watch.linkBroke(l)
	l.retry(0)
}

func (l *link) retry(wait time.Duration) {
	l.s.m.env.After(wait, l.dial)
}

// dial tries one server. Servers are tried in turn, with a pause after each round.
func (l *link) dial() {
	if l.s.closed || !l.down {
		return
	}
	l.dials++
	m, dial := l.s.m, l.dials
	l.server = (l.server + 1) % len(m.servers)
	out, fate := l.s.line.Send(l.server)
	switch {
	case fate == stores.Resets || fate == stores.Arrives && !m.servers[l.server].up:
		l.failed()
		return
	case fate == stores.Arrives:
		m.env.After(out, func() { m.whenAwake(l.server, func() { l.greeted(dial, out) }) }) // the kernel accepts for a frozen server
	}
	m.env.After(dialTimeout, func() {
		if l.down && l.dials == dial {
			l.failed()
		}
	})
}

// greeted is the server's first word to a new connection; a second exchange is the login.
func (l *link) greeted(dial int, out time.Duration) {
	s := &l.s.m.servers[l.server]
	if l.s.closed || !l.down || l.dials != dial || !s.up {
		return
	}
	back, fate := l.s.line.Return(l.server)
	switch fate {
	case stores.Resets:
		l.failed()
		return
	case stores.Vanishes:
		return
	}
	life := s.life
	l.s.m.env.After(out+2*back, func() {
		if !l.down || l.dials != dial || !s.runs() || s.life != life {
			return
		}
		l.down, l.met, l.missed = false, true, 0
		l.outUntil, l.inUntil = 0, 0
	})
}

func (l *link) failed() {
	l.dials++ // what comes of it now comes too late
	l.tried++
	after := time.Duration(0)
	if l.tried%len(l.s.m.servers) == 0 {
		after = kernel.Between(l.s.m.env, "how long a client waits between rounds", reconnectWait, reconnectMost)
	}
	l.retry(after)
}
