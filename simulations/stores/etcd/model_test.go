package etcd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
	"github.com/regent-ha/regent/simulations/stores/etcd"
)

// bench is a model in a kernel of its own.
type bench struct {
	testing.TB
	k   *kernel.Kernel
	env kernel.Env
	m   *etcd.Model
}

func newBench(t testing.TB, servers int, tape *kernel.Tape) *bench {
	return newBenchOf(t, tape, etcd.Options{Servers: servers})
}

func newBenchOf(t testing.TB, tape *kernel.Tape, o etcd.Options) *bench {
	k := kernel.New(tape)
	env := k.Domain("store")
	b := &bench{TB: t, k: k, env: env, m: etcd.New(env, o)}
	b.k.Run(time.Second)
	return b
}

// client is a session, the line of which can be cut.
type client struct {
	b    *bench
	s    stores.Session
	line *conform.Line
}

func (b *bench) open(member string) *client {
	line := &conform.Line{Env: b.env, Least: 100 * time.Microsecond}
	return &client{b, b.m.Open(member, line), line}
}

// do sends a request and lets time pass until it is answered.
func (c *client) do(r stores.Request) (got stores.Response) {
	c.b.Helper()
	answers := 0
	if r.Deadline == 0 {
		r.Deadline = c.b.k.Now().Add(10 * time.Second)
	}
	c.s.Do(r, func(a stores.Response) { got, answers = a, answers+1 })
	if answers > 0 {
		c.b.Fatal("answered before Do returned")
	}
	if !c.b.k.RunUntil(r.Deadline.Sub(c.b.k.Now())+time.Millisecond, func() bool { return answers > 0 }) {
		c.b.Fatalf("%+v was not answered by its deadline", r)
	}
	return got
}

func (c *client) must(r stores.Request) stores.Response {
	c.b.Helper()
	got := c.do(r)
	if got.Outcome != events.Done {
		c.b.Fatalf("%+v: %+v", r, got)
	}
	return got
}

const ttl = 2 * time.Second

func (c *client) acquire() backends.Lease {
	c.b.Helper()
	return c.must(stores.Request{Op: stores.Acquire, TTL: ttl}).Lease
}

// gone lets time pass until the leader key is gone and tells how long it took.
func (b *bench) gone(within time.Duration) time.Duration {
	b.Helper()
	start := b.k.Now()
	if !b.k.RunUntil(within, func() bool { return b.m.Truth().Holder == "" }) {
		b.Fatalf("the leader key is there after %v", within)
	}
	return b.k.Now().Sub(start)
}

func TestLeaderChangeExtendsLeases(t *testing.T) {
	b := newBench(t, 3, kernel.Seeded(1))
	l := b.open("n1").acquire()
	b.k.Run(1900 * time.Millisecond)
	for _, trouble := range b.m.Troubles() {
		if trouble.Name == "the leadership moves" {
			trouble.Do()
		}
	}
	moved := b.k.Now()
	b.gone(10 * time.Second)
	if after := b.k.Now().Sub(moved); after < l.TTL || after > l.TTL+1700*time.Millisecond {
		t.Errorf("the lease of %v ended %v after the leader changed", l.TTL, after)
	}
}

// TestDeposedLeaderDoesNotProlong cuts the leader and its client off from the others: it answers keepalives until it steps
// down, but no renewal counts, and the others let the lease end.
func TestDeposedLeaderDoesNotProlong(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t, 3, kernel.Seeded(seed))
		leader := b.m.Leader()
		holder, other := b.open("n1"), b.open("n2")
		l := holder.acquire()
		b.m.Split([]int{leader})
		others := []int{(leader + 1) % 3, (leader + 2) % 3}
		holder.line.Cut(stores.Vanishes, others...)
		other.line.Cut(stores.Vanishes, leader)
		for b.k.Now() < l.SentAt.Add(4*time.Second) {
			got := holder.do(stores.Request{Op: stores.Renew, Epoch: l.Epoch, TTL: ttl, Deadline: b.k.Now().Add(500 * time.Millisecond)})
			if got.Outcome == events.Done {
				t.Fatalf("seed %d: a renewal succeeded on a leader without followers", seed)
			}
		}
		b.gone(10 * time.Second)
		if b.m.Leader() == leader {
			t.Fatalf("seed %d: the leader without followers was not deposed", seed)
		}
		if next := other.acquire(); next.Epoch <= l.Epoch {
			t.Errorf("seed %d: epoch %d after %d", seed, next.Epoch, l.Epoch)
		}
		b.m.Join()
		holder.line.Cut(stores.Arrives)
		got := holder.do(stores.Request{Op: stores.Renew, Epoch: l.Epoch, TTL: ttl})
		if got.Outcome != events.Lost {
			t.Errorf("seed %d: renewal after the heal: %+v", seed, got)
		}
	}
}

