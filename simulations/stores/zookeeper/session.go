package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// dataTimeout is the timeout that is asked for the session of reads and writes, which owns nothing.
const dataTimeout = 20 * time.Second

// Session is a member's adapter (stores.Session).
type Session struct {
	m      *Model
	member string
	line   stores.Line
	closed bool
	data   *lane
	record *lane // of the member record
	held   []*holding
	spares []*lane
	lanes  []*lane // all that may have a connection
	watch  *watch
	next   int // the server that the next new lane begins with
}

// Open begins a session of a member.
func (m *Model) Open(member string, line stores.Line) stores.Session {
	a := &Session{m: m, member: member, line: line}
	a.next = m.env.Pick("first server of a member", len(m.servers))
	a.data = a.lane(dataTimeout)
	a.data.pinged = true
	a.goOn()
	m.members = append(m.members, a)
	return a
}

// Close is the end of the agent.
func (a *Session) Close() {
	a.closed = true
	for _, l := range a.lanes {
		l.leave()
	}
	if a.watch != nil {
		a.watch.leave()
	}
	a.m.members = slices.DeleteFunc(a.m.members, func(o *Session) bool { return o == a })
}

// Do begins a request.
func (a *Session) Do(r stores.Request, answer func(stores.Response)) {
	d := &doing{a: a, r: r, answer: answer, within: true}
	switch r.Op {
	case stores.Acquire:
		d.lane, d.attempt = a.spare(r.TTL), (*doing).acquire
	case stores.Renew:
		d.startLease((*doing).renew)
		if d.h != nil && a.m.negotiate(r.TTL) != d.h.lane.timeout {
			d.lane, d.attempt = a.lane(r.TTL), (*doing).renewAnew
		}
	case stores.Release:
		d.startLease((*doing).release)
	case stores.HandOver:
		d.startLease((*doing).handOver)
		if d.h != nil {
			d.lane = a.spare(r.TTL)
		}
	case stores.Prepare:
		d.lane, d.attempt = a.lane(r.TTL), (*doing).prepare
	case stores.Put:
		d.lane, d.attempt = a.data, (*doing).put
	case stores.Delete:
		d.lane, d.attempt = a.data, (*doing).del
	case stores.PutMember:
		d.startRecord()
	case stores.Snapshot:
		d.lane, d.attempt = a.data, (*doing).snapshot
	}
	if !d.done {
		d.next()
	}
	d.within = false
}

// doing is a request under way: a row of attempts, each of which ends in time.
type doing struct {
	a       *Session
	r       stores.Request
	answer  func(stores.Response)
	attempt func(*doing)
	lane    *lane
	h       *holding
	within  bool // Do has not returned
	done    bool
	number  int  // of the attempt under way
	lost    int  // attempts that ended without an answer
	sent    bool // a write left whose answer was lost
	writing bool // a write is under way
	sure    bool // the next read comes after a barrier
}

// The shortest and the first longest time of an attempt; the longest doubles with every one that was in vain.
const (
	shortest = 100 * time.Millisecond
	longest  = time.Second
)

// next begins an attempt.
func (d *doing) next() {
	if d.done || d.a.closed {
		return
	}
	left := d.r.Deadline.Sub(d.a.m.env.Now())
	if left <= 0 {
		d.expire()
		return
	}
	d.number++
	share := min(max(left/3, shortest), longest<<min(d.lost, 4), left)
	d.a.m.env.After(share, d.current(func() {
		lane := d.lane
		again := !d.unrepeatable()
		d.failed()
		lane.drop()
		if again {
			d.next()
		}
	}))
	d.attempt(d)
}

// current makes f void when the attempt is over.
func (d *doing) current(f func()) func() {
	number := d.number
	return func() {
		if !d.done && !d.a.closed && d.number == number {
			f()
		}
	}
}

// failed ends an attempt without an answer.
func (d *doing) failed() {
	d.number++
	d.lost++
	d.sent = d.sent || d.writing
	d.writing, d.sure = false, true
}

// again begins another attempt after a moment, when the connection was lost or what was read has changed.
func (d *doing) again() {
	if d.unrepeatable() {
		return
	}
	d.failed()
	left := d.r.Deadline.Sub(d.a.m.env.Now())
	d.a.m.env.After(max(0, min(left, time.Duration(min(d.lost-1, 5))*20*time.Millisecond)), d.current(d.next))
}

