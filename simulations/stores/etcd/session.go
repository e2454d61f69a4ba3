package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// session is one agent's adapter.
type session struct {
	m      *Model
	member string
	line   stores.Line
	closed bool

	conns   []conn
	suspect []events.Instant
	term    []uint64 // that each server told last
	first   int      // the server that answered last

	held    []held
	record  record
	spares  []spare
	revokes []int64
	busy    bool // with revokes
	watch   *watch
}

// held is a lease of ours on the leader key (see backends/etcd/lease.go).
type held struct {
	epoch  uint64
	id     int64
	term   uint64 // of the leader that granted it, or an earlier one
	asked  int64  // seconds, zero when not known
	others []int64
}

func (h held) owns(id int64) bool { return h.id == id || slices.Contains(h.others, id) }

// spare is a lease without a key, granted ahead, by the ttl that was asked for.
type spare struct {
	asked int64
	granted
}

// seconds is a ttl as etcd keeps it.
func seconds(ttl time.Duration) int64 { return max(1, int64((ttl+time.Second-1)/time.Second)) }

func newSession(m *Model, member string, line stores.Line) *session {
	n := len(m.servers)
	c := &session{m: m, member: member, line: line, conns: make([]conn, n), suspect: make([]events.Instant, n), term: make([]uint64, n)}
	for i := range c.conns {
		c.conns[i].c = c
	}
	c.first = m.env.Pick("first server of a member", n)
	m.clients = append(m.clients, c)
	return c
}

// Close is the end of the agent.
func (c *session) Close() {
	c.closed = true
	c.m.leave(c)
}

// wasteSpare is what becomes of a lease that was prepared for a call that comes too late (seen with 3.4.23).
func (c *session) wasteSpare(r stores.Request) {
	_, holds := c.heldAt(r.Epoch)
	if r.Op != stores.Acquire && (r.Op != stores.HandOver || !holds) {
		return
	}
	if p, had := c.takeSpare(seconds(r.TTL)); had {
		c.revokeLater(p.id)
	}
}

// Do begins a request.
func (c *session) Do(r stores.Request, reply func(stores.Response)) {
	if c.closed {
		return
	}
	if r.Deadline <= c.m.env.Now() {
		c.m.env.After(0, func() {
			if !c.closed {
				c.wasteSpare(r)
				reply(stores.Response{Outcome: events.Failed, Error: gaveUp.text})
			}
		})
		return
	}
	switch r.Op {
	case stores.Acquire:
		c.acquire(r, reply)
	case stores.Renew:
		c.renew(r, reply)
	case stores.Release:
		c.release(r, reply)
	case stores.HandOver:
		c.handOver(r, reply)
	case stores.Prepare:
		c.prepare(r, reply)
	case stores.Put, stores.Delete:
		c.write(r, reply)
	case stores.PutMember:
		c.putMember(r, reply)
	case stores.Snapshot:
		c.snapshot(r, reply)
	}
}

// response is an outcome without a result.
func (o outcome) response() stores.Response {
	r := stores.Response{Outcome: o.as}
	if o.ok() {
		r.Outcome = events.Done
	}
	if o.fault != nil {
		r.Error = o.fault.text
	}
	return r
}

func (c *session) snapshot(r stores.Request, reply func(stores.Response)) {
	var snap events.DCSSnapshot
	c.try(r.Deadline, repeating, func(a *attempt) {
		a.call(ask{kind: getAll}, func(got *answer) {
			if a.failed(got) {
				return
			}
			snap = got.snap
			a.end(nil)
		})
	}, func(o outcome) {
		answer := o.response()
		answer.Snapshot = snap
		reply(answer)
	})
}

// failed ends the attempt if the server answered with an error, and notes the server's term if not.
func (a *attempt) failed(got *answer) bool {
	if got.err != nil {
		a.end(got.err)
		return true
	}
	if got.term != 0 {
		a.c.term[a.server] = got.term
	}
	return false
}

func (c *session) write(r stores.Request, reply func(stores.Response)) {
	q := ask{kind: txn, key: r.Key, value: r.Value, del: r.Op == stores.Delete}
	if r.Expect != events.Any {
		q.cond, q.mod = atMod, r.Expect
	}
	var rev int64
	c.try(r.Deadline, r.Expect > 0, func(a *attempt) {
		a.call(q, func(got *answer) {
			switch {
			case a.failed(got):
			case !got.ok:
				a.end(conflict)
			default:
				rev = got.rev
				a.end(nil)
			}
		})
	}, func(o outcome) {
		answer := o.response()
		answer.Revision = uint64(rev)
		reply(answer)
	})
}

// leaseOf is a lease as Acquire and Renew return it.
func leaseOf(epoch uint64, sentAt events.Instant, secs int64) backends.Lease {
	return backends.Lease{Epoch: epoch, SentAt: sentAt, TTL: time.Duration(secs) * time.Second}
}