// TestKeepaliveOfAThawedLeaderDoesNotCount lets a member reach only the leader, which freezes and thaws when another leads:
// some keepalives are answered by it, but whatever is taken for a renewal must be one in the store.
func TestKeepaliveOfAThawedLeaderDoesNotCount(t *testing.T) {
	renewed := 0
	for seed := range uint64(400) {
		b := newBench(t, 3, kernel.Seeded(seed))
		leader := b.m.Leader()
		c := b.open("n1")
		c.line.Cut(stores.Vanishes, (leader+1)%3, (leader+2)%3)
		var got stores.Response
		for got.Outcome != events.Done { // it may ask another server first
			got = c.do(stores.Request{Op: stores.Acquire, TTL: ttl})
		}
		lease := got.Lease
		b.m.Freeze(leader)
		b.k.Run(kernel.Between(b.env, "until the member asks", 2*time.Second, 4*time.Second))
		b.env.After(500*time.Millisecond, func() { b.m.Thaw(leader) })
		got = c.do(stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: ttl, Deadline: b.k.Now().Add(2 * time.Second)})
		if got.Outcome != events.Done {
			continue
		}
		renewed++
		if until := got.Lease.SentAt.Add(got.Lease.TTL); b.m.Truth().Ends < until {
			t.Fatalf("seed %d: renewed until %d, but the store lets it end at %d", seed, until, b.m.Truth().Ends)
		}
	}
	t.Logf("%d of 400 renewed", renewed)
}

// facts checks the order that C1 promises and counts.
type facts struct {
	b         *bench
	snapshots int
	changes   []events.DCSChange
	at        []events.Instant
	reach     []bool
	revision  uint64
}

func (f *facts) take(fact events.Fact) {
	switch fact := fact.(type) {
	case events.DCSSnapshot:
		f.snapshots++
		f.revision = fact.Revision
	case events.DCSChange:
		if fact.Revision < f.revision {
			f.b.Errorf("revision %d after %d", fact.Revision, f.revision)
		}
		f.revision = fact.Revision
		f.changes, f.at = append(f.changes, fact), append(f.at, f.b.k.Now())
	case events.DCSReach:
		f.reach = append(f.reach, fact.Reachable)
	}
}

func (c *client) watch() *facts {
	f := &facts{b: c.b}
	c.s.Watch(f.take)
	if !c.b.k.RunUntil(5*time.Second, func() bool { return f.snapshots > 0 }) {
		c.b.Fatal("no snapshot")
	}
	return f
}

func TestLaggingFollowersWatchIsLateButInOrder(t *testing.T) {
	late := 0
	for seed := range uint64(20) {
		b := newBench(t, 3, kernel.Seeded(seed))
		writer := b.open("w")
		watchers := make([]*facts, 6)
		for i := range watchers {
			watchers[i] = b.open(fmt.Sprint("n", i)).watch()
		}
		for _, trouble := range b.m.Troubles() {
			if trouble.Name == "a follower lags" {
				trouble.Do()
			}
		}
		var acked []events.Instant
		for i := range 20 {
			writer.must(stores.Request{Op: stores.Put, Key: "status", Value: fmt.Sprint(i), Expect: events.Any})
			acked = append(acked, b.k.Now())
			b.k.Run(50 * time.Millisecond)
		}
		b.k.Run(40 * time.Second)
		for i, f := range watchers {
			if f.revision != b.m.Contents().Revision {
				t.Errorf("seed %d: watcher %d is at %d of %d", seed, i, f.revision, b.m.Contents().Revision)
			}
			if f.snapshots != 1 {
				continue // a ping on the lagging server took too long
			}
			for k, at := range f.at {
				if f.changes[k].Value != fmt.Sprint(k) {
					t.Fatalf("seed %d: watcher %d: change %d is %q", seed, i, k, f.changes[k].Value)
				}
				if at.Sub(acked[k]) > 500*time.Millisecond {
					late++
				}
			}
		}
	}
	if late == 0 {
		t.Error("no change was late on any lagging follower")
	}
}