// expire answers at the deadline.
func (d *doing) expire() {
	d.sent = d.sent || d.writing
	d.number++
	if d.r.Op == stores.Acquire || d.r.Op == stores.Prepare || d.r.Op == stores.HandOver {
		d.lane.leave() // its session ends by itself
		d.lane.over = true
	}
	if d.sent {
		d.finish(stores.Response{Outcome: events.Unknown, Error: "no answer in time"})
		return
	}
	d.finish(stores.Response{Outcome: events.Failed, Error: "no answer in time, nothing was sent that writes"})
}

func (d *doing) conflict(reason string) {
	d.finish(stores.Response{Outcome: events.Lost, Error: reason})
}

// refuse answers that a condition does not hold, or, if a write of ours may be the cause, that this is not known.
func (d *doing) refuse(reason string) {
	if d.sent {
		d.finish(stores.Response{Outcome: events.Unknown, Error: reason + ", after a write without an answer"})
		return
	}
	d.conflict(reason)
}

func (d *doing) finish(r stores.Response) {
	if d.done {
		return
	}
	d.done = true
	if !d.within {
		d.answer(r)
		return
	}
	d.a.m.env.After(0, func() {
		if !d.a.closed {
			d.answer(r)
		}
	})
}

// connect gives the attempt a connection with the lane's session.
func (d *doing) connect(f func(c *conn)) {
	lane, number := d.lane, d.number
	lane.connect(func(c *conn) {
		switch {
		case d.done || d.a.closed || d.number != number:
		case c != nil:
			f(c)
		case lane.over && d.over(lane):
		default:
			d.again()
		}
	})
}

// over deals with the end of the lane's session; true if that was the answer.
func (d *doing) over(lane *lane) bool {
	if d.h != nil && lane == d.h.lane {
		d.a.forget(d.h)
		if d.r.Op == stores.Renew {
			d.conflict("the session is expired")
		} else {
			d.refuse("the session is expired")
		}
		return true
	}
	lane.renewSession()
	return false
}

// write sends a multi and passes its answer on. Lost answers, moved and ended sessions lead to another attempt.
func (d *doing) write(c *conn, ops []op, f func(r result)) {
	number := d.number
	d.writing = true
	c.multi(ops, func(r result) {
		if d.done || d.a.closed || d.number != number {
			return
		}
		if r.code == connectionLost {
			d.again()
			return
		}
		d.writing = false
		switch r.code {
		case sessionMoved:
			d.again()
		case sessionExpired:
			d.lane.end()
			if !d.over(d.lane) {
				d.again()
			}
		default:
			f(r)
		}
	})
}

// unrepeatable answers for a write without a condition whose answer was lost: once more it could undo what another has written since.
func (d *doing) unrepeatable() bool {
	if !d.writing || d.r.Expect != events.Any || d.r.Op != stores.Put && d.r.Op != stores.Delete {
		return false
	}
	d.finish(stores.Response{Outcome: events.Unknown, Error: "the connection was lost before the answer"})
	return true
}

// read reads the connected server's tree, after a barrier if the attempt has to be sure.
func (d *doing) read(c *conn, at func(t *tree), f func()) {
	if d.sure {
		d.barrier(c)
	}
	number := d.number
	c.read(at, func(r result) {
		if d.done || d.a.closed || d.number != number {
			return
		}
		if r.code != ok {
			d.again()
			return
		}
		f()
	})
}

// barrier is a multi that only checks: it changes nothing, but a quorum agrees on it, and the reads behind it show all
// that was committed before.
func (d *doing) barrier(c *conn) {
	number := d.number
	c.multi([]op{{kind: opCheck, version: anyVersion}}, func(r result) {
		switch {
		case r.code == ok || d.done || d.a.closed || d.number != number:
		case r.code == sessionExpired:
			d.lane.end()
			if !d.over(d.lane) {
				d.again()
			}
		default:
			d.again()
		}
	})
}

// createLives creates the node of lives; that it is there already is as good.
func (d *doing) createLives(c *conn) {
	d.write(c, []op{{kind: opCreate, path: keyLives}}, func(result) { d.again() })
}

