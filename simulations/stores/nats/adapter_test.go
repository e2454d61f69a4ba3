package nats

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// What the contract does not ask of the adapter; the cases are those of backends/nats/adapter_test.go.

// TestRecreated: whatever way the stream comes back, no epoch comes twice for a session that saw it.
func TestRecreated(t *testing.T) {
	refusals := 0
	for seed := uint64(1); seed <= 40; seed++ {
		l := newLab(t, seed, Options{Servers: 3})
		p := l.open("n1").watch()
		lease := p.acquire(0, 20*time.Second).Lease
		p.put("config", "{}", 0)
		highest := p.s.highest
		l.trouble("the stream is recreated")
		l.want("renewal", p.ask(stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second}, 10*time.Second).Outcome == events.Done, false)
		l.until(20*time.Second, "an empty snapshot", func() bool { return len(p.keys) == 0 && l.m.exists })
		for end := l.k.Now().Add(3 * time.Minute); ; l.run(time.Second) {
			got := p.ask(stores.Request{Op: stores.Acquire, TTL: 20 * time.Second}, 10*time.Second)
			if got.Outcome == events.Done {
				if got.Lease.Epoch <= highest {
					t.Fatalf("seed %d: epoch %d after %d", seed, got.Lease.Epoch, highest)
				}
				break
			}
			if l.m.first <= highest && l.m.exists {
				refusals++
				l.want("a lease with an old sequence", got.Outcome, events.Failed)
				l.want("holder after it was given back", l.m.Truth().Holder, "")
			}
			if l.k.Now() > end {
				t.Fatalf("seed %d: no lease after the stream came back: %+v", seed, got)
			}
		}
		if len(p.bad) > 0 {
			t.Error(p.bad)
		}
	}
	if refusals == 0 {
		t.Error("no stream came back with old sequences")
	}
}

func TestForeignBucketIsRefused(t *testing.T) {
	l := newLab(t, 1, Options{})
	l.m.create(1)
	p := l.open("n1")
	l.want("put", p.ask(stores.Request{Op: stores.Put, Key: "config", Expect: events.Any}, time.Second).Outcome, events.Failed)
	l.m.Wipe()
	p.put("config", "{}", 0)
}

// TestLateRenewalIsWrittenTwice: what was acknowledged when its predecessor may have expired does not count.
func TestLateRenewalIsWrittenTwice(t *testing.T) {
	l := newLab(t, 0, Options{Servers: 3, ClockSkew: 5 * time.Second})
	p := l.open("n1")
	lease := p.acquire(0, 20*time.Second).Lease
	for _, c := range []struct {
		pass time.Duration
		want uint64
	}{{0, 1}, {10 * time.Second, 1}, {24950 * time.Millisecond, 2}, {0, 1}} {
		l.run(c.pass)
		before := l.leaderSeq()
		got := p.done(stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second})
		l.want("writes of a renewal", l.leaderSeq()-before, c.want)
		l.want("granted", got.Lease.TTL, 20*time.Second)
	}
	l.run(24 * time.Second)
	l.want("holder within the allowance for the clocks", l.m.Truth().Holder, "n1")
}

// TestClaimIsWrittenAgain: the write that claimed the key may be swept away with what it replaced. The adapter writes
// twice more: the first of these is not in time for what it knows of the claim.
func TestClaimIsWrittenAgain(t *testing.T) {
	l := newLab(t, 0, Options{})
	a := l.open("n1")
	lease := a.acquire(0, 20*time.Second).Lease
	l.want("sequence of a first lease", l.leaderSeq(), lease.Epoch)
	a.s.Close()
	b := l.open("n1")
	next := b.acquire(int64(l.leaderSeq()), 20*time.Second).Lease
	l.want("sequence of a claim", l.leaderSeq(), next.Epoch+2)
	l.want("epoch in truth", l.m.Truth().Epoch, next.Epoch)
	b.done(stores.Request{Op: stores.Renew, Epoch: next.Epoch, TTL: 20 * time.Second})
	l.want("epoch in truth", l.m.Truth().Epoch, next.Epoch)
}

// TestLostAnswers: requests arrive, their answers do not.
func TestLostAnswers(t *testing.T) {
	l := newLab(t, 3, Options{})
	p, rival := l.open("n1"), l.open("n2")
	lease := p.acquire(0, 20*time.Second).Lease
	renew := stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second}
	blind := func(what string, r stores.Request, want events.Outcome) {
		t.Helper()
		before := l.m.data.last
		p.line.Back = map[int]stores.Fate{0: stores.Vanishes}
		l.want(what, p.ask(r, 300*time.Millisecond).Outcome, want)
		p.line.Back = nil
		if l.m.data.last == before {
			t.Errorf("%s never arrived, which proves nothing", what)
		}
	}
	for range 2 {
		blind("renewal", renew, events.Unknown)
		p.done(renew)
		p.done(renew)
	}
	blind("release", stores.Request{Op: stores.Release, Epoch: lease.Epoch}, events.Unknown)
	l.want("renewal after it", p.ask(renew, 10*time.Second).Outcome, events.Lost)

	renew.Epoch = p.acquire(0, 20*time.Second).Lease.Epoch
	blind("renewal", renew, events.Unknown)
	rival.done(stores.Request{Op: stores.Delete, Key: events.KeyLeader, Expect: events.Any})
	rival.acquire(0, 20*time.Second)
	l.want("renewal after another member won", p.ask(renew, 10*time.Second).Outcome, events.Lost)

	// Inside one call: the answer is lost, the line comes back, the call finds out.
	p.line.Back = map[int]stores.Fate{0: stores.Vanishes}
	l.m.env.After(time.Second, func() { p.line.Back = nil })
	got := p.put("history", "[]", 0)
	l.want("revision", l.m.data.get("history").seq, got.Revision)
}

