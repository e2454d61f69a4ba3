package zookeeper

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

const tick = 2 * time.Second

// settled is a rig with a leader, and a follower of it.
func settled(t testing.TB, seed uint64) (r *rig, leader, follower *server) {
	r = newRig(t, seed, Options{TickTime: tick})
	if !r.k.RunUntil(time.Minute, func() bool { return r.m.Leader() >= 0 }) {
		t.Fatal("no leader")
	}
	leader = r.m.servers[r.m.Leader()]
	follower = r.m.servers[(r.m.Leader()+1)%3]
	return r, leader, follower
}

// client is a bare connection with a session of 10 s.
func (r *rig) client(s *server) *conn {
	c := r.m.newConn(s, &wire{env: r.k.Domain("client")})
	attached := false
	c.attach(0, testTTL, func(a result) { attached = a.code == ok })
	if !r.k.RunUntil(time.Second, func() bool { return attached }) {
		r.t.Fatal("no session")
	}
	return c
}

func (r *rig) multi(c *conn, ops ...op) result {
	var got *result
	c.multi(ops, func(a result) { got = &a })
	if !r.k.RunUntil(time.Second, func() bool { return got != nil }) {
		r.t.Fatal("no answer")
	}
	return *got
}

func (r *rig) exists(key string) bool { return r.m.newest().nodes[key] != nil }

func (r *rig) waitGone(key string) events.Instant {
	if !r.k.RunUntil(time.Minute, func() bool { return !r.exists(key) }) {
		r.t.Fatalf("%s does not go", key)
	}
	return r.k.Now()
}

func TestSessionsEndInTimeoutToTimeoutPlusTick(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for seed := range uint64(40) {
		r, leader, _ := settled(t, seed)
		r.k.Run(time.Duration(r.k.Domain("test").Pick("phase", 2000)) * time.Millisecond)
		c := r.client(leader)
		r.k.Run(tick) // a new session is touched once more by the followers that learned of it
		sent := r.k.Now()
		if a := r.multi(c, op{kind: opCreate, path: "x", ephemeral: true}); a.code != ok {
			t.Fatal(a.code)
		}
		took := r.waitGone("x").Sub(sent)
		least, most = min(least, took), max(most, took)
	}
	if least < testTTL || most > testTTL+tick+10*time.Millisecond {
		t.Errorf("sessions of %v ended after %v to %v", testTTL, least, most)
	}
	if most-least < tick/2 {
		t.Errorf("sessions always ended after %v to %v: the model shows too little of what may be", least, most)
	}
}

// TestForwardedWriteProlongsNothing shows why a renewal through a follower must not be dated from its write.
func TestForwardedWriteProlongsNothing(t *testing.T) {
	early := false
	for seed := range uint64(20) {
		r, _, follower := settled(t, seed)
		c := r.client(follower)
		if a := r.multi(c, op{kind: opCreate, path: "x", ephemeral: true}); a.code != ok {
			t.Fatal(a.code)
		}
		r.k.Run(4 * time.Second)
		sent := r.k.Now()
		if a := r.multi(c, op{kind: opSet, path: "x", version: 0}); a.code != ok {
			t.Fatal(a.code)
		}
		r.m.Kill(follower.id)
		early = early || r.waitGone("x").Sub(sent) < testTTL
	}
	if !early {
		t.Error("a write through a follower that died counted as a touch")
	}
}

// TestHappyPings lets the leader expire a session while its follower goes on answering.
func TestHappyPings(t *testing.T) {
	r, leader, follower := settled(t, 3)
	c := r.client(follower)
	if a := r.multi(c, op{kind: opCreate, path: "x", ephemeral: true}); a.code != ok {
		t.Fatal(a.code)
	}
	r.k.Run(3 * time.Second)
	r.m.o.SyncLimit = 8 // so that the session ends first
	r.m.links[follower.id][leader.id].cut++
	answers, after := 0, 0
	var ping func()
	ping = func() {
		c.read(func(*tree) {}, func(a result) {
			if a.code != ok {
				return
			}
			answers++
			if !r.exists("x") {
				after++
			}
			r.k.After(500*time.Millisecond, ping)
		})
	}
	ping()
	r.waitGone("x")
	if follower.tree.nodes["x"] == nil {
		t.Error("a follower without its leader learned of the expiry")
	}
	r.k.Run(20 * time.Second)
	if answers < 10 || after == 0 {
		t.Errorf("%d pings answered, %d of them after the session had ended", answers, after)
	}
	if c.open {
		t.Error("a follower serves without a leader for ever")
	}
}

func TestTTLIsNegotiated(t *testing.T) {
	r, _, _ := settled(t, 1)
	a := r.member("n1", 0)
	for _, want := range []struct{ asked, granted time.Duration }{{time.Second, 2 * tick}, {testTTL, testTTL}, {time.Hour, 20 * tick}} {
		got := r.ask(a.s, stores.Request{Op: stores.Acquire, TTL: want.asked})
		if got.Outcome != events.Done || got.Lease.TTL != want.granted {
			t.Fatalf("asked for %v: %v, granted %v, want %v", want.asked, got.Outcome, got.Lease.TTL, want.granted)
		}
		if rel := r.ask(a.s, stores.Request{Op: stores.Release, Epoch: got.Lease.Epoch}); rel.Outcome != events.Done {
			t.Fatal(rel)
		}
	}
	if r.m.Limits().MinTTL != 2*tick {
		t.Error(r.m.Limits())
	}
}

