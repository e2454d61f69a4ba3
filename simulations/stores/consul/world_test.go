package consul

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// world is a model in the kernel's time.
type world struct {
	testing.TB
	k   *kernel.Kernel
	env kernel.Env
	m   *Model
}

func newWorld(t testing.TB, tape *kernel.Tape, cfg Config) *world {
	k := kernel.New(tape)
	env := k.Domain("store")
	return &world{TB: t, k: k, env: env, m: New(env, cfg)}
}

func calm(t testing.TB, cfg Config) *world { return newWorld(t, kernel.Harmless(), cfg) }

func (w *world) open(member string) *agent {
	a, ok := w.m.Open(member, conform.Perfect(w.k.Domain("line"))).(*agent)
	if !ok {
		w.Fatal("Open returned something else")
	}
	return a
}

// ask performs a request and waits for its answer.
func (w *world) ask(a *agent, r stores.Request) stores.Response {
	w.Helper()
	if r.TTL == 0 {
		r.TTL = minTTL
	}
	if r.Deadline == 0 {
		r.Deadline = w.k.Now().Add(10 * time.Second)
	}
	var got *stores.Response
	a.Do(r, func(x stores.Response) { got = &x })
	if !w.k.RunUntil(time.Minute, func() bool { return got != nil }) {
		w.Fatal("no answer")
	}
	return *got
}

func (w *world) must(a *agent, r stores.Request) stores.Response {
	w.Helper()
	x := w.ask(a, r)
	if x.Outcome != events.Done {
		w.Fatalf("request %d: %s: %s", r.Op, x.Outcome, x.Error)
	}
	return x
}

func (w *world) wants(a *agent, r stores.Request, o events.Outcome) {
	w.Helper()
	if x := w.ask(a, r); x.Outcome != o {
		w.Fatalf("request %d: %s (%s), want %s", r.Op, x.Outcome, x.Error, o)
	}
}

// until waits for a condition.
func (w *world) until(within time.Duration, what string, ok func() bool) {
	w.Helper()
	if !w.k.RunUntil(within, ok) {
		w.Fatalf("not within %v: %s", within, what)
	}
}

func (w *world) trouble(name string) {
	w.Helper()
	for _, x := range w.m.Troubles() {
		if x.Name == name {
			x.Do()
			return
		}
	}
	w.Fatalf("no trouble is called %q", name)
}

// fold is what a watcher makes of what it is told; it checks the order that C1 promises.
type fold struct {
	w         *world
	keys      map[string]events.KeyValue
	snapshots int
	changes   int
	deletions int
	revision  uint64
	reachable bool
	losses    int
}

func (w *world) watch(a *agent) *fold {
	f := &fold{w: w}
	a.Watch(f.take)
	return f
}

func (f *fold) take(x events.Fact) {
	switch x := x.(type) {
	case events.DCSSnapshot:
		f.snapshots++
		f.revision = x.Revision
		f.keys = make(map[string]events.KeyValue)
		for i, kv := range x.Keys {
			if i > 0 && x.Keys[i-1].Key >= kv.Key {
				f.w.Errorf("snapshot %d is not sorted", x.Revision)
			}
			f.keys[kv.Key] = kv
		}
	case events.DCSChange:
		f.changes++
		if f.keys == nil || x.Revision < f.revision || x.Revision <= f.keys[x.Key].Revision {
			f.w.Errorf("change %+v after revision %d, key known as %+v", x, f.revision, f.keys[x.Key])
		}
		f.revision = x.Revision
		if x.Deleted {
			f.deletions++
			delete(f.keys, x.Key)
			return
		}
		f.keys[x.Key] = x.KeyValue
	case events.DCSReach:
		f.reachable = x.Reachable
		if !x.Reachable {
			f.losses++
		}
	}
}

// same tells whether the watcher knows what is committed.
func (f *fold) same() bool {
	all := f.w.m.Contents()
	if len(all.Keys) != len(f.keys) {
		return false
	}
	for _, kv := range all.Keys {
		if f.keys[kv.Key] != kv {
			return false
		}
	}
	return true
}
