package kubernetes

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// What was measured on kube-apiserver 1.36.3.
func TestUpdatesAsMeasured(t *testing.T) {
	m := New(newWorld(0), 1)
	first := (*version)(nil).next(objLeader, token{1, 1})
	first.set("leader", "n1", token{1, 1})
	put := func(v *version, rv uint64) reply {
		return m.do(0, &call{verb: verbUpdate, obj: objLeader, rv: rv, body: v}, nil)
	}
	r := put(first, 0)
	if r.code != http.StatusOK {
		t.Fatalf("create: %d", r.code)
	}
	created := r.v
	if r := put((*version)(nil).next(objLeader, token{1, 2}), 0); r.code != http.StatusConflict {
		t.Errorf("create of what exists: %d", r.code)
	}
	if r := put(created.next(objLeader, token{1, 2}), 0); r.code != http.StatusUnprocessableEntity {
		t.Errorf("no resourceVersion: %d", r.code)
	}
	if r := put(created.next(objLeader, token{1, 2}), created.rv-1); r.code != http.StatusConflict {
		t.Errorf("stale resourceVersion: %d", r.code)
	}
	for range 2 { // two writers of a PUT that changes nothing
		if r := put(created.foreign(objLeader), created.rv); r.code != http.StatusOK || r.v.rv != created.rv {
			t.Errorf("a PUT that changes nothing: %d at %d, want 200 at %d", r.code, r.v.rv, created.rv)
		}
	}
	if r := put(created.next(objLeader, token{2, 1}), created.rv); r.code != http.StatusOK || r.v.rv == created.rv {
		t.Errorf("a write after them: %d", r.code)
	}
}

func TestRenewalsAlwaysWriteAndKeepTheKey(t *testing.T) {
	w := newWorld(0)
	m := New(w, 3)
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	f := follow(t, w, b.s)
	l := a.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	w.run(time.Second)
	facts := f.facts
	for range 5 {
		rv := m.objs[objLeader].rv
		if got := a.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch}).Lease; got.Epoch != l.Epoch {
			t.Fatalf("epoch %d became %d", l.Epoch, got.Epoch)
		}
		if m.objs[objLeader].rv == rv {
			t.Fatal("a renewal wrote nothing")
		}
		if end := m.Truth().Ends; end != m.changed.Add(testTTL) || m.Truth().Epoch != l.Epoch {
			t.Fatalf("truth is %+v", m.Truth())
		}
	}
	w.run(time.Second)
	if f.facts != facts || f.now["leader"].Revision != l.Epoch {
		t.Errorf("renewals told watchers %d facts; leader %+v, epoch %d", f.facts-facts, f.now["leader"], l.Epoch)
	}
	if kv := open(t, w, m, "n3").keys()["leader"]; kv.Revision != l.Epoch {
		t.Errorf("a new adapter sees revision %d, epoch %d", kv.Revision, l.Epoch)
	}
}

func TestAThirdPartyCostsNoLease(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1)
	a := open(t, w, m, "n1")
	f := follow(t, w, a.s)
	l := a.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	w.run(100 * time.Millisecond)
	facts := f.facts
	for range 3 {
		m.meddle()
		w.run(10 * time.Millisecond)
		a.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	}
	if f.facts != facts {
		t.Errorf("an edit that changes no key told %d facts", f.facts-facts)
	}
	m.Edit("leader", "n9", false)
	a.must(events.Lost, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	if m.Truth().Holder != "n9" {
		t.Errorf("truth is %+v", m.Truth())
	}
}

func TestAppliedThoughItTimedOut(t *testing.T) {
	for _, servers := range []int{1, 3} {
		w := newWorld(0)
		m := New(w, servers)
		a := open(t, w, m, "n1")
		swallow := func() { m.trouble.swallows = 1 }
		began := w.now
		swallow()
		p := a.do(stores.Request{Op: stores.Acquire})
		if p.Outcome != events.Done || p.Lease.SentAt > began.Add(time.Second) || p.Lease.Epoch != m.epoch {
			t.Fatalf("acquire: %+v, began %d", p, began)
		}
		swallow()
		if r := a.do(stores.Request{Op: stores.Put, Key: "config", Value: "{}"}); r.Outcome != events.Done || r.Revision != a.keys()["config"].Revision {
			t.Errorf("put: %+v", r)
		}
		swallow()
		if r := a.do(stores.Request{Op: stores.Renew, Epoch: p.Lease.Epoch}); r.Outcome != events.Done || r.Lease.SentAt.Add(testTTL) > m.Truth().Ends {
			t.Errorf("renew: %+v", r)
		}
		swallow()
		if r := a.do(stores.Request{Op: stores.Release, Epoch: p.Lease.Epoch}); r.Outcome != events.Done {
			t.Errorf("release: %+v", r)
		}
		if m.Truth().Holder != "" {
			t.Error("not released")
		}
	}
}

func TestALaggingCacheEndsNothing(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1) // so that there is no other cache to turn to
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	f := follow(t, w, b.s)
	l := a.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	w.run(time.Second)
	m.servers[0].lagging = w.now.Add(time.Minute)
	for range 12 {
		w.run(2 * time.Second)
		a.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
		b.must(events.Lost, stores.Request{Op: stores.Acquire})
	}
	if f.gone["leader"] != 0 || m.Truth().Epoch != l.Epoch {
		t.Errorf("the lease ended though it was renewed; truth %+v", m.Truth())
	}
}

