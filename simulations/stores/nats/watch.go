package nats

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Timing of a watch, as in backends/nats/watch.go.
const (
	silence        = 4 * time.Second
	pingEvery      = time.Second
	pingTimeout    = 2 * time.Second
	unheard        = 3 * time.Second
	resyncLeast    = time.Second
	consumeTimeout = 2 * time.Second
	retryEvery     = 250 * time.Millisecond
)

// watch is the adapter's Watch: sessions of a snapshot and a consumer, each until there is a hole.
type watch struct {
	s         *session
	sink      func(events.Fact)
	told      bool // something of reachability
	reachable bool
	heard     events.Instant // when the store last answered
	number    int            // of the session
	gen       int            // of the connection when the session began
	syncing   *call          // makes the snapshot, and then the consumer
	live      bool           // changes come
	pinging   bool
	quiet     events.Instant // since when nothing came from the consumer
	consumer  *consumer
}

// Watch delivers snapshots, changes and reachability.
func (s *session) Watch(sink func(events.Fact)) {
	if s.closed {
		return
	}
	w := &s.watch
	w.sink, w.heard = sink, s.m.env.Now()
	s.m.env.After(0, w.begin)
}

// reach reports a change of reachability.
func (w *watch) reach(now bool, reason string) {
	if w.told && w.reachable == now {
		return
	}
	w.told, w.reachable = true, now
	w.sink(events.DCSReach{Reachable: now, Reason: reason})
}

// begin begins a session with a snapshot; a bucket that somebody deleted is made again.
func (w *watch) begin() {
	s := w.s
	if s.closed {
		return
	}
	w.number++
	w.gen = s.ops.gen
	now := s.m.env.Now()
	c := &call{s: s, op: "read snapshot for the watch", l: &s.ops, finish: (*call).synced,
		deadline: now.Add(max(unheard-now.Sub(w.heard), resyncLeast))}
	w.syncing = c
	s.begin(c)
	c.try(c.l, &query{kind: info}, (*call).lookedAt)
}

func (c *call) lookedAt(r result) {
	m := c.s.m
	if r.fault == refused {
		if m.recreate(); !m.exists {
			c.fail(failure{events.Failed, "the bucket is gone"})
			return
		}
	}
	c.startRead((*call).snapshotDone)
}

func (c *call) synced(r stores.Response) {
	w := &c.s.watch
	if w.syncing != c {
		return
	}
	if r.Outcome != events.Done {
		w.reach(false, r.Error)
		w.restart()
		return
	}
	w.reach(true, "")
	now := c.s.m.env.Now()
	w.heard = now
	w.sink(r.Snapshot)
	if c.s.closed { // by the sink
		return
	}
	next := &call{s: c.s, op: "create the consumer of the watch", finish: (*call).consuming, deadline: now.Add(consumeTimeout)}
	w.syncing = next
	c.s.begin(next)
	next.try(&c.s.ops, &query{kind: consume, from: r.Snapshot.Revision}, (*call).consumed)
}

func (c *call) consumed(r result) {
	if r.fault != fine {
		c.fail(failure{events.Failed, faultText[r.fault]})
		return
	}
	c.end(stores.Response{Outcome: events.Done})
}

func (c *call) consuming(r stores.Response) {
	w := &c.s.watch
	if w.syncing != c {
		return
	}
	if r.Outcome != events.Done || w.gen != c.s.ops.gen || w.consumer == nil {
		w.restart()
		return
	}
	w.live, w.quiet, w.syncing = true, c.s.m.env.Now(), nil
}

// restart ends a session; the next one begins with a snapshot.
func (w *watch) restart() {
	w.number++
	w.live, w.syncing, w.consumer = false, nil, nil
	number := w.number
	w.s.m.env.After(retryEvery, func() {
		if w.number == number {
			w.begin()
		}
	})
}

// linkBroke ends a session whose connection broke.
func (w *watch) linkBroke(l *link) {
	if w.live && l == &w.s.ops {
		w.restart()
	}
}

// look is what a second brings: heartbeats of the consumer, and a read through the leader of the stream.
func (w *watch) look(took time.Duration, ok bool) {
	if !w.live {
		return
	}
	m, now := w.s.m, w.s.m.env.Now()
	if c := w.consumer; ok && c.beats() {
		if w.quiet = now; c.flying == 0 && c.sent != c.delivered {
			w.restart() // the heartbeat names a message that did not come
			return
		}
	} else if now.Sub(w.quiet) >= silence {
		w.restart()
		return
	}
	if w.pinging {
		return
	}
	if ok && took < attemptTimeout && m.exists && m.answers(w.s.ops.server) {
		w.heard = now
		return
	}
	w.pinging = true
	c := &call{s: w.s, op: "ping", finish: (*call).pingDone, deadline: now.Add(pingTimeout)}
	c.read.since = uint64(w.number)
	w.s.begin(c)
	c.ping()
}

// answers tells whether a request of a client of a server would be answered now.
func (m *Model) answers(server int) bool {
	s := &m.servers[server]
	if !s.runs() {
		return false
	}
	return s.believes || m.lead >= 0 && m.servers[m.lead].runs() && m.servers[m.lead].believes && m.reach(server, m.lead)
}

