package linear

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// call is what a client asks for, of one key.
type call struct {
	op     stores.Op
	member string
	key    string
	value  string
	expect int64
	epoch  uint64
	// observes tells that the store has no ttl: members observe the end of a lease.
	observes bool
}

// answer is what it heard.
type answer struct {
	outcome  events.Outcome
	at       events.Instant // forever for an unknown outcome
	found    bool           // of a snapshot
	value    string
	revision uint64
	epoch    uint64
	until    events.Instant // to which the lease is promised
}

const forever = events.Instant(math.MaxInt64)

// history collects what clients of one model ask and hear.
type history struct {
	k       *kernel.Kernel
	model   stores.Model
	choices *kernel.Domain
	clients []*client
	until   events.Instant
	values  int // each value is written once
	ops     []porcupine.Operation
}

// keys are those that are written.
var keys = []string{events.KeyConfig, events.KeyStatus}

type client struct {
	h       *history
	id      int
	member  string
	session stores.Session
	seen    map[string]uint64 // revisions, by key
	epoch   uint64            // of the lease that it believes to hold, zero for none
}

// wrong makes a lying session of an honest one.
type wrong func(h *history, s stores.Session) stores.Session

// record lets clients and faults work on a model for some time.
func record(build func(kernel.Env) stores.Model, seed uint64, d time.Duration, lie wrong) *history {
	k := kernel.New(kernel.Seeded(seed))
	h := &history{k: k, model: build(k.Domain("store")), choices: k.Domain("clients")}
	k.Run(5 * time.Second) // elections
	h.until = k.Now().Add(d)
	for i := range 4 {
		c := &client{h: h, id: i, member: fmt.Sprintf("n%d", i+1), seen: map[string]uint64{}}
		line := &conform.Line{Env: k.Domain("network"), Least: time.Millisecond, Most: 20 * time.Millisecond, Lost: 5, Broken: 5}
		if c.session = h.model.Open(c.member, line); lie != nil {
			c.session = lie(h, c.session)
		}
		c.session.Watch(func(events.Fact) {})
		h.clients = append(h.clients, c)
		c.next()
	}
	h.nextFault()
	k.Run(d + 10*time.Second)
	return h
}

func (h *history) between(label string, from, to time.Duration) time.Duration {
	return kernel.Between(h.choices, label, from, to)
}

// nextFault breaks a server of the store now and then.
func (h *history) nextFault() {
	h.k.After(h.between("until a fault", time.Second, 6*time.Second), func() {
		if h.k.Now() >= h.until {
			return
		}
		m := h.model
		s := h.choices.Pick("which server", m.Servers())
		if l := m.Leader(); l >= 0 && h.choices.Pick("the leader", 2) == 1 {
			s = l
		}
		d := h.between("for how long", 200*time.Millisecond, 4*time.Second)
		switch h.choices.Pick("fault", 3) {
		case 0:
			m.Kill(s)
			h.k.After(d, func() { m.Start(s) })
		case 1:
			m.Freeze(s)
			h.k.After(d, func() { m.Thaw(s) })
		default:
			m.Split([]int{s})
			h.k.After(d, m.Join)
		}
		h.nextFault()
	})
}

func (c *client) next() {
	c.h.k.After(c.h.between("thinks", 20*time.Millisecond, 500*time.Millisecond), func() {
		if c.h.k.Now() < c.h.until {
			c.act()
		}
	})
}

// act asks for one thing and goes on when it is answered.
func (c *client) act() {
	h := c.h
	r := stores.Request{Op: stores.Snapshot, TTL: max(h.model.Limits().MinTTL, 2*time.Second), Deadline: h.k.Now().Add(time.Second)}
	switch h.choices.Pick("what", 10) {
	case 0, 1, 2:
	case 3, 4, 5:
		h.values++
		r.Op, r.Key, r.Value = stores.Put, keys[h.choices.Pick("key", len(keys))], fmt.Sprintf(`{"ttl":%d}`, h.values)
		r.Expect = c.condition(r.Key)
	case 6:
		r.Op, r.Key = stores.Delete, keys[h.choices.Pick("key", len(keys))]
		if r.Expect = c.condition(r.Key); r.Expect == 0 {
			r.Expect = events.Any
		}
	default:
		switch r.Epoch = c.epoch; {
		case c.epoch == 0:
			r.Op = stores.Acquire
		case h.choices.Pick("release", 5) == 0:
			r.Op = stores.Release
		default:
			r.Op = stores.Renew
		}
	}
	asked := h.k.Now()
	c.session.Do(r, func(a stores.Response) {
		c.heard(&r, &a)
		h.add(c, r, a, asked)
		c.next()
	})
}

func (c *client) condition(key string) int64 {
	switch c.h.choices.Pick("condition", 3) {
	case 0:
		return events.Any
	case 1:
		return 0
	}
	return int64(c.seen[key])
}

// heard keeps what the client needs for its next conditions.
func (c *client) heard(r *stores.Request, a *stores.Response) {
	switch r.Op {
	case stores.Snapshot:
		for _, kv := range a.Snapshot.Keys {
			c.seen[kv.Key] = kv.Revision
		}
	case stores.Put:
		if a.Outcome == events.Done {
			c.seen[r.Key] = a.Revision
		}
	case stores.Acquire:
		if a.Outcome == events.Done {
			c.epoch = a.Lease.Epoch
		}
	case stores.Renew, stores.Release:
		if a.Outcome == events.Lost || r.Op == stores.Release {
			c.epoch = 0
		}
	}
}

// add notes an operation, a snapshot as a read of each key. What was not applied for sure says nothing.
func (h *history) add(c *client, r stores.Request, a stores.Response, asked events.Instant) {
	out := answer{outcome: a.Outcome, at: h.k.Now(), revision: a.Revision, epoch: a.Lease.Epoch}
	switch {
	case a.Outcome == events.Failed || a.Outcome == events.Denied:
		return
	case a.Outcome == events.Unknown && (r.Op == stores.Snapshot || r.Op == stores.Renew):
		return // whether it was applied changes nothing that is promised
	case a.Outcome == events.Unknown:
		out.at = forever
	case a.Outcome == events.Done && (r.Op == stores.Acquire || r.Op == stores.Renew):
		out.until = a.Lease.SentAt.Add(a.Lease.TTL)
	}
	in := call{op: r.Op, member: c.member, key: r.Key, value: r.Value, expect: r.Expect, epoch: r.Epoch,
		observes: h.model.Kind() == "kubernetes"}
	if r.Op != stores.Snapshot {
		if r.Key == "" {
			in.key = events.KeyLeader
		}
		h.ops = append(h.ops, porcupine.Operation{ClientId: c.id, Input: in, Call: int64(asked), Output: out, Return: int64(out.at)})
		return
	}
	for _, key := range append([]string{events.KeyLeader}, keys...) {
		in.key, out.found, out.value, out.revision = key, false, "", 0
		for _, kv := range a.Snapshot.Keys {
			if kv.Key == key {
				out.found, out.value, out.revision = true, kv.Value, kv.Revision
			}
		}
		h.ops = append(h.ops, porcupine.Operation{ClientId: c.id, Input: in, Call: int64(asked), Output: out, Return: int64(out.at)})
	}
}
