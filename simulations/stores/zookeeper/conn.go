package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// The times of TCP's retransmissions.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 3 * time.Second
)

// pipe is one direction of a connection: in order, and lost packets are sent again.
type pipe struct {
	last events.Instant
	held []func()
	wait time.Duration
}

// conn is a TCP connection of a client to a server, with a session on it once it is attached.
type conn struct {
	m        *Model
	s        *server
	line     stores.Line
	up, back pipe
	// open is what the client knows, gone what the server knows.
	open, gone bool
	calls      []*call
	onClose    func()
	event      func(path string) // a watch fired; the empty path is the list of names

	// What the server knows:
	sid     uint64
	pending int // writes under way
	queue   []func()
	armed   map[string]bool
}

// call is a request of the client that waits for its answer.
type call struct {
	done func(result)
}

func (m *Model) newConn(s *server, line stores.Line) *conn {
	return &conn{m: m, s: s, line: line, open: true}
}

// packet is something on its way between a client and its server. Those that arrived are used again.
type packet struct {
	c  *conn
	up bool // to the server
	f  func()
	do func() // arrive
}

func (c *conn) packet(up bool, f func()) func() {
	m := c.m
	var p *packet
	if n := len(m.packets); n > 0 {
		p, m.packets = m.packets[n-1], m.packets[:n-1]
	} else {
		p = &packet{}
		p.do = p.arrive
	}
	p.c, p.up, p.f = c, up, f
	return p.do
}

// arrive happens once at most.
func (p *packet) arrive() {
	c, f := p.c, p.f
	p.c, p.f = nil, nil
	c.m.packets = append(c.m.packets, p)
	switch {
	case !p.up:
		if c.open {
			f()
		}
	case !c.s.up:
		c.down(c.broken) // connection refused
	case c.s.frozen:
		c.s.take(func() {
			if !c.gone {
				f()
			}
		})
	case !c.gone:
		f()
	}
}

// draw tells what becomes of a packet.
func (c *conn) draw(up bool) (time.Duration, stores.Fate) {
	if up {
		return c.line.Send(c.s.id)
	}
	return c.line.Return(c.s.id)
}

// transmit brings f to the other end.
func (c *conn) transmit(p *pipe, up bool, f func()) {
	if len(p.held) > 0 {
		p.held = append(p.held, f)
		return
	}
	d, fate := c.draw(up)
	switch fate {
	case stores.Arrives:
		now := c.m.env.Now()
		p.last = max(p.last, now.Add(d))
		c.m.env.After(p.last.Sub(now), f)
	case stores.Resets:
		c.m.env.After(d, c.broken)
	default:
		p.held = append(p.held, f)
		p.wait = firstRetry
		c.retransmit(p, up)
	}
}

func (c *conn) retransmit(p *pipe, up bool) {
	c.m.env.After(p.wait, func() {
		if !c.open {
			p.held = nil // closed with a reset: what was not sent is not sent any more
			return
		}
		d, fate := c.draw(up)
		switch fate {
		case stores.Arrives:
			held := p.held
			p.held = nil
			now := c.m.env.Now()
			p.last = max(p.last, now.Add(d))
			c.m.env.After(p.last.Sub(now), func() {
				for _, f := range held {
					f()
				}
			})
		case stores.Resets:
			p.held = nil
			c.broken()
		default:
			p.wait = min(2*p.wait, lastRetry)
			c.retransmit(p, up)
		}
	})
}

// toServer lets f happen at the server, when it runs and has not closed the connection.
func (c *conn) toServer(f func()) { c.transmit(&c.up, true, c.packet(true, f)) }

// down lets f happen at the client, if it still has the connection.
func (c *conn) down(f func()) {
	if c.open {
		c.transmit(&c.back, false, c.packet(false, f))
	}
}

// broken is the client that learns of the end of the connection, or makes it.
func (c *conn) broken() {
	if !c.open {
		return
	}
	c.close()
	calls := c.calls
	c.calls = nil
	for _, k := range calls {
		k.done(result{code: connectionLost})
	}
	if c.onClose != nil {
		c.onClose()
	}
}

// close ends the connection without telling anybody. What is under way to the server arrives.
func (c *conn) close() {
	c.open = false
	c.armed = nil
	c.s.conns = slices.DeleteFunc(c.s.conns, func(o *conn) bool { return o == c })
}

// ask sends a request. What done gets is what the server says, or that the connection was lost.
func (c *conn) ask(at func(reply func(result)), done func(result)) {
	if !c.open {
		done(result{code: connectionLost})
		return
	}
	k := &call{done: done}
	c.calls = append(c.calls, k)
	c.toServer(func() {
		at(func(r result) { c.down(func() { c.answered(k, r) }) })
	})
}

func (c *conn) answered(k *call, r result) {
	for i, o := range c.calls {
		if o == k {
			c.calls = append(c.calls[:i], c.calls[i+1:]...)
			k.done(r)
			return
		}
	}
}