func TestCompactionGivesANewSnapshot(t *testing.T) {
	b := newBench(t, 1, kernel.Seeded(1))
	c, writer := b.open("n1"), b.open("n2")
	f := c.watch()
	// While nothing comes back to the watcher, the server goes on without it.
	c.line.Cut(stores.Vanishes, 0)
	for i := range 10 {
		writer.must(stores.Request{Op: stores.Put, Key: "status", Value: fmt.Sprint(i), Expect: events.Any})
	}
	b.m.Troubles()[0].Do()
	b.k.Run(4 * time.Second)
	if n := len(f.reach); n != 2 || f.reach[1] {
		t.Errorf("reachability was %v, want true, false", f.reach)
	}
	c.line.Cut(stores.Arrives)
	b.k.Run(5 * time.Second)
	if f.snapshots != 2 || f.revision != b.m.Contents().Revision || !f.reach[len(f.reach)-1] {
		t.Errorf("%d snapshots, at revision %d of %d, reach %v", f.snapshots, f.revision, b.m.Contents().Revision, f.reach)
	}
}

func TestWipedStoreIsSeen(t *testing.T) {
	b := newBench(t, 3, kernel.Seeded(3))
	c := b.open("n1")
	f := c.watch()
	for i := range 10 {
		c.must(stores.Request{Op: stores.Put, Key: "status", Value: fmt.Sprint(i), Expect: events.Any})
	}
	l := c.acquire()
	b.m.Wipe()
	b.k.Run(10 * time.Second)
	if f.revision != b.m.Contents().Revision || f.snapshots < 2 {
		t.Errorf("after a wipe: %d snapshots, revision %d of %d", f.snapshots, f.revision, b.m.Contents().Revision)
	}
	if got := c.do(stores.Request{Op: stores.Renew, Epoch: l.Epoch, TTL: ttl}); got.Outcome != events.Lost {
		t.Errorf("renewal of a wiped lease: %+v", got)
	}
	if next := c.acquire(); next.Epoch == 0 {
		t.Error("no lease after a wipe")
	}
}

// TestLateWrites lets writes hang in a frozen server: in some runs they are applied after the thaw, in some not.
func TestLateWrites(t *testing.T) {
	applied := 0
	for seed := range uint64(40) {
		b := newBench(t, 1, kernel.Seeded(seed))
		c := b.open("n1")
		c.must(stores.Request{Op: stores.Put, Key: "a", Expect: events.Any})
		b.m.Freeze(0)
		got := c.do(stores.Request{Op: stores.Put, Key: "late", Expect: events.Any, Deadline: b.k.Now().Add(time.Second)})
		if got.Outcome != events.Unknown {
			t.Fatalf("a put on a frozen server: %+v", got)
		}
		b.m.Thaw(0)
		b.k.Run(time.Second)
		for _, kv := range b.m.Contents().Keys {
			if kv.Key == "late" {
				applied++
			}
		}
	}
	if applied == 0 || applied == 40 {
		t.Errorf("the late put was applied in %d of 40 runs", applied)
	}
}

// TestUnackedEntries kills the leader under a put: the next one has it or not, and it is answered as unknown or done.
func TestUnackedEntries(t *testing.T) {
	kept := 0
	for seed := range uint64(60) {
		b := newBench(t, 3, kernel.Seeded(seed))
		c := b.open("n1")
		c.must(stores.Request{Op: stores.Put, Key: "a", Expect: events.Any})
		var got stores.Response
		c.s.Do(stores.Request{Op: stores.Put, Key: "b", Expect: events.Any, Deadline: b.k.Now().Add(5 * time.Second)},
			func(r stores.Response) { got = r })
		b.k.Run(600 * time.Microsecond)
		b.m.Kill(b.m.Leader())
		b.k.Run(6 * time.Second)
		there := len(b.m.Contents().Keys) == 2
		if there {
			kept++
		}
		if got.Outcome != events.Unknown && got.Outcome != events.Done || got.Outcome == events.Done && !there {
			t.Errorf("seed %d: %+v, there %v", seed, got, there)
		}
	}
	if kept == 0 || kept == 60 {
		t.Errorf("the entry survived in %d of 60 runs", kept)
	}
}

// TestThawedLeader freezes the leader while a member renews its lease with the next one. Its thaw must not end the lease,
// although it may have leases revoked; it does where the adapter goes on with the lease that the former leader granted.
func TestThawedLeader(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		early := 0
		for seed := range uint64(20) {
			b := newBenchOf(t, kernel.Seeded(seed), etcd.Options{KeepsLease: keeps})
			c := b.open("n1")
			lease := c.acquire()
			frozen := b.m.Leader()
			b.m.Freeze(frozen)
			renew := func(d time.Duration) bool {
				for end := b.k.Now().Add(d); b.k.Now() < end; b.k.Run(200 * time.Millisecond) {
					r := stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: ttl, Deadline: b.k.Now().Add(time.Second)}
					switch got := c.do(r); got.Outcome {
					case events.Done:
						lease = got.Lease
					case events.Lost:
						return b.k.Now() < lease.SentAt.Add(lease.TTL)
					}
				}
				return false
			}
			if renew(6 * time.Second) {
				t.Errorf("seed %d: the lease was lost beside a frozen leader", seed)
			}
			b.m.Thaw(frozen)
			if renew(3 * time.Second) {
				early++
			}
		}
		if keeps == (early == 0) {
			t.Errorf("keeping the lease %v: it was lost early in %d of 20 runs", keeps, early)
		}
	}
}

