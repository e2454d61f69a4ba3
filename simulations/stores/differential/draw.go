package differential

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// draw decides what is done next. It knows what the answers have told, so that a fair part of what it asks for can succeed.
type draw struct {
	rand   *rand.Rand
	r      *recorder
	leases [members]Ref // the epoch of the lease that a member may have
	keys   map[string]Ref
	seen   int // steps that were taken note of
}

var plainKeys = []string{events.KeyConfig, events.KeySync, events.KeyFailover}

func (d *draw) chance(percent int) bool { return d.rand.IntN(100) < percent }

func (d *draw) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.rand.Int64N(int64(to-from)+1))
}

// next lets some time pass and does one thing, or two at one time.
func (d *draw) next() {
	d.pause()
	ttl := d.r.s.TTL
	switch n := d.rand.IntN(100); {
	case n < 6 && d.waits(events.KeyLeader):
		d.r.awaitEnd(d.rand.IntN(members), events.KeyLeader, 2*ttl+endsWithin)
	case n < 9 && d.waits(events.KeyMembers+memberName(0)):
		d.r.awaitEnd(d.rand.IntN(members), events.KeyMembers+memberName(0), 2*ttl+endsWithin)
	case n < 25:
		d.r.calls(d.call(0), d.call(1))
	default:
		d.r.calls(d.call(d.rand.IntN(members)))
	}
	d.learn()
}

// waits tells whether everybody knows that a key is there.
func (d *draw) waits(key string) bool { return d.r.watch[0].has(key) && d.r.watch[1].has(key) }

func (d *draw) pause() {
	ttl := d.r.s.TTL
	switch n := d.rand.IntN(100); {
	case n < 30:
	case n < 90:
		time.Sleep(d.between(0, 60*time.Millisecond))
	case n < 97:
		time.Sleep(d.between(0, ttl*6/10))
	default: // about when a lease ends
		time.Sleep(d.between(ttl*8/10, ttl*13/10))
	}
}

// learn takes note of the answers.
func (d *draw) learn() {
	ref := Ref(0)
	for i := range d.r.h.Steps {
		s := &d.r.h.Steps[i]
		n := Ref(len(s.learned()))
		if i >= d.seen && s.Call != nil {
			d.note(s, ref)
		}
		ref += n
	}
	d.seen = len(d.r.h.Steps)
}

func (d *draw) note(s *Step, ref Ref) {
	c := s.Call
	switch {
	case s.Answer.Outcome == events.Lost && c.Op == stores.Renew:
		d.leases[c.Member] = Absent
	case s.Answer.Outcome != events.Done:
	case c.Op == stores.Acquire:
		d.leases[c.Member] = ref
		d.keys[events.KeyLeader] = ref
	case c.Op == stores.Put:
		d.keys[c.Key] = ref
	case c.Op == stores.Delete:
		delete(d.keys, c.Key)
	case c.Op == stores.Snapshot:
		clear(d.keys)
		for i, kv := range s.Answer.Keys {
			d.keys[kv.Key] = ref + Ref(i)
		}
	}
}

// revision is mostly what a key is believed to be at.
func (d *draw) revision(key string) Ref {
	switch ref, known := d.keys[key]; {
	case known && d.chance(80):
		return ref
	case len(d.r.refs) > 0 && d.chance(85):
		return Ref(d.rand.IntN(len(d.r.refs)))
	}
	return Future
}

// epoch is mostly that of the member's own lease.
func (d *draw) epoch(m int) Ref {
	if own := d.leases[m]; own != Absent && d.chance(85) {
		return own
	}
	if other := d.leases[1-m]; other != Absent && d.chance(60) {
		return other
	}
	return d.revision(events.KeyLeader)
}

var weights = [...]int{stores.Acquire: 20, stores.Renew: 14, stores.Release: 6, stores.HandOver: 6, stores.Prepare: 5, stores.Put: 20,
	stores.Delete: 9, stores.PutMember: 7, stores.Snapshot: 13}

func (d *draw) op() stores.Op {
	n := d.rand.IntN(100)
	for op, w := range weights {
		if n -= w; n < 0 {
			return stores.Op(op)
		}
	}
	return stores.Snapshot
}

func (d *draw) call(m int) Call {
	ttl := d.r.s.TTL
	c := Call{Member: m, Op: d.op(), Expect: Absent, Epoch: Absent}
	switch c.Op {
	case stores.Acquire:
		if c.TTL = ttl; d.chance(50) {
			c.Expect = d.revision(events.KeyLeader)
		}
	case stores.Renew:
		c.Epoch, c.TTL = d.epoch(m), ttl
		if d.chance(10) {
			c.TTL += time.Second
		}
	case stores.Release:
		c.Epoch = d.epoch(m)
	case stores.HandOver:
		c.Epoch, c.To, c.TTL = d.epoch(m), memberName(1-m), ttl
	case stores.Prepare:
		c.TTL = ttl
	case stores.Put, stores.Delete:
		c.Key = plainKeys[d.rand.IntN(len(plainKeys))]
		switch n := d.rand.IntN(100); {
		case n < 30:
			c.Expect = Any
		case n >= 55:
			for range 3 { // of a key that is there, mostly
				if _, known := d.keys[c.Key]; !known {
					c.Key = plainKeys[d.rand.IntN(len(plainKeys))]
				}
			}
			c.Expect = d.revision(c.Key)
		}
		if c.Op == stores.Put {
			c.Value = fmt.Sprintf("v%d", d.rand.IntN(6))
		}
	case stores.PutMember:
		c.Value, c.TTL = fmt.Sprintf("s%d", d.rand.IntN(6)), ttl
	}
	if c.Expect == Absent && c.Epoch == Absent && c.Op != stores.Acquire || c.Expect == Any {
		c.Over = d.chance(15) // what has no condition fails by time only
	} else {
		c.Over = d.chance(3)
	}
	return c
}