// attach connects with a session, a new one if sid is zero (source: ZooKeeperServer.processConnectRequest). The
// handshake of TCP comes first.
func (c *conn) attach(sid uint64, timeout time.Duration, done func(result)) {
	k := &call{done: done}
	c.calls = append(c.calls, k)
	c.toServer(func() {
		c.down(func() {
			c.toServer(func() {
				c.connected(sid, timeout, func(r result) { c.down(func() { c.answered(k, r) }) })
			})
		})
	})
}

func (c *conn) connected(sid uint64, timeout time.Duration, reply func(result)) {
	s := c.s
	if !s.serving() { // (source: NIOServerCnxn.readConnectRequest: "ZooKeeperServer not running")
		c.gone = true
		c.down(c.broken)
		return
	}
	if c.open {
		s.conns = append(s.conns, c)
	}
	if sid == 0 {
		s.m.nextSID++
		c.sid = s.m.nextSID
		fresh := c.sid
		s.write(request{sid: fresh, open: timeout, origin: s, reply: func(r result) { r.zxid = fresh; reply(r) }})
		return
	}
	c.sid = sid
	revalidated := func(alive bool) {
		if !alive {
			reply(result{code: sessionExpired})
			return
		}
		s.touchBy(sid)
		reply(result{zxid: sid})
	}
	if s.lead != nil {
		revalidated(s.revalidate(sid, s))
		return
	}
	l := s.leader
	s.m.send(s, l, func() { // (source: Learner.validateSession, Leader.revalidateSession)
		if !s.follows(l) {
			return
		}
		alive := l.revalidate(sid, s)
		s.m.send(l, s, func() {
			if s.follows(l) {
				revalidated(alive)
			}
		})
	})
}

// revalidate is the leader that touches a session for its new owner.
func (s *server) revalidate(sid uint64, owner *server) bool {
	if !s.lead.touch(sid) {
		return false
	}
	s.lead.session(sid).owner = owner
	return true
}

// multi sends a write.
func (c *conn) multi(ops []op, done func(result)) {
	c.ask(func(reply func(result)) {
		c.s.touchBy(c.sid)
		c.order(func() {
			c.pending++
			c.s.write(request{sid: c.sid, ops: ops, origin: c.s, reply: func(r result) {
				c.pending--
				reply(r)
				c.work()
			}})
		})
	}, done)
}

// endSession ends the session now, with its ephemerals.
func (c *conn) endSession() {
	c.ask(func(reply func(result)) {
		c.s.write(request{sid: c.sid, close: true, origin: c.s, reply: reply})
	}, func(result) { c.broken() })
}

// read reads from the tree of the connected server, after the session's own writes.
func (c *conn) read(at func(t *tree), done func(result)) {
	c.ask(func(reply func(result)) {
		c.s.touchBy(c.sid)
		c.order(func() {
			if c.pending > 0 {
				c.queue = append(c.queue, func() { c.answer(at, reply) })
				return
			}
			c.answer(at, reply)
		})
	}, done)
}

func (c *conn) answer(at func(t *tree), reply func(result)) {
	at(c.s.tree)
	reply(result{zxid: c.s.tree.zxid})
}

// order keeps requests of a session behind reads that wait for its writes (source: CommitProcessor).
func (c *conn) order(f func()) {
	if len(c.queue) > 0 {
		c.queue = append(c.queue, f)
		return
	}
	f()
}

func (c *conn) work() {
	for c.pending == 0 && len(c.queue) > 0 && !c.gone {
		f := c.queue[0]
		c.queue = c.queue[1:]
		f()
	}
}

// sync asks the leader, through the connected server, which then has applied all that was committed. A leader
// that was deposed and does not know it yet answers too (source: Leader.processSync, no quorum).
func (c *conn) sync(done func(result)) {
	c.ask(func(reply func(result)) {
		s := c.s
		s.touchBy(c.sid)
		if s.lead != nil {
			reply(result{zxid: s.tree.zxid})
			return
		}
		l := s.leader
		if l == nil {
			return
		}
		s.m.send(s, l, func() {
			if !s.follows(l) {
				return
			}
			s.m.send(l, s, func() {
				if s.follows(l) {
					c.order(func() { reply(result{zxid: s.tree.zxid}) })
				}
			})
		})
	}, done)
}

// fire tells the client of what it watches. A watch fires once, and before any answer that shows the change
// (source: DataTree.processTxn, WatchManager.triggerWatch).
func (c *conn) fire(x *txn) {
	if c.armed == nil {
		return
	}
	for _, ch := range x.changes {
		born := ch.node != nil && ch.node.czxid == x.zxid
		if (born || ch.node == nil) && c.armed[""] {
			delete(c.armed, "")
			c.down(func() { c.event("") })
		}
		if c.armed[ch.path] {
			delete(c.armed, ch.path)
			path := ch.path
			c.down(func() { c.event(path) })
		}
	}
}