// TestRetriedPutIsUnknown loses the answer of a put, which then meets itself.
func TestRetriedPutIsUnknown(t *testing.T) {
	b := newBench(t, 3, kernel.Seeded(1))
	c := b.open("n1")
	rev := c.must(stores.Request{Op: stores.Put, Key: "a", Value: "1"}).Revision
	c.line.Back = map[int]stores.Fate{0: stores.Vanishes, 1: stores.Vanishes, 2: stores.Vanishes}
	b.env.After(700*time.Millisecond, func() { c.line.Back = nil })
	got := c.do(stores.Request{Op: stores.Put, Key: "a", Value: "2", Expect: int64(rev), Deadline: b.k.Now().Add(3 * time.Second)})
	if now := b.m.Contents().Keys[0]; now.Value != "2" || got.Outcome != events.Unknown {
		t.Errorf("%+v, the key is %+v", got, now)
	}
	got = c.do(stores.Request{Op: stores.Put, Key: "a", Value: "3", Expect: int64(rev)})
	if got.Outcome != events.Lost {
		t.Errorf("with an old revision: %+v", got)
	}
}

func TestSlowDisk(t *testing.T) {
	b := newBench(t, 3, kernel.Seeded(1))
	c := b.open("n1")
	l := c.acquire()
	b.m.Troubles()[1].Do()
	start := b.k.Now()
	c.must(stores.Request{Op: stores.Put, Key: "a", Expect: events.Any})
	if took := b.k.Now().Sub(start); took < time.Second {
		t.Errorf("a put on slow disks took %v", took)
	}
	// Renewals write nothing.
	start = b.k.Now()
	got := c.do(stores.Request{Op: stores.Renew, Epoch: l.Epoch, TTL: ttl})
	if took := b.k.Now().Sub(start); got.Outcome == events.Done && took > 100*time.Millisecond {
		t.Errorf("a renewal on slow disks took %v", took)
	}
}

// TestRunsRepeat runs a busy while twice with one seed.
func TestRunsRepeat(t *testing.T) {
	run := func() string {
		b := newBench(t, 3, kernel.Seeded(7))
		c := b.open("n1")
		c.line.Most, c.line.Lost, c.line.Broken = 5*time.Millisecond, 20, 20
		f := b.open("n2").watch()
		for i := range 200 {
			c.do(stores.Request{Op: stores.Put, Key: fmt.Sprint("k", i%5), Expect: events.Any})
			c.do(stores.Request{Op: stores.PutMember, Value: "x", TTL: ttl})
			if i%20 == 0 {
				b.m.Kill(i / 20 % 3)
			}
			if i%20 == 10 {
				b.m.Start(i / 20 % 3)
			}
		}
		return fmt.Sprint(b.k.Now(), b.k.Events(), f.changes, f.at, b.m.Contents())
	}
	if a, b := run(), run(); a != b {
		t.Errorf("two runs of one seed differ:\n%s\n%s", a, b)
	}
}

func BenchmarkRenew(b *testing.B) {
	w := newBench(b, 3, kernel.Seeded(1))
	c := w.open("n1")
	l := c.must(stores.Request{Op: stores.Acquire, TTL: 1000 * time.Hour}).Lease
	b.ReportAllocs()
	for b.Loop() {
		c.must(stores.Request{Op: stores.Renew, Epoch: l.Epoch, TTL: 1000 * time.Hour})
	}
}

func BenchmarkPutSeenByThree(b *testing.B) {
	w := newBench(b, 3, kernel.Seeded(1))
	c := w.open("n1")
	seen := 0
	for i := range 3 {
		o := w.open(fmt.Sprint("w", i))
		o.s.Watch(func(events.Fact) { seen++ })
	}
	w.k.Run(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		want := seen + 3
		c.must(stores.Request{Op: stores.Put, Key: "status", Value: "x", Expect: events.Any})
		w.k.RunUntil(time.Second, func() bool { return seen >= want })
	}
}