// TestLeaseMovesToTheLeader follows a lease from whatever server it began on.
func TestLeaseMovesToTheLeader(t *testing.T) {
	for seed := range uint64(10) {
		r, leader, _ := settled(t, seed)
		a := r.member("n1", 0)
		got := r.ask(a.s, stores.Request{Op: stores.Acquire, TTL: testTTL})
		for range 4 {
			r.k.Run(time.Second)
			sent := r.k.Now()
			got = r.ask(a.s, stores.Request{Op: stores.Renew, Epoch: got.Lease.Epoch, TTL: testTTL})
			if got.Outcome != events.Done || got.Lease.SentAt < sent {
				t.Fatalf("seed %d: %+v, sent at %d", seed, got, sent)
			}
		}
		session, fine := a.s.(*Session)
		if !fine || session.held[0].lane.c.s != leader {
			t.Errorf("seed %d: after four renewals the lease is not with the leader", seed)
		}
	}
}

func TestSnapshotIsNotWhatALaggingFollowerShows(t *testing.T) {
	r, leader, follower := settled(t, 1)
	follower.lagging = true
	r.k.After(3*time.Second, func() { follower.lagging = false; follower.catchUp() })
	a, b := r.member("n1", 0), r.member("n2", 0)
	for c, s := range map[*contender]*server{a: leader, b: follower} {
		session, fine := c.s.(*Session)
		if !fine {
			t.Fatal("not a Session")
		}
		session.data.server = s.id
	}
	put := r.ask(a.s, stores.Request{Op: stores.Put, Key: "config", Value: "{}", Expect: 0})
	if put.Outcome != events.Done || follower.tree.nodes["config"] != nil {
		t.Fatalf("%+v, and the follower does not lag", put)
	}
	got := r.ask(b.s, stores.Request{Op: stores.Snapshot})
	if got.Outcome != events.Done || len(got.Snapshot.Keys) != 1 || got.Snapshot.Keys[0].Revision != put.Revision {
		t.Errorf("%+v", got)
	}
}

func TestWipe(t *testing.T) {
	r, _, _ := settled(t, 1)
	a := r.member("n1", 0)
	for range 3 {
		if got := r.ask(a.s, stores.Request{Op: stores.Put, Key: "config", Expect: events.Any}); got.Outcome != events.Done {
			t.Fatal(got)
		}
	}
	lease := r.ask(a.s, stores.Request{Op: stores.Acquire, TTL: testTTL}).Lease
	before := r.m.Contents().Revision
	r.m.Wipe()
	if !r.k.RunUntil(time.Minute, func() bool { return len(a.seen) == 0 && a.revision < before }) {
		t.Errorf("the watch still shows %v at %d", a.seen, a.revision)
	}
	if got := r.ask(a.s, stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: testTTL}); got.Outcome != events.Lost {
		t.Errorf("renewal in the wiped store: %+v", got)
	}
	if got := r.ask(a.s, stores.Request{Op: stores.Acquire, TTL: testTTL}); got.Outcome != events.Done {
		t.Errorf("acquire in the wiped store: %+v", got)
	}
}

func TestEditIsSeen(t *testing.T) {
	r, _, _ := settled(t, 1)
	a := r.member("n1", 0)
	r.k.Run(time.Second)
	r.m.Edit("failover", `{"leader":"n1"}`, false)
	if len(r.m.Contents().Keys) != 1 {
		t.Error("an operator's write is not there at once")
	}
	if !r.k.RunUntil(time.Second, func() bool { return a.seen["failover"] != 0 }) {
		t.Error("the watch does not see it")
	}
	r.m.Edit("failover", "", true)
	if !r.k.RunUntil(time.Second, func() bool { return len(a.seen) == 0 }) {
		t.Error("the watch does not see the deletion")
	}
}

func BenchmarkRenewal(b *testing.B) {
	r, _, _ := settled(b, 1)
	s := r.m.Open("n1", &wire{env: kernel.Env(r.k.Domain("line"))})
	lease := r.ask(s, stores.Request{Op: stores.Acquire, TTL: testTTL}).Lease
	b.ReportAllocs()
	for b.Loop() {
		if a := r.ask(s, stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: testTTL}); a.Outcome != events.Done {
			b.Fatal(a)
		}
	}
}

func BenchmarkPutSeenByThreeWatchers(b *testing.B) {
	r, _, _ := settled(b, 1)
	seen := 0
	var s stores.Session
	for _, name := range []string{"n1", "n2", "n3"} {
		s = r.m.Open(name, &wire{env: r.k.Domain("line of " + name)})
		s.Watch(func(f events.Fact) {
			if _, is := f.(events.DCSChange); is {
				seen++
			}
		})
	}
	r.k.Run(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		seen = 0
		if a := r.ask(s, stores.Request{Op: stores.Put, Key: "status", Value: "x", Expect: events.Any}); a.Outcome != events.Done {
			b.Fatal(a)
		}
		if !r.k.RunUntil(time.Second, func() bool { return seen == 3 }) {
			b.Fatal(seen)
		}
	}
}

// BenchmarkQuietHour is an hour of a cluster in which a leader renews every ten seconds and three members watch.
func BenchmarkQuietHour(b *testing.B) {
	r, _, _ := settled(b, 1)
	var s stores.Session
	for _, name := range []string{"n1", "n2", "n3"} {
		s = r.m.Open(name, &wire{env: r.k.Domain("line of " + name)})
		s.Watch(func(events.Fact) {})
	}
	lease := r.ask(s, stores.Request{Op: stores.Acquire, TTL: 30 * time.Second}).Lease
	for b.Loop() {
		for range 360 {
			r.k.Run(10 * time.Second)
			if a := r.ask(s, stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 30 * time.Second}); a.Outcome != events.Done {
				b.Fatal(a)
			}
		}
	}
}