func TestGoneLeadsToASnapshot(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1)
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	f := follow(t, w, b.s)
	w.run(time.Second)
	m.compact()
	a.must(events.Done, stores.Request{Op: stores.Put, Key: "config", Value: "{}", Expect: events.Any})
	w.run(time.Second)
	if f.snaps != 2 || !slices.Equal(f.values(), contents(m)) {
		t.Errorf("%d snapshots, %v, want %v", f.snaps, f.values(), contents(m))
	}
}

func TestANewAdapter(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1)
	a := open(t, w, m, "n1")
	a.must(events.Done, stores.Request{Op: stores.Acquire})
	a.must(events.Done, stores.Request{Op: stores.PutMember, Value: "{}"})
	a.s.Close()
	w.run(time.Hour) // nobody is there: nothing ends
	b := open(t, w, m, "n2")
	began := w.now
	f := follow(t, w, b.s)
	w.run(100 * time.Millisecond)
	if _, there := f.now["members/n1"]; there {
		t.Error("a new adapter shows a record that is an hour old")
	}
	b.must(events.Lost, stores.Request{Op: stores.Acquire})
	w.run(testTTL + time.Second)
	if at := f.gone["leader"]; at < began.Add(testTTL) || at > began.Add(testTTL+100*time.Millisecond) {
		t.Errorf("the lease ended %v after the first look, ttl %v", at.Sub(began), testTTL)
	}
	if got := contents(m); len(got) != 0 {
		t.Errorf("left in the store: %v", got)
	}
}

func TestAWrongWallClock(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1)
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	m.clock("n2").off = time.Hour
	a.must(events.Done, stores.Request{Op: stores.PutMember, Value: "1"})
	if _, there := b.keys()["members/n1"]; there {
		t.Error("shown: the documented cost is gone, change the documentation")
	}
	f := follow(t, w, b.s)
	w.run(time.Second)
	a.must(events.Done, stores.Request{Op: stores.PutMember, Value: "1"})
	w.run(time.Second)
	if f.now["members/n1"].Value != "1" || b.keys()["members/n1"].Value != "1" {
		t.Error("a record that was seen to change is not shown")
	}
}

func TestWritesByOthersAreSeen(t *testing.T) {
	w := newWorld(0)
	m := New(w, 1)
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	f := follow(t, w, b.s)
	rev := a.must(events.Done, stores.Request{Op: stores.Put, Key: "config", Value: "A"}).Revision
	a.must(events.Done, stores.Request{Op: stores.Put, Key: "history", Value: "[]"})
	if got := b.keys()["config"].Revision; got != rev {
		t.Fatalf("a write of another key moved the revision from %d to %d", rev, got)
	}
	w.run(time.Second)
	for _, value := range []string{"B", "A"} { // and back again
		m.Edit("config", value, false)
		w.run(time.Second)
		if f.now["config"].Value != value || f.now["config"].Revision != m.rev {
			t.Fatalf("after an edit: %+v", f.now["config"])
		}
	}
	told := f.now["config"].Revision
	b.must(events.Done, stores.Request{Op: stores.Put, Key: "config", Value: "C", Expect: int64(told)})
	a.must(events.Lost, stores.Request{Op: stores.Put, Key: "config", Value: "D", Expect: int64(rev)})
	big := string(make([]byte, maxAnnotations))
	a.must(events.Failed, stores.Request{Op: stores.Put, Key: "sync", Value: big})
}

func TestDeniedForAWhileAndShed(t *testing.T) {
	w := newWorld(0)
	m := New(w, 3)
	a := open(t, w, m, "n1")
	l := a.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	m.trouble.denied, m.trouble.deniedAt = w.now.Add(time.Second), -1
	a.must(events.Denied, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	m.trouble.deniedAt = a.s.(*session).server // one server that denies is no denial
	a.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	w.run(2 * time.Second)
	m.trouble.shedding = w.now.Add(time.Minute)
	for range 20 {
		a.must(events.Done, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	}
}

func TestWipe(t *testing.T) {
	w := newWorld(0)
	m := New(w, 3)
	a, b := open(t, w, m, "n1"), open(t, w, m, "n2")
	f := follow(t, w, b.s)
	l := a.must(events.Done, stores.Request{Op: stores.Acquire}).Lease
	a.must(events.Done, stores.Request{Op: stores.PutMember, Value: "{}"})
	w.run(time.Second)
	m.Wipe()
	w.run(5 * time.Second)
	if len(f.now) != 0 || f.rev > 10 {
		t.Errorf("after a wipe the watcher has %v at %d", f.now, f.rev)
	}
	a.must(events.Lost, stores.Request{Op: stores.Renew, Epoch: l.Epoch})
	b.must(events.Done, stores.Request{Op: stores.Acquire})
	w.run(testTTL + 2*time.Second)
	if f.gone["leader"] == 0 {
		t.Error("no lease ends after a wipe")
	}
}
