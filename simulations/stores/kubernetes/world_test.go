package kubernetes

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// world is a kernel.Env that a test steps.
type world struct {
	now  events.Instant
	seq  uint64
	todo agenda
	rnd  *rand.Rand // nil: all choices are harmless
}

type planned struct {
	at  events.Instant
	seq uint64
	do  func()
}

// agenda is a heap without interfaces: the benchmarks measure the model.
type agenda []planned

func (a agenda) less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}

func (a *agenda) push(p planned) {
	*a = append(*a, p)
	h := *a
	for i := len(h) - 1; i > 0 && h.less(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (a *agenda) pop() planned {
	h := *a
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], planned{}
	h = h[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	*a = h
	return first
}

func newWorld(seed uint64) *world {
	w := &world{now: events.Instant(time.Hour)}
	if seed != 0 {
		w.rnd = rand.New(rand.NewPCG(seed, 1))
	}
	return w
}

func (w *world) Now() events.Instant { return w.now }

func (w *world) After(d time.Duration, do func()) {
	w.seq++
	w.todo.push(planned{w.now.Add(max(0, d)), w.seq, do})
}

func (w *world) Pick(_ string, n int) int {
	if w.rnd == nil || n == 1 {
		return 0
	}
	return w.rnd.IntN(n)
}

func (w *world) step() bool {
	if len(w.todo) == 0 {
		return false
	}
	p := w.todo.pop()
	w.now = p.at
	p.do()
	return true
}

func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); ; {
		if len(w.todo) == 0 || w.todo[0].at > end {
			w.now = end
			return
		}
		w.step()
	}
}

// wire is a line that loses some messages, and all of those to servers that it is cut from.
type wire struct {
	w            *world
	lost, broken int
	cut          [3]bool
}

func (l *wire) Send(i int) (time.Duration, stores.Fate) {
	switch {
	case l.cut[i] || kernel.Chance(l.w, "lost", l.lost):
		return 0, stores.Vanishes
	case kernel.Chance(l.w, "broken", l.broken):
		return time.Millisecond, stores.Resets
	}
	return kernel.Between(l.w, "delay", 200*time.Microsecond, 3*time.Millisecond), stores.Arrives
}

func (l *wire) Return(i int) (time.Duration, stores.Fate) { return l.Send(i) }

const testTTL = 10 * time.Second

// client is a session that waits for its answers.
type client struct {
	t testing.TB
	w *world
	s stores.Session
}

func open(t testing.TB, w *world, m *Model, member string) *client {
	return &client{t, w, m.Open(member, &wire{w: w})}
}

func (c *client) do(r stores.Request) stores.Response {
	c.t.Helper()
	r.Deadline = c.w.now.Add(5 * time.Second)
	if r.TTL == 0 {
		r.TTL = testTTL
	}
	var got *stores.Response
	c.s.Do(r, func(p stores.Response) {
		if got != nil {
			c.t.Error("answered twice")
		}
		got = &p
	})
	for got == nil && c.w.step() {
	}
	if c.w.now > r.Deadline.Add(time.Millisecond) {
		c.t.Errorf("op %d answered %v after its deadline", r.Op, c.w.now.Sub(r.Deadline))
	}
	return *got
}

func (c *client) must(want events.Outcome, r stores.Request) stores.Response {
	c.t.Helper()
	p := c.do(r)
	if p.Outcome != want {
		c.t.Fatalf("op %d: %q (%s), want %q", r.Op, p.Outcome, p.Error, want)
	}
	return p
}

func (c *client) keys() map[string]events.KeyValue {
	c.t.Helper()
	return byKey(c.must(events.Done, stores.Request{Op: stores.Snapshot}).Snapshot)
}

func byKey(s events.DCSSnapshot) map[string]events.KeyValue {
	all := map[string]events.KeyValue{}
	for _, kv := range s.Keys {
		all[kv.Key] = kv
	}
	return all
}

// folded is what a watch told, and whether it kept C1.
type folded struct {
	t     testing.TB
	now   map[string]events.KeyValue
	rev   uint64
	gone  map[string]events.Instant
	w     *world
	snaps int
	facts int
}

func follow(t testing.TB, w *world, s stores.Session) *folded {
	f := &folded{t: t, w: w, gone: map[string]events.Instant{}}
	s.Watch(f.take)
	return f
}

func (f *folded) take(fact events.Fact) {
	f.facts++
	switch x := fact.(type) {
	case events.DCSSnapshot:
		f.now, f.rev = byKey(x), x.Revision
		f.snaps++
	case events.DCSChange:
		old, had := f.now[x.Key]
		if f.now == nil || x.Revision < f.rev || had && x.Revision <= old.Revision {
			f.t.Errorf("change %+v after revision %d of everything and %d of the key", x, f.rev, old.Revision)
		}
		f.rev = x.Revision
		if delete(f.now, x.Key); x.Deleted {
			f.gone[x.Key] = f.w.now
		} else {
			f.now[x.Key] = x.KeyValue
		}
	}
}

func (f *folded) values() (all []string) {
	for k, kv := range f.now {
		all = append(all, k+"="+kv.Value)
	}
	slices.Sort(all)
	return all
}

func contents(m *Model) (all []string) {
	for _, kv := range m.Contents().Keys {
		all = append(all, kv.Key+"="+kv.Value)
	}
	slices.Sort(all)
	return all
}
