package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// renewal is one call of Renew; source: backends/etcd/renew.go.
type renewal struct {
	c     *session
	r     stores.Request
	reply func(stores.Response)
	h     held
	a     *attempt

	term   uint64 // before the keepalive
	older  bool   // the lease was granted by an earlier leader
	sentAt events.Instant
	ttl    int64
}

func (c *session) renew(r stores.Request, reply func(stores.Response)) {
	c.holding(r.Deadline, r.Epoch, func(o outcome, h held) {
		switch {
		case !o.ok():
			reply(o.response())
		case h.asked != seconds(r.TTL):
			c.renewAnew(r, h, reply)
		default:
			n := &renewal{c: c, r: r, reply: reply, h: h}
			c.try(r.Deadline, repeating, n.prolong, n.done)
		}
	})
}

// prolong sends a keepalive and then proves that it counted.
func (n *renewal) prolong(a *attempt) {
	n.a = a
	n.term, n.sentAt = n.c.term[a.server], n.c.m.env.Now()
	a.call(ask{kind: keepAlive, lease: n.h.id}, n.prolonged)
}

func (n *renewal) prolonged(got *answer) {
	if got.err != nil {
		n.a.end(got.err)
		return
	}
	n.ttl = got.ttl // the answer's term is left alone: no quorum proved it
	n.a.call(ask{kind: getKey, key: events.KeyLeader}, n.proved)
}

func (n *renewal) proved(got *answer) {
	a := n.a
	switch {
	case a.failed(got):
	case !got.has || !n.h.owns(got.kv.lease):
		a.end(seen)
	case got.kv.lease != n.h.id:
		n.h = n.c.settled(n.h, got.kv.lease)
		n.prolong(a)
	case n.ttl > 0 && got.term == n.term:
		n.older = n.term != n.h.term && !n.c.m.keepsLease
		a.end(nil)
	default: // another term, or a leader that has not applied the grant yet
		n.c.m.env.After(10*time.Millisecond, func() {
			if !a.over && !n.c.closed {
				n.prolong(a)
			}
		})
	}
}

func (n *renewal) done(o outcome) {
	if o.ok() && n.older {
		n.c.renewAnew(n.r, n.h, n.reply)
		return
	}
	answer := o.response()
	if o.ok() {
		answer.Lease = leaseOf(n.r.Epoch, n.sentAt, n.ttl)
	} else if o.isConflict() {
		n.c.drop(n.r.Epoch)
	}
	n.reply(answer)
}

// renewAnew attaches the key to a new lease.
func (c *session) renewAnew(r stores.Request, h held, reply func(stores.Response)) {
	c.settle(r.Deadline, h, func(o outcome, h held) {
		if !o.ok() {
			reply(o.response())
			return
		}
		c.grant(r.Deadline, seconds(r.TTL), func(o outcome, g granted) {
			if !o.ok() {
				reply(o.harmless().response())
				return
			}
			q := ask{cond: onLease, onto: h.id, sameEpoch: true}
			c.attach(r.Deadline, g.id, c.member, q, func(o outcome, _ int64) {
				answer := o.response()
				switch {
				case o.ok():
					c.setHeld(held{epoch: r.Epoch, id: g.id, term: g.term, asked: seconds(r.TTL)})
					c.revokeLater(h.id)
					answer.Lease = leaseOf(r.Epoch, g.sentAt, g.secs)
				case o.as == events.Unknown:
					now, there := c.heldAt(r.Epoch)
					if there || h.asked == 0 {
						if !there {
							now = h
						}
						now.others = append(slices.Clone(now.others), g.id)
						c.setHeld(now)
					}
				case o.isConflict():
					c.drop(r.Epoch)
					c.revokeLater(g.id)
				default:
					c.revokeLater(g.id)
				}
				reply(answer)
			})
		})
	})
}

const (
	revokeTimeout = 2 * time.Second
	mostRevokes   = 64
)

// revokeLater lets the server forget leases, one after the other; those that cannot be revoked soon end by themselves.
func (c *session) revokeLater(ids ...int64) {
	for _, id := range ids {
		if len(c.revokes) < mostRevokes {
			c.revokes = append(c.revokes, id)
		}
	}
	c.revokeNext()
}

func (c *session) revokeNext() {
	if c.busy || len(c.revokes) == 0 || c.closed {
		return
	}
	c.busy = true
	id := c.revokes[0]
	c.revokes = slices.Delete(c.revokes, 0, 1)
	c.try(c.m.env.Now().Add(revokeTimeout), repeating, func(a *attempt) {
		a.call(ask{kind: revoke, lease: id}, func(got *answer) { a.end(got.err) })
	}, func(outcome) {
		c.busy = false
		c.revokeNext()
	})
}
