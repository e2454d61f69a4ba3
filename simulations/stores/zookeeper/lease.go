package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// holding is a lease of this adapter: the leader node is an ephemeral of the lane's session.
type holding struct {
	epoch   uint64 // zxid of the acquisition
	lane    *lane
	czxid   uint64 // of the node now: a change of ttl creates it anew
	version int32
	lives   int32
	// others are sessions that the node may belong to after a change of ttl with an unknown outcome.
	others []*lane
}

// other is that of the others which owns n, nil if none does.
func (h *holding) other(n *node) *lane {
	for _, l := range h.others {
		if n.owner != 0 && l.sid == n.owner {
			return l
		}
	}
	return nil
}

func (a *Session) holding(epoch uint64) *holding {
	for _, h := range a.held {
		if h.epoch == epoch {
			return h
		}
	}
	return nil
}

func (a *Session) forget(h *holding) {
	a.held = slices.DeleteFunc(a.held, func(o *holding) bool { return o == h })
}

// hold notes a new lease; earlier ones are over.
func (a *Session) hold(h *holding) {
	for _, o := range a.held {
		o.lane.finish()
	}
	a.held = append(a.held[:0], h)
}

// startLease finds the lease that a request is about.
func (d *doing) startLease(attempt func(*doing)) {
	d.h, d.attempt = d.a.holding(d.r.Epoch), attempt
	if d.h == nil {
		d.conflict("no lease of this epoch is held")
		return
	}
	d.lane = d.h.lane
}

// spare takes a session that was prepared for a ttl, if it is fresh, or a new one.
func (a *Session) spare(ttl time.Duration) *lane {
	for i, l := range a.spares {
		if l.want != ttl {
			continue
		}
		a.spares = slices.Delete(a.spares, i, i+1)
		if !l.over && a.m.env.Now() < l.proven.Add(l.timeout/4) {
			return l
		}
		l.finish()
		break
	}
	return a.lane(ttl)
}

// prepare opens the session of a later acquisition or handover (C13).
func (d *doing) prepare() {
	d.connect(func(*conn) {
		for i, l := range d.a.spares {
			if l.want == d.lane.want {
				l.finish()
				d.a.spares = slices.Delete(d.a.spares, i, i+1)
				break
			}
		}
		d.a.spares = append(d.a.spares, d.lane)
		d.finish(stores.Response{Outcome: events.Done})
	})
}

// take is a multi that makes the leader node anew, with version 1: Patroni's have version 0, so that a version of ours
// never fits a node of theirs. It begins with what must hold.
func take(value string, epoch uint64, before ...op) []op {
	return append(before,
		op{kind: opCreate, path: events.KeyLeader, value: value, ephemeral: true, lease: epoch},
		op{kind: opSet, path: events.KeyLeader, value: value, version: 0},
		op{kind: opSet, path: keyLives, version: anyVersion})
}

// replace is a take that deletes the node as it was read.
func replace(value string, epoch uint64, v view) []op {
	return take(value, epoch,
		op{kind: opCheck, path: keyLives, version: v.lives},
		op{kind: opDelete, path: events.KeyLeader, version: v.n.version})
}

// view is a node as it was read, with the version of the lives.
type view struct {
	n     *node
	lives int32
}

func (d *doing) look(c *conn, path string, f func(v view)) {
	var v view
	d.read(c, func(t *tree) {
		v.n = t.nodes[path]
		v.lives = -2 // fits nothing
		if lives := t.nodes[keyLives]; lives != nil {
			v.lives = lives.version
		}
	}, func() { f(v) })
}

// won answers with the lease of a leader node that belongs to the lane.
func (d *doing) won(epoch, czxid uint64, lives int32) {
	d.a.hold(&holding{epoch: epoch, lane: d.lane, czxid: czxid, version: 1, lives: lives})
	d.finish(stores.Response{Outcome: events.Done,
		Lease: backends.Lease{Epoch: epoch, SentAt: d.lane.proven, TTL: d.lane.timeout}})
}

// acquire takes the leader node (C3).
func (d *doing) acquire() {
	d.connect(func(c *conn) {
		if d.r.Expect == 0 && !d.sent {
			d.create(c)
			return
		}
		d.look(c, events.KeyLeader, func(v view) {
			switch {
			case v.n != nil && v.n.owner == d.lane.sid: // by an attempt whose answer was lost
				d.won(v.n.czxid, v.n.czxid, v.lives)
			case d.r.Expect == 0 && v.n == nil:
				d.create(c)
			case d.r.Expect != 0 && v.n != nil && v.n.mzxid == uint64(d.r.Expect) && v.n.value == d.a.member:
				d.write(c, replace(d.a.member, 0, v), func(r result) { d.taken(r, v.lives+1) })
			case !d.sure:
				d.again()
			default:
				d.failedToTake("the leader key is not as expected")
			}
		})
	})
}

