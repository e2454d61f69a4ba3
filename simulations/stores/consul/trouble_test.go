package consul

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

func (w *world) leads(a *agent) func() bool {
	return func() bool { return w.m.Truth().Holder == a.member }
}

func (w *world) free() bool { return w.m.Truth().Holder == "" }

func TestLeaseEndsAtTwiceItsTTL(t *testing.T) {
	w := calm(t, Config{})
	l := w.must(w.open("n1"), stores.Request{Op: stores.Acquire}).Lease
	w.until(time.Minute, "the end", w.free)
	if took := w.k.Now().Sub(l.SentAt); took < 2*minTTL || took > 2*minTTL+50*time.Millisecond {
		t.Errorf("a lease of %v ended after %v", l.TTL, took)
	}
}

func TestElectionResetsEveryTimer(t *testing.T) {
	w := calm(t, Config{})
	w.must(w.open("n1"), stores.Request{Op: stores.Acquire})
	w.k.Run(2*minTTL - time.Second)
	w.trouble("an election resets every session timer")
	if w.m.Leader() >= 0 {
		t.Fatal("there is still a leader")
	}
	w.until(electionTo, "a leader", func() bool { return w.m.Leader() >= 0 })
	elected := w.k.Now()
	w.until(time.Minute, "the end", w.free)
	if took := w.k.Now().Sub(elected); took < 2*minTTL {
		t.Errorf("the lease ended %v after the election", took)
	}
}

func TestAgentRestarts(t *testing.T) {
	for _, agentNode := range []bool{false, true} {
		w := calm(t, Config{AgentNode: agentNode})
		a := w.open("n1")
		f := w.watch(w.open("n2"))
		l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
		w.must(a, stores.Request{Op: stores.PutMember, Value: "{}"})
		w.until(time.Second, "the record", func() bool { return f.keys["members/n1"].Value == "{}" })
		w.trouble("the consul agent restarts") // choice 0: that of n1
		w.until(time.Second, "the end of the record", func() bool { return f.keys["members/n1"].Value == "" })
		if w.free() != agentNode {
			t.Errorf("agent's node %v: the truth is %+v", agentNode, w.m.Truth())
		}
		want := events.Done
		if agentNode {
			want = events.Lost
		}
		w.wants(a, stores.Request{Op: stores.Renew, Epoch: l.Epoch}, want)
		w.must(a, stores.Request{Op: stores.PutMember, Value: "{}"})
	}
}

