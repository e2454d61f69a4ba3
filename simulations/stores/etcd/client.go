package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Durations of the adapter; source: backends/etcd/try.go and node.go.
const (
	leastShare   = 250 * time.Millisecond
	mostShare    = 1500 * time.Millisecond
	suspicion    = 5 * time.Second
	unackedLimit = 2 * time.Second
	dialTimeout  = time.Second
	leastBackoff = 50 * time.Millisecond
	mostBackoff  = time.Second
)

// verdict is what an error says about a request.
type verdict int

const (
	final verdict = iota
	refused
	ambiguous
)

// fault is an error that our adapter may meet. They are compared by identity.
type fault struct {
	verdict verdict
	outcome events.Outcome // of a final one
	seen    bool           // a conflict that was read, not met by a write
	text    string
}

// What servers answer, and what else may happen to a request.
var (
	noLeader      = &fault{verdict: refused, text: "etcdserver: no leader"}
	leaderChanged = &fault{verdict: ambiguous, text: "etcdserver: leader changed"}
	timedOut      = &fault{verdict: ambiguous, text: "etcdserver: request timed out"}
	noLease       = &fault{verdict: final, outcome: events.Failed, text: "etcdserver: requested lease not found"}
	leaseExists   = &fault{verdict: final, outcome: events.Failed, text: "etcdserver: lease already exists"}

	broken     = &fault{verdict: ambiguous, text: "the connection broke"}
	noConn     = &fault{verdict: refused, text: "connection refused"}
	notDialled = &fault{verdict: refused, text: "no connection in time"}
	gaveUp     = &fault{verdict: ambiguous, text: "no answer in time"}

	conflict = &fault{outcome: events.Lost, text: "condition does not hold"}
	seen     = &fault{outcome: events.Lost, seen: true, text: "condition does not hold, as the store shows"}
	rivalled = &fault{outcome: events.Failed, text: "somebody else keeps writing it"}
)

// conn is the adapter's connection to a server. gRPC dials again by itself, with a backoff in which calls fail at once.
type conn struct {
	c       *session
	up      bool
	retryAt events.Instant
	backoff time.Duration
}

func (n *conn) broke() {
	if n.up {
		n.up, n.backoff = false, leastBackoff
		n.retryAt = n.c.m.env.Now()
	}
}

func (n *conn) refusedAt(now events.Instant) {
	n.up = false
	n.backoff = min(max(n.backoff*8/5, leastBackoff), mostBackoff)
	n.retryAt = now.Add(n.backoff)
}

// attempt is one call on one server.
type attempt struct {
	c      *session
	server int
	ended  func(*fault) // once, with nil for success
	sent   bool
	over   bool
}

// end ends the attempt.
func (a *attempt) end(f *fault) {
	if !a.over && !a.c.closed {
		a.over = true
		a.ended(f)
	}
}

// call sends a request and gives its answer to then, unless the attempt ends before. Errors of the server are given to then too.
func (a *attempt) call(q ask, then func(*answer)) {
	c := a.c
	n := &c.conns[a.server]
	if n.up {
		a.transmit(q, then)
		return
	}
	now := c.m.env.Now()
	if now < n.retryAt {
		a.end(noConn)
		return
	}
	wait, fate := c.line.Send(a.server)
	s := c.m.servers[a.server]
	switch {
	case fate == stores.Vanishes || s.frozen: // a frozen server's kernel accepts, but gRPC waits for its settings
		c.m.env.After(dialTimeout, func() {
			n.refusedAt(c.m.env.Now())
			a.end(notDialled)
		})
	case fate == stores.Resets || !s.up:
		c.m.env.After(2*wait, func() {
			n.refusedAt(c.m.env.Now())
			a.end(noConn)
		})
	default:
		c.m.env.After(2*wait, func() {
			n.up, n.backoff = true, 0
			if !a.over && !c.closed {
				a.transmit(q, then)
			}
		})
	}
}

func (a *attempt) transmit(q ask, then func(*answer)) {
	c := a.c
	a.sent = true
	s := c.m.servers[a.server]
	w := &work{ask: q, m: c.m, at: s, life: s.life, c: c, a: a, then: then}
	wait, fate := c.line.Send(a.server)
	switch fate {
	case stores.Vanishes:
		c.m.env.After(unackedLimit, w.broke)
	case stores.Resets:
		c.m.env.After(wait, func() {
			c.conns[a.server].broke()
			a.end(broken)
		})
	default:
		c.m.env.After(wait, w.arrive)
	}
}

