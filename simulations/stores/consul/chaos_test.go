package consul

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// claimant wants the lease, renews it while it can and notes until when it may rely on it.
type claimant struct {
	c      *chaos
	a      *agent
	name   string
	ttl    time.Duration
	epoch  uint64
	until  events.Instant
	wins   int
	renews int
}

func (x *claimant) turn() {
	c := x.c
	c.env.After(kernel.Between(c.env, "pause of a claimant", 500*time.Millisecond, 5*time.Second), x.turn)
	if c.env.Pick("a restart", 200) == 199 { // as by SIGKILL: what the agent knew is gone, the claim is over
		x.a.Close()
		x.a = c.openLossy(x.name)
		x.epoch, x.until = 0, 0
		return
	}
	if c.env.Pick("another ttl", 20) == 19 {
		x.ttl = minTTL + time.Duration(c.env.Pick("which ttl", 3))*3*time.Second
	}
	deadline := c.k.Now().Add(kernel.Between(c.env, "patience", 300*time.Millisecond, 4*time.Second))
	a := x.a
	mine := func(r stores.Response) bool { return a == x.a && r.Outcome == events.Done }
	switch {
	case x.epoch != 0 && c.env.Pick("give up", 100) >= 98:
		op := stores.Release
		if c.env.Pick("hand over", 2) == 1 {
			op = stores.HandOver
		}
		r := stores.Request{Op: op, Epoch: x.epoch, To: "n1", TTL: minTTL, Deadline: deadline}
		x.epoch, x.until = 0, 0
		a.Do(r, func(stores.Response) {})
	case x.epoch != 0:
		epoch := x.epoch
		a.Do(stores.Request{Op: stores.Renew, Epoch: x.epoch, TTL: x.ttl, Deadline: deadline}, func(r stores.Response) {
			switch {
			case a != x.a || x.epoch != epoch:
			case r.Outcome == events.Lost:
				if c.k.Now() < x.until {
					c.Errorf("%s lost epoch %d before its end: %s", x.name, x.epoch, r.Error)
				}
				x.epoch, x.until = 0, 0
			case mine(r):
				x.renews++
				x.claim(r)
			}
		})
	default:
		a.Do(stores.Request{Op: stores.Snapshot, Deadline: deadline}, func(r stores.Response) {
			if !mine(r) || x.epoch != 0 {
				return
			}
			var expect int64
			for _, kv := range r.Snapshot.Keys {
				if kv.Key == events.KeyLeader {
					if kv.Value != x.name {
						return
					}
					expect = int64(kv.Revision)
				}
			}
			a.Do(stores.Request{Op: stores.Acquire, Expect: expect, TTL: x.ttl, Deadline: deadline}, func(r stores.Response) {
				if mine(r) {
					x.wins++
					if r.Lease.Epoch < x.epoch {
						return // of two acquisitions under way the later was answered first
					}
					if r.Lease.Epoch <= c.epoch {
						c.Errorf("epoch %d of %s after %d", r.Lease.Epoch, x.name, c.epoch)
					}
					c.epoch = r.Lease.Epoch
					x.epoch = r.Lease.Epoch
					x.claim(r)
				}
			})
		})
	}
}

// claim notes a lease and checks that the store itself keeps it that long.
func (x *claimant) claim(r stores.Response) {
	x.until = r.Lease.SentAt.Add(r.Lease.TTL)
	if x.c.k.Now() >= x.until {
		return
	}
	if truth := x.c.m.Truth(); truth.Holder != x.name || truth.Epoch < r.Lease.Epoch || truth.Ends < x.until {
		x.c.Errorf("%s was granted epoch %d until %d, but the truth at %d is %+v", x.name, r.Lease.Epoch, x.until, x.c.k.Now(), truth)
	}
}

// chaos is a world whose faults never hurt what the contract promises: no data is lost, nobody touches the leader key.
type chaos struct {
	*world
	all   []*claimant
	epoch uint64 // the newest that was won
	quiet bool
}

func (c *chaos) openLossy(member string) *agent {
	a, ok := c.m.Open(member, &conform.Line{Env: c.k.Domain("line"), Least: 100 * time.Microsecond, Most: 20 * time.Millisecond, Lost: 20, Broken: 10}).(*agent)
	if !ok {
		c.Fatal("Open returned something else")
	}
	return a
}