// lane is a session with at most one connection at a time.
type lane struct {
	a       *Session
	want    time.Duration // asked for
	timeout time.Duration // negotiated
	server  int
	sid     uint64 // zero: none yet
	// proven is from before the last connect: the leader has counted the timeout from no earlier.
	proven     events.Instant
	c          *conn
	leads      bool // the connected server said that it leads
	connecting bool
	over       bool // the session is expired
	pinged     bool
	waiting    []func(*conn)
}

func (a *Session) lane(want time.Duration) *lane {
	a.lanes = slices.DeleteFunc(a.lanes, func(l *lane) bool { return l.c == nil && !l.connecting && l.over })
	l := &lane{a: a, want: want, timeout: a.m.negotiate(want), server: a.next}
	a.lanes = append(a.lanes, l)
	return l
}

// connect gives f the lane's connection, or nil if it could not be made.
func (l *lane) connect(f func(*conn)) {
	if l.c != nil && !l.connecting {
		f(l.c)
		return
	}
	l.waiting = append(l.waiting, f)
	if l.connecting {
		return
	}
	l.connecting, l.leads = true, false
	c := l.a.m.newConn(l.a.m.servers[l.server], l.a.line)
	c.onClose = func() { l.lost(c) }
	l.c = c
	sent := l.a.m.env.Now()
	c.attach(l.sid, l.timeout, func(r result) {
		if r.code == connectionLost || l.c != c {
			return // lost does the rest
		}
		if r.code == sessionExpired {
			l.end()
			return
		}
		l.sid, l.proven, l.connecting = r.zxid, sent, false
		l.a.next = l.server
		l.askMode(c)
		if l.pinged {
			l.ping(c)
		}
		l.tell(c)
	})
}

// askMode learns whether the connected server leads ("srvr", on a connection of its own). The answer holds as long as
// the connection: a server that changes its role closes all (source: Leader.shutdown, QuorumPeer.closeAllConnections).
func (l *lane) askMode(c *conn) {
	c.ask(func(reply func(result)) {
		r := result{}
		if c.s.lead != nil {
			r.at = 1
		}
		reply(r)
	}, func(r result) {
		if r.code == ok && l.c == c {
			l.leads = r.at == 1
		}
	})
}

// ping keeps a session alive that nobody else touches.
func (l *lane) ping(c *conn) {
	l.a.m.env.After(l.timeout/3, func() {
		if c.open && !l.a.closed {
			c.read(func(*tree) {}, func(result) {})
			l.ping(c)
		}
	})
}

func (l *lane) tell(c *conn) {
	waiting := l.waiting
	l.waiting = nil
	for _, f := range waiting {
		f(c)
	}
}

// lost is the end of a connection; the next one goes to the next server.
func (l *lane) lost(c *conn) {
	if l.c != c {
		return
	}
	l.c, l.connecting, l.leads = nil, false, false
	l.server = (l.server + 1) % len(l.a.m.servers)
	l.a.next = l.server
	l.tell(nil)
}

// drop ends the connection because the server does not answer.
func (l *lane) drop() {
	if l.c != nil {
		l.c.broken()
	}
}

// leave closes the connection and leaves the session to end by itself.
func (l *lane) leave() {
	if c := l.c; c != nil {
		l.c, l.connecting = nil, false
		c.close()
	}
}

// end notes that the session is over.
func (l *lane) end() {
	l.over = true
	l.drop()
}

// renewSession lets the next connect begin a new session.
func (l *lane) renewSession() { l.over, l.sid = false, 0 }

// finish ends a session that is of no use any more, if that can be done without waiting.
func (l *lane) finish() {
	if c := l.c; c != nil && !l.connecting && !l.over {
		l.c = nil
		c.endSession()
	}
	l.leave()
	l.over = true
}

// fresh gives f a connection on which a write that is acknowledged proves that the leader has counted the timeout from
// no earlier than the instant that f gets. Through a leader that is the write itself. A follower tells the leader of
// it later, or never: there it is the connect, which the leader answers; so a lane does not stay with a follower.
func (d *doing) fresh(f func(c *conn, proven events.Instant)) {
	l, now := d.lane, d.a.m.env.Now()
	if l.c != nil && !l.connecting && l.leads {
		f(l.c, now)
		return
	}
	if l.c != nil && !l.connecting && l.proven < now {
		l.drop() // and the next server
	}
	d.connect(func(c *conn) { f(c, l.proven) })
}