// try is one request on server after server until one answers or the deadline comes.
type try struct {
	c         *session
	deadline  events.Instant
	repeating bool
	do        func(*attempt)
	done      func(outcome)

	order [3]int8
	turn  int
	maybe bool
	start events.Instant // of the attempt
	a     *attempt
}

// outcome is how a try or an operation ended; the zero value is success.
type outcome struct {
	as    events.Outcome // Done is ""
	fault *fault
}

func (o outcome) ok() bool { return o.as == "" }

// isConflict tells that a condition did not hold.
func (o outcome) isConflict() bool { return o.as == events.Lost }

// harmless makes an unknown outcome a certain one, where what may have been applied changes nothing.
func (o outcome) harmless() outcome {
	if o.as == events.Unknown {
		o.as = events.Failed
	}
	return o
}

const (
	repeating = true
	once      = false
)

// try begins one. do makes calls on the attempt that it is given and ends it.
func (c *session) try(deadline events.Instant, again bool, do func(*attempt), done func(outcome)) {
	t := &try{c: c, deadline: deadline, repeating: again, do: do, done: done}
	t.order = c.order()
	t.next()
}

// order is in which servers are tried: the one that answered last, the others, and those that failed to answer last.
func (c *session) order() (order [3]int8) {
	now := c.m.env.Now()
	n, i := len(c.conns), 0
	for _, suspects := range [...]bool{false, true} {
		for k := range n {
			if s := (c.first + k) % n; (now < c.suspect[s]) == suspects {
				order[i] = int8(s)
				i++
			}
		}
	}
	return order
}

func (t *try) next() {
	c, env := t.c, t.c.m.env
	if c.closed {
		return
	}
	now := env.Now()
	if now >= t.deadline {
		t.giveUp(gaveUp)
		return
	}
	n := len(c.conns)
	a := &attempt{c: c, server: int(t.order[t.turn%n]), ended: t.ended}
	t.a, t.start = a, now
	left := t.deadline.Sub(now)
	share := left
	if n > 1 {
		share = min(max(left/time.Duration(n-t.turn%n), leastShare), mostShare, left)
	}
	env.After(share, func() { t.slow(a) })
	t.do(a)
}

// slow is when a server has had its share of the time. A request that may not be repeated is left to wait once it was sent.
func (t *try) slow(a *attempt) {
	if a.over || t.c.closed {
		return
	}
	now := t.c.m.env.Now()
	t.c.suspect[a.server] = now.Add(suspicion)
	if t.repeating || !a.sent || now >= t.deadline {
		t.cancel(a)
		return
	}
	t.c.m.env.After(t.deadline.Sub(now), func() { t.cancel(a) })
}

func (t *try) cancel(a *attempt) {
	if a.sent {
		a.end(gaveUp)
	} else {
		a.end(notDialled)
	}
}

func (t *try) ended(f *fault) {
	c, now := t.c, t.c.m.env.Now()
	server := t.a.server
	if f == nil {
		c.first, c.suspect[server] = server, 0
		t.done(outcome{})
		return
	}
	if f.verdict == final {
		as := f.outcome
		if t.maybe && as == events.Lost && !f.seen {
			as = events.Unknown // it may be our own first attempt that we met
		}
		t.done(outcome{as, f})
		return
	}
	if now < t.deadline || now.Sub(t.start) >= leastShare {
		c.suspect[server] = now.Add(suspicion)
	}
	if f.verdict == ambiguous {
		t.maybe = true
		if !t.repeating {
			t.giveUp(f)
			return
		}
	}
	n := len(c.conns)
	turn := t.turn
	t.turn++
	if turn%n == n-1 && now < t.deadline {
		pause := min(50*time.Millisecond<<min(turn/n, 4), 400*time.Millisecond)
		c.m.env.After(min(pause, t.deadline.Sub(now)), t.next)
		return
	}
	t.next()
}

func (t *try) giveUp(f *fault) {
	as := events.Failed
	if t.maybe {
		as = events.Unknown
	}
	t.done(outcome{as, f})
}

// serverDied lets the connection to a server break.
func (c *session) serverDied(server int) {
	wait, fate := c.line.Return(server)
	if fate != stores.Vanishes {
		c.m.env.After(wait, c.conns[server].broke)
	}
}

// leave takes a session off the model.
func (m *Model) leave(c *session) {
	if i := slices.Index(m.clients, c); i >= 0 {
		m.clients = slices.Delete(m.clients, i, i+1)
	}
}