// TestFrozenServerAppliesLate: what was stuck in a frozen server is applied after the thaw, and overwrites nothing later.
func TestFrozenServerAppliesLate(t *testing.T) {
	l := newLab(t, 1, Options{})
	p := l.open("n1").watch()
	p.put("config", "one", 0)
	l.m.Freeze(0)
	hung := p.ask(stores.Request{Op: stores.Put, Key: "config", Value: "stuck", Expect: events.Any}, time.Second)
	l.want("put to a frozen server", hung.Outcome, events.Failed) // it had only read so far
	l.until(5*time.Second, "unreachable", func() bool { return !p.reachable })
	l.m.Thaw(0)
	l.until(5*time.Second, "reachable", func() bool { return p.reachable })
	p.put("config", "two", events.Any)
	l.run(5 * time.Second)
	l.want("value", l.m.data.get("config").value, "two")
	l.want("value in the watch", p.keys["config"].Value, "two")
}

func TestConsumerRestartsWithASnapshot(t *testing.T) {
	slow, fast := 0, 0
	for seed := uint64(1); seed <= 30; seed++ {
		l := newLab(t, seed, Options{Servers: 3})
		p, w := l.open("n1").watch(), l.open("n2")
		before := p.snapshots
		p.s.watch.consumer.host = 0
		start := l.k.Now()
		for p.s.watch.consumer != nil && !p.s.watch.consumer.ended {
			l.trouble("the consumer restarts")
		}
		w.put("config", "{}", 0)
		l.until(6*time.Second, "the change", func() bool { return p.keys["config"].Value == "{}" })
		if took := l.k.Now().Sub(start); took > 2*time.Second {
			slow++
		} else {
			fast++
		}
		l.want("snapshots", p.snapshots, before+1)
		w.put("config", "[]", events.Any)
		l.until(time.Second, "the next change", func() bool { return p.keys["config"].Value == "[]" })
		l.want("snapshots", p.snapshots, before+1)
	}
	if slow == 0 || fast == 0 {
		t.Errorf("%d watches learned by the silence, %d were told: want both", slow, fast)
	}
}

func TestLostChangeIsAHole(t *testing.T) {
	for _, last := range []bool{false, true} { // found by the next message, or by the heartbeat
		l := newLab(t, 1, Options{})
		p, w := l.open("n1").watch(), l.open("n2")
		p.line.Back = map[int]stores.Fate{0: stores.Vanishes}
		w.put("config", "lost", 0)
		p.line.Back = nil
		if !last {
			w.put("history", "[]", 0)
		}
		if !last {
			l.until(3*time.Second, "the next change", func() bool { return p.keys["history"].Value == "[]" })
			l.want("the change that was lost before it", p.keys["config"].Value, "lost")
		}
		l.until(3*time.Second, "a snapshot with the lost change", func() bool { return p.snapshots == 2 && p.keys["config"].Value == "lost" })
	}
}

// TestEditBesideAFrozenServer: an operator's edit reaches everybody, whoever leads.
func TestEditBesideAFrozenServer(t *testing.T) {
	for _, servers := range []int{1, 3} {
		l := newLab(t, 1, Options{Servers: servers})
		p := l.open("n1").watch()
		for i := range servers {
			l.m.Freeze(i)
		}
		l.m.Edit("pause", "true", false)
		for i := range servers {
			l.m.Thaw(i)
		}
		l.until(20*time.Second, "the edit", func() bool { return p.keys["pause"].Value == "true" })
		l.m.Edit("pause", "", true)
		l.until(time.Second, "its end", func() bool { return p.keys["pause"].Value == "" })
		p.put("config", "{}", events.Any)
		l.want("leads", l.m.Leader() >= 0, true)
	}
}

func TestStepDown(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		l := newLab(t, seed, Options{Servers: 3})
		p := l.open("n1").watch()
		lease := p.acquire(0, 20*time.Second).Lease
		former := l.m.lead
		l.trouble("the stream leader steps down")
		l.want("leader", l.m.Leader(), -1)
		p.done(stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second})
		if l.m.lead == former {
			t.Error("it stepped down in its own favour")
		}
		l.want("holder", l.m.Truth().Holder, "n1")
	}
}

// TestMinority: a leader that was cut off acknowledges nothing, and steps down.
func TestMinority(t *testing.T) {
	l := newLab(t, 1, Options{Servers: 3})
	p := l.open("n1")
	former := l.m.lead
	p.line.Cut(stores.Resets, (former+1)%3, (former+2)%3)
	l.run(3 * time.Second)
	p.s.lease.broken()
	p.s.ops.broken()
	l.run(3 * time.Second)
	p.put("config", "before", 0)
	group := make([]int, 3)
	group[former] = 1
	l.m.Split(group)
	l.want("put on the side of the minority", p.ask(stores.Request{Op: stores.Put, Key: "config", Value: "x", Expect: events.Any}, 2*time.Second).Outcome, events.Unknown)
	l.run(25 * time.Second)
	l.want("believes", l.m.servers[former].believes, false)
	l.want("value", l.m.data.get("config").value, "before")
	l.m.Join()
	l.run(3 * time.Second)
	p.put("config", "after", events.Any)
}
