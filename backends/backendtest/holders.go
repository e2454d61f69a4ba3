package backendtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// tenure is a time in which a member may rely on its lease: from the return of the call that won it
// until SentAt + TTL of the last successful call.
type tenure struct {
	member string
	epoch  uint64
	from   events.Instant
	until  events.Instant
}

// contender is a member that wants the lease and keeps it while it can.
type contender struct {
	e       *env
	member  string
	s       backends.Store
	tenures []tenure
	held    *tenure // the last of tenures while it is relied on
	unknown int     // calls with unknown outcome
	lost    int     // leases lost by conflict
}

func (c *contender) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.held != nil {
			c.renew(ctx)
		} else {
			c.contend(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.e.h.TTL / 8):
		}
	}
}

func (c *contender) contend(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, c.e.h.TTL/2)
	defer cancel()
	var expect uint64
	snap, err := c.s.Snapshot(call)
	if err != nil {
		return
	}
	if kv, there := keysOf(snap)["leader"]; there {
		if kv.Value != c.member {
			return
		}
		expect = kv.Revision // from an acquisition whose outcome was unknown
	}
	l, err := c.s.Acquire(call, expect, c.e.h.TTL)
	if err != nil {
		c.note(err)
		return
	}
	c.tenures = append(c.tenures, tenure{c.member, l.Epoch, c.e.h.Now(), l.SentAt.Add(l.TTL)})
	c.held = &c.tenures[len(c.tenures)-1]
}

func (c *contender) renew(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, c.e.h.TTL/2)
	defer cancel()
	l, err := c.s.Renew(call, c.held.epoch, c.e.h.TTL)
	switch {
	case err == nil:
		c.held.until = l.SentAt.Add(l.TTL)
		return
	case backends.Classify(err) == events.Lost:
		c.lost++
		c.held = nil
	case c.e.h.Now() >= c.held.until:
		c.held = nil
	}
	c.note(err)
}

func (c *contender) note(err error) {
	if backends.Classify(err) == events.Unknown {
		c.unknown++
	}
}

// neverTwoHolders lets members contend and renew while fault comes and is healed, and proves from
// what they were told that no two of them could rely on the lease at one time (C3, C4).
func neverTwoHolders(e *env, fault Fault) {
	var all []*contender
	for i := range 3 {
		member := fmt.Sprintf("n%d", i+1)
		all = append(all, &contender{e: e, member: member, s: e.open(member)})
	}
	w := e.watch(e.open("observer"))
	gap := &gapMeter{e: e, s: e.open("writer")}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() { c.run(ctx) })
	}
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	wg.Go(func() { gap.run(writing) })
	defer wg.Wait()
	defer cancel()

	e.poll(patience, "a first leader", func() bool { return !w.gone("leader") })
	heal := e.inject(fault)
	broken := e.h.Now()
	e.poll(e.h.Recovery+e.h.TTL, "a write beside the fault", func() bool { return gap.last() > broken.Add(50*time.Millisecond) })
	pause := broken.Add(2*e.h.TTL + e.h.Lateness)
	e.poll(time.Minute, "two ttls with the fault", func() bool { return e.h.Now() >= pause })
	heal()
	healed := e.h.Now()
	pause = healed.Add(e.h.TTL + e.h.Lateness)
	e.poll(time.Minute, "a ttl after healing", func() bool { return e.h.Now() >= pause })
	stopWriting()
	w.converges(all[0].s, e.h.Recovery)
	e.poll(e.h.Recovery, "a leader after healing", func() bool { return !w.gone("leader") })
	cancel()
	wg.Wait()
	e.checkTenures(all, healed)
	e.Logf("longest time without an acknowledged write: %v", gap.longest)
}

func (e *env) checkTenures(all []*contender, healed events.Instant) {
	var tenures []tenure
	for _, c := range all {
		tenures = append(tenures, c.tenures...)
		e.Logf("%s: %d leases, %d lost by conflict, %d calls of unknown outcome", c.member, len(c.tenures), c.lost, c.unknown)
	}
	slices.SortFunc(tenures, func(a, b tenure) int { return int(a.from - b.from) })
	heldAfter := false
	for i, a := range tenures {
		heldAfter = heldAfter || a.until > healed
		for _, b := range tenures[i+1:] {
			if a.member != b.member && b.from < a.until {
				e.Errorf("%s relied on epoch %d until %v after %s had won epoch %d",
					a.member, a.epoch, a.until.Sub(b.from), b.member, b.epoch)
			}
			if b.epoch <= a.epoch {
				e.Errorf("epoch %d of %s came after epoch %d of %s", b.epoch, b.member, a.epoch, a.member)
			}
		}
	}
	if !heldAfter {
		e.Error("nobody held the lease after healing")
	}
}

// gapMeter writes all the time and measures the longest time without an acknowledgement.
type gapMeter struct {
	e *env
	s backends.Store

	mu      sync.Mutex
	acked   events.Instant
	longest time.Duration
}

func (g *gapMeter) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		call, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		_, err := g.s.Put(call, "status", fmt.Sprint(i), events.Any)
		cancel()
		if err == nil {
			g.mu.Lock()
			now := g.e.h.Now()
			if g.acked != 0 {
				g.longest = max(g.longest, now.Sub(g.acked))
			}
			g.acked = now
			g.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (g *gapMeter) last() events.Instant {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acked
}
