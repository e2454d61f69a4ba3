package kubernetes

import (
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// contender wants the lease and keeps it while it can, as an engine does.
type contender struct {
	t      *testing.T
	w      *world
	m      *Model
	name   string
	s      stores.Session
	f      *folded
	line   *wire
	epoch  uint64
	until  events.Instant
	leases int
}

type rivals struct {
	all    []*contender
	last   uint64
	counts map[string]int
}

func (r *rivals) turn(c *contender) {
	again := func() { c.w.After(500*time.Millisecond, func() { r.turn(c) }) }
	deadline := c.w.now.Add(2 * time.Second)
	note := func(op string, p stores.Response) { r.counts[op+" "+string(p.Outcome)]++ }
	if c.epoch != 0 && c.w.now < c.until.Add(5*time.Second) { // also too late
		c.s.Do(stores.Request{Op: stores.Renew, Epoch: c.epoch, TTL: testTTL, Deadline: deadline}, func(p stores.Response) {
			note("renew", p)
			switch p.Outcome {
			case events.Done:
				c.until = p.Lease.SentAt.Add(p.Lease.TTL)
				if c.w.now < c.until && (c.m.Truth().Holder != c.name || c.m.Truth().Ends < c.until) {
					c.t.Errorf("%s relies on epoch %d until %d, truth %+v", c.name, c.epoch, c.until, c.m.Truth())
				}
			case events.Lost:
				c.epoch = 0
			}
			again()
		})
		return
	}
	c.epoch = 0
	kv, there := c.f.now["leader"]
	if there && kv.Value != c.name {
		again()
		return
	}
	c.s.Do(stores.Request{Op: stores.Acquire, Expect: int64(kv.Revision), TTL: testTTL, Deadline: deadline}, func(p stores.Response) {
		note("acquire", p)
		if p.Outcome == events.Done {
			if p.Lease.Epoch <= r.last {
				c.t.Errorf("epoch %d after %d", p.Lease.Epoch, r.last)
			}
			c.epoch, c.until, r.last = p.Lease.Epoch, p.Lease.SentAt.Add(p.Lease.TTL), p.Lease.Epoch
			c.leases++
		}
		again()
	})
	c.s.Do(stores.Request{Op: stores.PutMember, Value: "{}", TTL: testTTL, Deadline: deadline}, func(p stores.Response) { note("member", p) })
	c.s.Do(stores.Request{Op: stores.Put, Key: "status", Value: "1", Expect: events.Any, Deadline: deadline}, func(p stores.Response) { note("put", p) })
}

// rely tells how many rely on the lease now.
func (r *rivals) rely(now events.Instant) (n int) {
	for _, c := range r.all {
		if c.epoch != 0 && now < c.until {
			n++
		}
	}
	return n
}

func chaos(t *testing.T, seed uint64, counts map[string]int) uint64 {
	w := newWorld(seed)
	m := New(w, 1+2*int(seed%2))
	r := &rivals{counts: counts}
	for i := range 3 {
		c := &contender{t: t, w: w, m: m, name: fmt.Sprintf("n%d", i+1), line: &wire{w: w, lost: 5, broken: 5}}
		c.s = m.Open(c.name, c.line)
		c.f = follow(t, w, c.s)
		r.all = append(r.all, c)
		r.turn(c)
	}
	trace := fnv.New64a()
	var faults func()
	faults = func() {
		i, c := w.Pick("server", len(m.servers)), r.all[w.Pick("member", 3)]
		back := time.Duration(1+w.Pick("length", 20)) * time.Second
		switch w.Pick("fault", 6) {
		case 0:
			m.Kill(i)
			w.After(back, func() { m.Start(i) })
		case 1:
			m.Freeze(i)
			w.After(back, func() { m.Thaw(i) })
		case 2:
			m.Split([]int{i})
			w.After(back, m.Join)
		case 3:
			c.line.cut = [3]bool{true, w.Pick("cut", 2) == 1, true}
			w.After(back, func() { c.line.cut = [3]bool{} })
		default:
			all := m.Troubles()
			all[w.Pick("trouble", len(all))].Do()
		}
		w.After(time.Duration(1+w.Pick("pause", 15))*time.Second, faults)
	}
	stop := w.now.Add(20 * time.Minute)
	w.After(10*time.Second, faults)
	for w.now < stop {
		w.step()
		if n := r.rely(w.now); n > 1 {
			t.Fatalf("seed %d: %d members rely on the lease; truth %+v", seed, n, m.Truth())
		}
	}
	faults = func() {}
	w.run(time.Minute)
	for _, c := range r.all {
		_, _ = fmt.Fprintln(trace, c.leases, c.epoch, c.f.facts, c.f.values())
		if !slices.Equal(c.f.values(), contents(m)) {
			t.Errorf("seed %d: %s did not converge: %v, want %v", seed, c.name, c.f.values(), contents(m))
		}
	}
	if r.rely(w.now) != 1 {
		t.Errorf("seed %d: nobody leads a minute after the last fault: %+v", seed, m.Truth())
	}
	_, _ = fmt.Fprintln(trace, w.now, w.seq, m.rev)
	return trace.Sum64()
}

func TestChaos(t *testing.T) {
	counts := map[string]int{}
	for seed := uint64(1); seed <= 40; seed++ {
		once := chaos(t, seed, counts)
		if seed <= 3 && chaos(t, seed, map[string]int{}) != once {
			t.Errorf("seed %d: the same run was another", seed)
		}
	}
	t.Log(counts)
	for _, want := range []string{"renew done", "renew lost", "renew unknown", "renew denied", "acquire done", "acquire lost", "put done", "put unknown"} {
		if counts[want] == 0 {
			t.Errorf("never %q", want)
		}
	}
}

func BenchmarkRenew(b *testing.B) {
	w := newWorld(0)
	m := New(w, 3)
	c := open(b, w, m, "n1")
	l := c.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	b.ReportAllocs()
	for b.Loop() {
		c.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	}
}

func BenchmarkPutSeenByThree(b *testing.B) {
	w := newWorld(0)
	m := New(w, 3)
	c := open(b, w, m, "n1")
	seen, want := 0, 0
	for _, name := range []string{"n1", "n2", "n3"} {
		m.Open(name, &wire{w: w}).Watch(func(f events.Fact) {
			if _, ok := f.(events.DCSChange); ok {
				seen++
			}
		})
	}
	w.run(time.Second)
	seen = 0
	b.ReportAllocs()
	for b.Loop() {
		c.must(events.Done, stores.Request{Op: stores.Put, Key: "config", Value: "{}", Expect: events.Any})
		for want += 3; seen < want && w.step(); {
		}
	}
}