func (d *doing) create(c *conn) {
	d.write(c, take(d.a.member, 0), func(r result) {
		switch {
		case r.code == ok:
			d.won(r.zxid, r.zxid, -2) // the version of the lives is read when it is needed
		case r.code == noNode:
			d.createLives(c)
		case d.sent:
			d.again() // it may be ours
		default:
			d.failedToTake("the leader key exists")
		}
	})
}

func (d *doing) taken(r result, lives int32) {
	if r.code != ok {
		d.again()
		return
	}
	d.won(r.zxid, r.zxid, lives)
}

func (d *doing) failedToTake(reason string) {
	d.lane.finish()
	d.conflict(reason)
}

// mine looks at the leader node, with a barrier, and passes it on if it is the lease's, even if its version moved on.
func (d *doing) mine(c *conn, f func(v view)) {
	h := d.h
	d.sure = true
	d.look(c, events.KeyLeader, func(v view) {
		switch {
		case v.n == nil, v.n.czxid != h.czxid && h.other(v.n) == nil:
			d.a.forget(h)
			h.lane.finish()
			d.lane.finish()
			if d.r.Op == stores.Renew {
				d.conflict("the leader key is not ours any more")
				return
			}
			d.refuse("the leader key is not ours any more")
		case v.n.czxid != h.czxid:
			h.lane.finish()
			h.lane, h.others, h.czxid = h.other(v.n), nil, v.n.czxid
			h.version, h.lives = v.n.version, v.lives
			f(v)
		default:
			h.version, h.lives = v.n.version, v.lives
			f(v)
		}
	})
}

// renew writes the leader node, if it is still of this life and version (C5).
func (d *doing) renew() {
	h := d.h
	d.lane = h.lane
	d.fresh(func(c *conn, proven events.Instant) {
		set := func() {
			d.write(c, []op{{kind: opCheck, path: keyLives, version: h.lives},
				{kind: opSet, path: events.KeyLeader, value: d.a.member, version: h.version}}, func(r result) {
				if r.code != ok {
					d.h.lives = -2
					d.again()
					return
				}
				h.version++
				d.finish(stores.Response{Outcome: events.Done,
					Lease: backends.Lease{Epoch: h.epoch, SentAt: proven, TTL: h.lane.timeout}})
			})
		}
		if h.lives >= 0 && len(h.others) == 0 && d.lost == 0 {
			set()
			return
		}
		d.mine(c, func(view) {
			if d.lane != h.lane {
				d.again()
				return
			}
			set()
		})
	})
}

// renewAnew moves the leader node to a new session with another timeout. The epoch stays.
func (d *doing) renewAnew() {
	h, fresh := d.h, d.lane
	d.connect(func(c *conn) {
		if !slices.Contains(h.others, fresh) {
			h.others = append(h.others, fresh)
		}
		d.mine(c, func(v view) {
			moved := func(czxid uint64, version int32) {
				if h.lane != fresh {
					h.lane.finish()
				}
				h.lane, h.others, h.czxid, h.version, h.lives = fresh, nil, czxid, version, -2
				d.finish(stores.Response{Outcome: events.Done,
					Lease: backends.Lease{Epoch: h.epoch, SentAt: fresh.proven, TTL: fresh.timeout}})
			}
			if v.n.owner == fresh.sid {
				moved(v.n.czxid, v.n.version)
				return
			}
			d.write(c, replace(d.a.member, h.epoch, v), func(r result) {
				if r.code != ok {
					d.again()
					return
				}
				moved(r.zxid, 1)
			})
		})
	})
}

// release deletes the leader node (C7).
func (d *doing) release() {
	h := d.h
	d.lane = h.lane
	d.connect(func(c *conn) {
		d.mine(c, func(v view) {
			if d.lane != h.lane {
				d.again()
				return
			}
			d.write(c, []op{{kind: opCheck, path: keyLives, version: v.lives},
				{kind: opDelete, path: events.KeyLeader, version: v.n.version}}, func(r result) {
				if r.code != ok {
					d.again()
					return
				}
				d.a.forget(h)
				h.lane.finish()
				d.finish(stores.Response{Outcome: events.Done})
			})
		})
	})
}

// handOver makes the leader node anew with the successor's name, as an ephemeral of a session that nobody prolongs (C7).
func (d *doing) handOver() {
	h := d.h
	d.connect(func(c *conn) {
		d.mine(c, func(v view) {
			d.write(c, replace(d.r.To, 0, v), func(r result) {
				if r.code != ok {
					d.again()
					return
				}
				d.a.forget(h)
				h.lane.finish()
				d.lane.leave()
				d.lane.over = true
				d.finish(stores.Response{Outcome: events.Done})
			})
		})
	})
}