func TestIndexGoesBackwards(t *testing.T) {
	w := calm(t, Config{})
	a := w.open("n1")
	f := w.watch(w.open("n2"))
	l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
	w.must(a, stores.Request{Op: stores.Put, Key: "config", Value: "1", Expect: events.Any})
	w.trouble("the index goes backwards") // a snapshot taken now, restored a second later
	lost := w.must(a, stores.Request{Op: stores.Put, Key: "config", Value: "2", Expect: events.Any}).Revision
	w.until(time.Second, "the write", func() bool { return f.keys["config"].Value == "2" })
	w.k.Run(2 * time.Second)
	if f.snapshots != 2 || f.keys["config"].Value != "1" || f.revision >= lost || !f.same() {
		t.Errorf("after the restore: %d snapshots, revision %d, keys %+v", f.snapshots, f.revision, f.keys)
	}
	w.must(a, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	if next := w.must(a, stores.Request{Op: stores.Put, Key: "config", Value: "3", Expect: events.Any}).Revision; next <= lost {
		t.Errorf("raft's index went back from %d to %d", lost, next)
	}

	w.must(a, stores.Request{Op: stores.Delete, Key: "config", Expect: events.Any})
	w.until(time.Second, "the deletion", f.same)
	w.trouble("the tombstones are reaped")
	w.k.Run(3 * time.Second)
	if f.snapshots != 3 || !f.same() {
		t.Errorf("after the tombstones were reaped: %d snapshots, keys %+v", f.snapshots, f.keys)
	}
}

func TestLockDelayRefuses(t *testing.T) {
	w := calm(t, Config{Servers: 1})
	a := w.open("n1")
	w.trouble("the lock delay refuses")
	if r := w.ask(a, stores.Request{Op: stores.Acquire}); r.Outcome != events.Failed || r.Error != "lock delay" {
		t.Errorf("acquire: %s, %q", r.Outcome, r.Error)
	}
	w.k.Run(time.Second)
	l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
	w.must(a, stores.Request{Op: stores.Release, Epoch: l.Epoch})
	w.trouble("the lock delay refuses")
	w.m.Kill(0)
	w.m.Start(0)
	w.until(electionTo, "a leader", func() bool { return w.m.Leader() >= 0 })
	w.must(a, stores.Request{Op: stores.Acquire}) // the delay was in the server's memory
}

// TestDeposedLeaderSaysYes freezes a leader with a renewal in its queue until another was elected: what it answers
// when it is thawed must not prolong the lease.
func TestDeposedLeaderSaysYes(t *testing.T) {
	pick := map[string][]kernel.Choice{"store": {{Label: "a deposed leader first answers what had waited", N: 2, Took: 1}}}
	w := newWorld(t, kernel.Recorded(pick), Config{})
	a := w.open("n1")
	l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
	w.k.Run(5 * time.Second)
	old := w.m.Leader()
	w.m.Freeze(old)
	yes := false
	a.on(old, w.k.Now().Add(time.Minute), time.Minute, request{ask: renew, id: a.held[0].id}, func(r *result) {
		yes = r.class == answered && r.found
	})
	w.until(electionTo, "another leader", func() bool { return w.m.Leader() >= 0 && w.m.Leader() != old })
	elected := w.k.Now()
	w.k.Run(3 * time.Second)
	ends := w.m.Truth().Ends
	w.m.Thaw(old)
	w.until(time.Second, "the answer", func() bool { return yes })
	if now := w.m.Truth().Ends; now != ends || ends != elected.Add(2*minTTL) {
		t.Errorf("the lease ended at %d, now %d; elected at %d", ends, now, elected)
	}
	r := w.must(a, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	if end := r.Lease.SentAt.Add(r.Lease.TTL); w.m.Truth().Ends < end {
		t.Errorf("granted until %d, the truth is %+v", end, w.m.Truth())
	}
}

// TestFailedInvalidationComesBack shows why a lease that may have run out is not renewed by the session's timer.
func TestFailedInvalidationComesBack(t *testing.T) {
	w := calm(t, Config{})
	a := w.open("n1")
	w.must(a, stores.Request{Op: stores.Acquire})
	l := w.m.servers[w.m.Leader()]
	l.leads = false // in the moment when the timer fires
	l.invalidate(a.held[0].id, 0)
	l.leads = true
	w.k.Run(invalidateBase - time.Second)
	w.must(a, stores.Request{Op: stores.Renew, Epoch: a.held[0].epoch})
	w.until(2*time.Second, "the end of a session that was just renewed", w.free)
}

func TestBlockingQueries(t *testing.T) {
	w := calm(t, Config{})
	a := w.open("n1")
	w.must(a, stores.Request{Op: stores.Put, Key: "config", Value: "1", Expect: events.Any})
	ask := func(index uint64) (got *result, took time.Duration) {
		began := w.k.Now()
		a.on(0, began.Add(time.Minute), time.Minute, request{ask: list, index: index, wait: watchWait}, func(r *result) { got = r })
		w.until(time.Minute, "an answer", func() bool { return got != nil })
		return got, w.k.Now().Sub(began)
	}
	r, _ := ask(0)
	if same, took := ask(r.index); same.index != r.index || took < watchWait || took > watchWait+watchWait/16+10*time.Millisecond {
		t.Errorf("without news: index %d after %d, took %v", same.index, r.index, took)
	}
	var got *result
	a.on(0, w.k.Now().Add(time.Minute), time.Minute, request{ask: list, index: r.index, wait: watchWait}, func(r *result) { got = r })
	w.k.Run(100 * time.Millisecond)
	w.m.Edit("config", "2", false)
	w.m.Edit("config", "3", false) // before the query has looked
	w.until(10*time.Millisecond, "the news", func() bool { return got != nil })
	if e := lookup(got.view, "config"); e.value != "3" || e.modify != got.index {
		t.Errorf("the query saw %+v at %d", e, got.index)
	}
}

func TestReadModesOfADeposedLeader(t *testing.T) {
	w := calm(t, Config{})
	a := w.open("n1")
	w.must(a, stores.Request{Op: stores.Put, Key: "config", Value: "1", Expect: events.Any})
	old := w.m.Leader()
	w.m.Split([]int{old})
	w.until(time.Minute, "another leader", func() bool { return w.m.Leader() >= 0 && w.m.Leader() != old })
	w.m.Edit("config", "2", false)
	read := func(m mode) *result {
		var got *result
		a.on(old, w.k.Now().Add(time.Second), time.Second, request{ask: list, mode: m}, func(r *result) { got = r })
		w.until(2*time.Second, "an answer", func() bool { return got != nil })
		return got
	}
	if r := read(anyServer); r.class != answered || lookup(r.view, "config").value != "1" {
		t.Errorf("a stale read on the cut off server: %+v", r)
	}
	if r := read(consistent); r.class == answered {
		t.Errorf("a consistent read on the cut off server was answered: %+v", r)
	}
	w.m.Join()
	if r := read(anyServer); lookup(r.view, "config").value != "2" {
		t.Errorf("a stale read after the heal: %+v", r)
	}
}

func TestEqualWritesAndAbsentDeletes(t *testing.T) {
	st := newState()
	put := func(value string, flags uint64) uint64 {
		st.index++
		if f := st.transact([]step{{verb: set, key: "k", value: value, flags: flags}}); f != fine {
			t.Fatal(f)
		}
		return lookup(st.keys, "k").modify
	}
	first := put("x", 1)
	if put("x", 1) != first {
		t.Error("an equal write raised the index")
	}
	if put("x", 2) == first {
		t.Error("other flags did not raise the index")
	}
	st.index++
	if f := st.transact([]step{{verb: erase, key: "k"}, {verb: checkIndex, key: "none", index: 3}}); f != stale || lookup(st.keys, "k") == nil {
		t.Errorf("a refused transaction: %v, keys %v", f, st.keys)
	}
}

func TestWipe(t *testing.T) {
	w := calm(t, Config{})
	a := w.open("n1")
	f := w.watch(w.open("n2"))
	l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
	w.k.Run(time.Second)
	w.m.Wipe()
	w.until(15*time.Second, "the watcher's agreement", func() bool { return len(f.keys) == 0 && f.reachable })
	w.wants(a, stores.Request{Op: stores.Renew, Epoch: l.Epoch}, events.Lost)
	w.must(a, stores.Request{Op: stores.Acquire})
	w.until(time.Second, "the new leader key", w.leads(a))
}

func BenchmarkRenewal(b *testing.B) {
	w := newWorld(b, kernel.Seeded(1), Config{})
	a := w.open("n1")
	l := w.must(a, stores.Request{Op: stores.Acquire}).Lease
	b.ReportAllocs()
	began := w.k.Events()
	for b.Loop() {
		w.must(a, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
		w.k.Run(time.Second)
	}
	b.ReportMetric(float64(w.k.Events()-began)/float64(b.N), "events/op")
}

func BenchmarkPutSeenByThreeWatchers(b *testing.B) {
	w := newWorld(b, kernel.Seeded(1), Config{})
	a, seen := w.open("n1"), 0
	for _, name := range []string{"n2", "n3", "n4"} {
		w.open(name).Watch(func(f events.Fact) {
			if _, ok := f.(events.DCSChange); ok {
				seen++
			}
		})
	}
	w.k.Run(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		want := seen + 3
		w.must(a, stores.Request{Op: stores.Put, Key: "status", Value: "x", Expect: events.Any})
		w.until(time.Second, "the watchers", func() bool { return seen == want })
	}
}