func (c *call) ping() {
	c.try(&c.s.ops, &query{kind: last, message: message{key: events.KeyLeader}}, (*call).pinged)
}

func (c *call) pinged(r result) {
	switch r.fault {
	case fine:
		c.end(stores.Response{Outcome: events.Done})
	case refused:
		c.fail(failure{events.Failed, faultText[r.fault]})
	default:
		c.read.t.addRead(r.fault)
		c.pause(&c.read.pace, (*call).ping, (*call).pingGivenUp)
	}
}

func (c *call) pingGivenUp() { c.fail(c.read.t.outcome()) }

func (c *call) pingDone(r stores.Response) {
	w := &c.s.watch
	w.pinging = false
	if w.number != int(c.read.since) || !w.live {
		return
	}
	if r.Outcome == events.Done {
		w.heard = c.s.m.env.Now()
		return
	}
	w.reach(false, r.Error)
	w.restart()
}

// consumer is an ephemeral push consumer: it lives on one server, in memory.
type consumer struct {
	w         *watch
	host      int
	life      int // of the host
	gen       int // of the connection that it delivers to
	ended     bool
	pos       uint64 // sequence of the last message sent
	sent      uint64 // its own number of that
	delivered uint64
	seen      uint64
	flying    int
}

// attach makes a consumer for a request that asked for one, on any server that runs.
func (w *watch) attach(q *query) {
	if w.syncing != q.c {
		return
	}
	m := w.s.m
	var able []int
	for i := range m.servers {
		if m.servers[i].runs() && m.reach(i, m.lead) {
			able = append(able, i)
		}
	}
	host := able[m.env.Pick("which server keeps the consumer", len(able))]
	w.consumer = &consumer{w: w, host: host, life: m.servers[host].life, gen: q.gen, pos: q.from, seen: q.from}
	w.consumer.catchUp()
}

// catchUp sends what is stored and was not sent. What was overwritten meanwhile is not there any more.
func (c *consumer) catchUp() {
	m := c.w.s.m
	state := &m.data
	if v := m.servers[c.host].view; v != nil {
		state = v
	}
	for _, e := range state.after(c.pos) {
		var fact events.Fact
		if isDirectory(e.key) {
			fact = changeOf(&e)
		}
		c.send(e.seq, fact)
	}
}

// beats tells whether the heartbeats of the consumer come as far as to the client's server.
func (c *consumer) beats() bool {
	m := c.w.s.m
	h := &m.servers[c.host]
	return !c.ended && h.runs() && h.life == c.life && m.reach(c.host, c.w.s.ops.server)
}

// send sends a message of the stream to the client; no fact is one that is none of the directory.
func (c *consumer) send(seq uint64, fact events.Fact) {
	if c.ended {
		return
	}
	c.pos = seq
	if fact == nil {
		return
	}
	c.sent++
	m, l := c.w.s.m, &c.w.s.ops
	n, via := c.sent, l.server
	if l.gen != c.gen || !m.reach(c.host, via) {
		return
	}
	if m.servers[via].frozen {
		m.whenAwake(via, func() { c.pass(n, seq, fact) })
		return
	}
	c.pass(n, seq, fact)
}

// pass is a message on its way from the client's server to the client.
func (c *consumer) pass(n, seq uint64, fact events.Fact) {
	l := &c.w.s.ops
	if l.gen != c.gen || l.down || c.w.s.closed {
		return
	}
	d, fate := l.s.line.Return(l.server)
	switch fate {
	case stores.Arrives:
		now := l.s.m.env.Now()
		l.inUntil = max(now.Add(d+hop), l.inUntil)
		c.flying++
		l.s.m.env.After(l.inUntil.Sub(now), func() { c.take(n, seq, fact) })
	case stores.Resets:
		l.brokenAt(c.gen)
	}
}

// take is a message at the client, which finds holes by its number.
func (c *consumer) take(n, seq uint64, fact events.Fact) {
	c.flying--
	w := c.w
	if w.consumer != c || w.s.closed || w.s.ops.gen != c.gen {
		return
	}
	if n != c.delivered+1 {
		if w.live {
			w.restart()
		}
		return
	}
	c.delivered++
	w.quiet = w.s.m.env.Now()
	if seq <= c.seen {
		return // a consumer on a replica that lags begins before the snapshot
	}
	c.seen = seq
	w.s.saw(seq)
	w.sink(fact)
}

// end removes the consumer at the servers. The client is told by a status message, or by the silence.
func (c *consumer) end(told bool) {
	if c.ended {
		return
	}
	c.ended = true
	if !told {
		return
	}
	l := &c.w.s.ops
	if l.down || l.gen != c.gen {
		return
	}
	if d, fate := l.s.line.Return(l.server); fate == stores.Arrives {
		c.w.s.m.env.After(d, func() {
			if c.w.consumer == c && c.w.live && !c.w.s.closed {
				c.w.restart()
			}
		})
	}
}
