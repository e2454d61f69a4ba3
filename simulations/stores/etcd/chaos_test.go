package etcd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/etcd"
)

// contender wants the lease and keeps it while it can, as an agent does.
type contender struct {
	*client
	member string
	lease  backends.Lease
	until  events.Instant
	won    int
	busy   bool
}

func (c *contender) step() {
	defer c.b.env.After(300*time.Millisecond, c.step)
	now := c.b.k.Now()
	if c.busy {
		return
	}
	c.busy = true
	r := stores.Request{Op: stores.Snapshot, TTL: ttl, Deadline: now.Add(time.Second)}
	if c.until > now {
		r.Op, r.Epoch = stores.Renew, c.lease.Epoch
		c.s.Do(r, func(got stores.Response) {
			c.busy = false
			switch got.Outcome {
			case events.Done:
				c.lease, c.until = got.Lease, got.Lease.SentAt.Add(got.Lease.TTL)
			case events.Lost:
				if c.until > c.b.k.Now() {
					c.b.Errorf("%s lost epoch %d before its end", c.member, c.lease.Epoch)
				}
				c.until = 0
			}
		})
		return
	}
	c.s.Do(r, func(got stores.Response) { c.contend(r, got) })
}

func (c *contender) contend(r stores.Request, got stores.Response) {
	c.busy = false
	if got.Outcome != events.Done {
		return
	}
	for _, kv := range got.Snapshot.Keys {
		if kv.Key == events.KeyLeader {
			if kv.Value != c.member {
				return
			}
			r.Expect = int64(kv.Revision)
		}
	}
	c.busy = true
	r.Op, r.Deadline = stores.Acquire, c.b.k.Now().Add(time.Second)
	c.s.Do(r, func(got stores.Response) {
		c.busy = false
		if got.Outcome == events.Done {
			c.lease, c.until = got.Lease, got.Lease.SentAt.Add(got.Lease.TTL)
			c.won++
		}
	})
}

// wreck does something to the ensemble or to a line.
func (b *bench) wreck(all []*contender) {
	server := b.env.Pick("a server", 3)
	switch b.env.Pick("what happens", 10) {
	case 1:
		b.m.Kill(server)
	case 2, 3:
		b.m.Start(server)
	case 4:
		b.m.Freeze(server)
	case 5, 6:
		b.m.Thaw(server)
	case 7:
		b.m.Split([]int{server})
	case 8:
		b.m.Join()
		for _, c := range all {
			c.line.Cut(stores.Arrives)
		}
	case 9:
		troubles := b.m.Troubles()
		troubles[b.env.Pick("which trouble", len(troubles))].Do()
	default:
		all[server].line.Cut(stores.Fate(b.env.Pick("fate", 3)), b.env.Pick("which server", 3))
	}
}

// TestLeasesHoldInChaos breaks everything all the time: what a member was granted must be true in the store, and when all is
// healed, somebody holds the lease soon.
func TestLeasesHoldInChaos(t *testing.T) {
	won := 0
	for seed := range uint64(60) {
		b := newBench(t, 3, kernel.Seeded(seed))
		var all []*contender
		for i := range 3 {
			c := &contender{client: b.open(fmt.Sprint("n", i)), member: fmt.Sprint("n", i)}
			c.line.Most, c.line.Lost, c.line.Broken = 20*time.Millisecond, 5, 5
			c.step()
			all = append(all, c)
		}
		f := b.open("observer").watch()
		for end := b.k.Now().Add(2 * time.Minute); b.k.Now() < end; {
			b.wreck(all)
			for pause := b.k.Now().Add(kernel.Between(b.env, "pause", 0, 3*time.Second)); b.k.Next(pause); {
				b.judge(seed, all)
			}
		}
		b.m.Join()
		for i := range 3 {
			b.m.Start(i)
			b.m.Thaw(i)
			all[i].line.Cut(stores.Arrives)
		}
		if !b.k.RunUntil(90*time.Second, func() bool {
			return all[0].until > b.k.Now() || all[1].until > b.k.Now() || all[2].until > b.k.Now()
		}) {
			t.Errorf("seed %d: nobody holds the lease after the heal", seed)
		}
		for _, c := range all {
			won += c.won
			c.s.Close()
		}
		if !b.k.RunUntil(time.Minute, func() bool { return f.revision == b.m.Contents().Revision }) {
			t.Errorf("seed %d: the watch is at %d of %d", seed, f.revision, b.m.Contents().Revision)
		}
	}
	t.Logf("%d leases won", won)
}

func (b *bench) judge(seed uint64, all []*contender) {
	truth, now := b.m.Truth(), b.k.Now()
	for _, c := range all {
		if c.until > now && (truth.Holder != c.member || truth.Epoch != c.lease.Epoch || truth.Ends < c.until) {
			b.Fatalf("seed %d: %s relies on epoch %d for %v, but the truth is %+v, which ends in %v", seed, c.member, c.lease.Epoch,
				c.until.Sub(now), truth, truth.Ends.Sub(now))
		}
	}
}

var _ stores.Model = (*etcd.Model)(nil)
