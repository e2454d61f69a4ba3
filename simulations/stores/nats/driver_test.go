package nats

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// lab is a model in a kernel, with members that tests drive one request at a time.
type lab struct {
	testing.TB
	k *kernel.Kernel
	m *Model
}

func newLab(t testing.TB, seed uint64, opt Options) *lab {
	tape := kernel.Seeded(seed)
	if seed == 0 {
		tape = kernel.Harmless()
	}
	k := kernel.New(tape)
	return &lab{t, k, New(k.Domain("store"), opt)}
}

// member is a session and what its watch has shown.
type member struct {
	l         *lab
	name      string
	s         *session
	line      *conform.Line
	snapshots int
	reachable bool
	revision  uint64
	keys      map[string]events.KeyValue
	deletions int
	bad       []string
}

func (l *lab) open(name string) *member {
	l.Helper()
	p := &member{l: l, name: name, line: conform.Perfect(l.k.Domain("network"))}
	p.s = l.m.Open(name, p.line).(*session)
	l.run(50 * time.Millisecond)
	return p
}

func (l *lab) run(d time.Duration) { l.k.Run(d) }

// until lets time pass until ok holds.
func (l *lab) until(within time.Duration, what string, ok func() bool) {
	l.Helper()
	if !l.k.RunUntil(within, ok) {
		l.Fatalf("not within %v: %s", within, what)
	}
}

func (p *member) watch() *member {
	p.s.Watch(p.sink)
	p.l.until(10*time.Second, "the first snapshot", func() bool { return p.snapshots > 0 })
	return p
}

func (p *member) sink(f events.Fact) {
	switch f := f.(type) {
	case events.DCSSnapshot:
		p.snapshots++
		p.revision, p.keys = f.Revision, map[string]events.KeyValue{}
		for _, kv := range f.Keys {
			p.keys[kv.Key] = kv
		}
	case events.DCSChange:
		if p.snapshots == 0 || f.Revision <= p.keys[f.Key].Revision || f.Revision < p.revision {
			p.bad = append(p.bad, "change of "+f.Key+" out of order")
		}
		p.revision = f.Revision
		if f.Deleted {
			p.deletions++
			delete(p.keys, f.Key)
			return
		}
		p.keys[f.Key] = f.KeyValue
	case events.DCSReach:
		p.reachable = f.Reachable
	}
}

// ask performs a request and lets time pass until it is answered.
func (p *member) ask(r stores.Request, within time.Duration) stores.Response {
	p.l.Helper()
	var got *stores.Response
	r.Deadline = p.l.k.Now().Add(within)
	p.s.Do(r, func(a stores.Response) {
		if got != nil {
			p.l.Fatalf("two answers to one request: %+v and %+v", *got, a)
		}
		got = &a
	})
	if got != nil {
		p.l.Fatal("the answer came within Do")
	}
	p.l.until(within+time.Millisecond, "an answer", func() bool { return got != nil })
	return *got
}

func (p *member) done(r stores.Request) stores.Response {
	p.l.Helper()
	a := p.ask(r, 20*time.Second)
	if a.Outcome != events.Done {
		p.l.Fatalf("request %+v of %s: %s: %s", r, p.name, a.Outcome, a.Error)
	}
	return a
}

func (p *member) acquire(expect int64, ttl time.Duration) stores.Response {
	p.l.Helper()
	return p.done(stores.Request{Op: stores.Acquire, Expect: expect, TTL: ttl})
}

func (p *member) put(key, value string, expect int64) stores.Response {
	p.l.Helper()
	return p.done(stores.Request{Op: stores.Put, Key: key, Value: value, Expect: expect})
}

func (l *lab) want(what string, got, want any) {
	l.Helper()
	if got != want {
		l.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// trouble lets a trouble happen.
func (l *lab) trouble(name string) {
	l.Helper()
	for _, t := range l.m.Troubles() {
		if t.Name == name {
			t.Do()
			return
		}
	}
	l.Fatalf("no trouble is called %q", name)
}

func (l *lab) leaderSeq() uint64 { return l.m.data.get(events.KeyLeader).seq }