func (c *chaos) fault() {
	if c.quiet {
		return
	}
	heal := kernel.Between(c.env, "length of a fault", 100*time.Millisecond, 8*time.Second)
	c.env.After(kernel.Between(c.env, "time to the next fault", time.Second, 15*time.Second), c.fault)
	s := c.env.Pick("which server", c.m.Servers())
	if l := c.m.Leader(); l >= 0 && c.env.Pick("the leader", 2) == 1 {
		s = l
	}
	switch c.env.Pick("fault", 7) {
	case 0:
		c.m.Kill(s)
		c.env.After(heal, func() { c.m.Start(s) })
	case 1, 2, 3:
		c.m.Freeze(s)
		c.env.After(heal, func() { c.m.Thaw(s) })
	case 4:
		c.m.Split([]int{s})
		c.env.After(heal, c.m.Join)
	case 5:
		c.m.transfer()
	case 6:
		c.m.reap()
		c.m.delayLocks()
	}
}

// runChaos lets claimants, watchers and faults go on for some virtual hours, then heals all and demands agreement.
func runChaos(t testing.TB, seed uint64, servers int, length time.Duration) (fingerprint uint64) {
	c := &chaos{world: newWorld(t, kernel.Seeded(seed), Config{Servers: servers})}
	for _, name := range []string{"n1", "n2", "n3"} {
		x := &claimant{c: c, a: c.openLossy(name), name: name, ttl: minTTL}
		c.all = append(c.all, x)
		x.turn()
	}
	var folds []*fold
	for range 2 {
		folds = append(folds, c.watch(c.openLossy("watcher")))
	}
	writer, n := c.openLossy("writer"), 0
	var write func()
	write = func() {
		n++
		c.env.After(kernel.Between(c.env, "pause of the writer", 100*time.Millisecond, 5*time.Second), write)
		deadline := c.k.Now().Add(time.Second)
		switch key := fmt.Sprintf("k%d", n%5); c.env.Pick("what to write", 4) {
		case 0, 1:
			writer.Do(stores.Request{Op: stores.Put, Key: key, Value: key, Expect: events.Any, Deadline: deadline}, func(stores.Response) {})
		case 2:
			writer.Do(stores.Request{Op: stores.Delete, Key: key, Expect: events.Any, Deadline: deadline}, func(stores.Response) {})
		case 3:
			writer.Do(stores.Request{Op: stores.PutMember, Value: key, TTL: minTTL, Deadline: deadline}, func(stores.Response) {})
		}
	}
	write()
	c.fault()
	h := fnv.New64a()
	for end := c.k.Now().Add(length); c.k.Next(end) && !t.Failed(); {
		truth := c.m.Truth()
		for _, x := range c.all {
			if x.epoch != 0 && c.k.Now() < x.until && (truth.Holder != x.name || truth.Epoch < x.epoch) {
				t.Errorf("seed %d: %s relies on epoch %d until %d, but at %d the truth is %+v", seed, x.name, x.epoch, x.until, c.k.Now(), truth)
			}
		}
		if c.k.Events()%64 == 0 {
			_, _ = fmt.Fprintf(h, "%d %v;", c.k.Now(), truth) // a hash never fails
		}
	}
	c.quiet = true
	c.k.Run(15 * time.Second) // the last fault heals
	for _, f := range folds {
		c.until(10*time.Second, "agreement of a watcher", func() bool { return f.same() && f.reachable })
	}
	c.until(4*minTTL+20*time.Second, "a leader", func() bool { return c.m.Truth().Holder != "" })
	wins, renews := 0, 0
	for _, x := range c.all {
		wins, renews = wins+x.wins, renews+x.renews
	}
	if wins < 3 || renews < 100 {
		t.Errorf("seed %d: only %d leases and %d renewals", seed, wins, renews)
	}
	t.Logf("seed %d: %d leases, %d renewals, %d and %d snapshots, %d changes, %d losses, %d events", seed, wins, renews, folds[0].snapshots,
		folds[1].snapshots, folds[0].changes, folds[0].losses, c.k.Events())
	return h.Sum64()
}

func TestClaimsHoldInChaos(t *testing.T) {
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			for seed := range uint64(12) {
				runChaos(t, seed, servers, 2*time.Hour)
			}
		})
	}
}

func TestSameSeedSameRun(t *testing.T) {
	if a, b := runChaos(t, 4711, 3, time.Hour), runChaos(t, 4711, 3, time.Hour); a != b {
		t.Errorf("two runs of one seed differ: %x and %x", a, b)
	}
}
