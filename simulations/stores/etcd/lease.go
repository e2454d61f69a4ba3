package etcd

import (
	"math"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// granted is a lease that was granted to us.
type granted struct {
	id     int64
	sentAt events.Instant
	secs   int64
	term   uint64 // of the leader that granted it, or an earlier one
}

// newID draws the id of a lease; ids are used for one acquisition only.
func (m *Model) newID() int64 {
	m.ids++
	return m.ids<<20 | int64(m.env.Pick("id of a lease", math.MaxInt16))
}

// grant creates a lease; source: backends/etcd/lease.go.
func (c *session) grant(deadline events.Instant, secs int64, done func(outcome, granted)) {
	g := granted{id: c.m.newID()}
	attempts := 0
	c.try(deadline, repeating, func(a *attempt) {
		if attempts++; attempts == 1 {
			g.sentAt, g.term = c.m.env.Now(), c.term[a.server]
		}
		g.term = min(g.term, c.term[a.server])
		a.call(ask{kind: grant, lease: g.id, ttl: secs}, func(got *answer) {
			switch {
			case got.err == leaseExists && attempts > 1: // by an earlier attempt
				g.secs = secs
				a.end(nil)
			case a.failed(got):
			default:
				g.secs = got.ttl
				a.end(nil)
			}
		})
	}, func(o outcome) { done(o, g) })
}

func (c *session) prepare(r stores.Request, reply func(stores.Response)) {
	secs := seconds(r.TTL)
	c.grant(r.Deadline, secs, func(o outcome, g granted) {
		if o.ok() {
			if p, had := c.takeSpare(secs); had {
				c.revokeLater(p.id)
			}
			c.spares = append(c.spares, spare{secs, g})
		}
		reply(o.harmless().response()) // a lease without a key changes nothing
	})
}

func (c *session) takeSpare(secs int64) (spare, bool) {
	i := slices.IndexFunc(c.spares, func(p spare) bool { return p.asked == secs })
	if i < 0 {
		return spare{}, false
	}
	p := c.spares[i]
	c.spares = slices.Delete(c.spares, i, i+1)
	return p, true
}

// leaseFor takes the lease that was prepared, if it is fresh, or has one granted.
func (c *session) leaseFor(deadline events.Instant, secs int64, done func(outcome, granted)) {
	p, had := c.takeSpare(secs)
	if had && c.m.env.Now() < p.sentAt.Add(time.Duration(p.secs)*time.Second/4) {
		done(outcome{}, p.granted)
		return
	}
	if had {
		c.revokeLater(p.id)
	}
	c.grant(deadline, secs, done)
}

func (c *session) acquire(r stores.Request, reply func(stores.Response)) {
	c.leaseFor(r.Deadline, seconds(r.TTL), func(o outcome, g granted) {
		if !o.ok() {
			reply(o.harmless().response())
			return
		}
		q := ask{cond: atMod}
		if r.Expect != 0 {
			q.cond, q.mod, q.own = atModOwn, r.Expect, c.member
		}
		c.attach(r.Deadline, g.id, c.member, q, func(o outcome, rev int64) {
			answer := o.response()
			if o.ok() {
				c.hold(held{epoch: uint64(rev), id: g.id, term: g.term, asked: seconds(r.TTL)})
				answer.Lease = leaseOf(uint64(rev), g.sentAt, g.secs)
			} else if o.as != events.Unknown {
				c.revokeLater(g.id)
			}
			reply(answer)
		})
	})
}

// attach writes value into the leader key with a lease, under the condition of q.
func (c *session) attach(deadline events.Instant, id int64, value string, q ask, done func(outcome, int64)) {
	q.kind, q.key, q.value, q.lease = txn, events.KeyLeader, value, id
	var rev int64
	c.try(deadline, repeating, func(a *attempt) {
		a.call(q, func(got *answer) {
			switch {
			case a.failed(got):
				return
			case got.ok:
				rev = got.rev
			case got.has && got.kv.lease == id: // written by an earlier attempt
				rev = got.kv.mod
			default:
				a.end(conflict)
				return
			}
			a.end(nil)
		})
	}, func(o outcome) { done(o, rev) })
}

// hold notes the lease of the newest epoch; those of earlier epochs are over.
func (c *session) hold(h held) {
	for len(c.held) > 0 && c.held[0].epoch < h.epoch {
		c.drop(c.held[0].epoch)
	}
	c.setHeld(h)
}

func (c *session) heldAt(epoch uint64) (held, bool) {
	for _, h := range c.held {
		if h.epoch == epoch {
			return h, true
		}
	}
	return held{}, false
}

// setHeld notes what is held of an epoch; they are sorted.
func (c *session) setHeld(h held) {
	i, there := slices.BinarySearchFunc(c.held, h.epoch, func(o held, epoch uint64) int {
		switch {
		case o.epoch < epoch:
			return -1
		case o.epoch > epoch:
			return 1
		}
		return 0
	})
	if there {
		c.held[i] = h
		return
	}
	c.held = slices.Insert(c.held, i, h)
}

// drop forgets a lease that is lost or given up and lets the server forget it too.
func (c *session) drop(epoch uint64) {
	if h, there := c.heldAt(epoch); there {
		c.held = slices.DeleteFunc(c.held, func(o held) bool { return o.epoch == epoch })
		c.revokeLater(append(slices.Clone(h.others), h.id)...)
	}
}

// holding finds the lease of an epoch: what this session won, or what the key itself shows.
func (c *session) holding(deadline events.Instant, epoch uint64, done func(outcome, held)) {
	if h, there := c.heldAt(epoch); there {
		done(outcome{}, h)
		return
	}
	h := held{epoch: epoch}
	c.try(deadline, repeating, func(a *attempt) {
		a.call(ask{kind: getKey, key: events.KeyLeader}, func(got *answer) {
			switch k := &got.kv; {
			case a.failed(got):
			case !got.has || uint64(k.mod) != epoch || k.value != c.member || k.lease == 0:
				a.end(seen)
			default:
				h.id = k.lease
				a.end(nil)
			}
		})
	}, func(o outcome) { done(o, h) })
}

func (c *session) release(r stores.Request, reply func(stores.Response)) {
	c.holding(r.Deadline, r.Epoch, func(o outcome, h held) {
		if !o.ok() {
			reply(o.response())
			return
		}
		ids := append([]int64{h.id}, h.others...)
		c.try(r.Deadline, repeating, func(a *attempt) { c.deleteOwned(a, ids) }, func(o outcome) {
			if o.ok() || o.isConflict() {
				c.drop(r.Epoch)
			}
			reply(o.response())
		})
	})
}

// deleteOwned deletes the leader key if it is attached to one of some leases, asking for one after the other.
func (c *session) deleteOwned(a *attempt, ids []int64) {
	if len(ids) == 0 {
		a.end(conflict)
		return
	}
	a.call(ask{kind: txn, key: events.KeyLeader, del: true, cond: onLease, onto: ids[0]}, func(got *answer) {
		switch {
		case a.failed(got):
		case got.ok:
			a.end(nil)
		default:
			c.deleteOwned(a, ids[1:])
		}
	})
}

func (c *session) handOver(r stores.Request, reply func(stores.Response)) {
	c.holding(r.Deadline, r.Epoch, func(o outcome, h held) {
		if !o.ok() {
			reply(o.response())
			return
		}
		c.settle(r.Deadline, h, func(o outcome, h held) {
			if !o.ok() {
				reply(o.response())
				return
			}
			c.leaseFor(r.Deadline, seconds(r.TTL), func(o outcome, g granted) {
				if !o.ok() {
					reply(o.harmless().response())
					return
				}
				c.attach(r.Deadline, g.id, r.To, ask{cond: onLease, onto: h.id}, func(o outcome, _ int64) {
					if o.ok() || o.isConflict() {
						c.drop(r.Epoch)
					}
					if !o.ok() && o.as != events.Unknown {
						c.revokeLater(g.id)
					}
					reply(o.response())
				})
			})
		})
	})
}

// settle finds out which of several leases the key is attached to.
func (c *session) settle(deadline events.Instant, h held, done func(outcome, held)) {
	if len(h.others) == 0 {
		done(outcome{}, h)
		return
	}
	c.try(deadline, repeating, func(a *attempt) {
		a.call(ask{kind: getKey, key: events.KeyLeader}, func(got *answer) {
			switch {
			case a.failed(got):
			case !got.has || !h.owns(got.kv.lease):
				a.end(seen)
			default:
				h = c.settled(h, got.kv.lease)
				a.end(nil)
			}
		})
	}, func(o outcome) { done(o, h) })
}

// settled notes that the key is attached to id; the other leases are of no use any more.
func (c *session) settled(h held, id int64) held {
	now := held{epoch: h.epoch, id: id, asked: h.asked}
	if id != h.id {
		now.asked = 0
	}
	c.setHeld(now)
	for _, o := range append(slices.Clone(h.others), h.id) {
		if o != id {
			c.revokeLater(o)
		}
	}
	return now
}
