package integration

import (
	"context"
	"testing"
	"time"
)

const (
	outage = 30 * time.Second
	frozen = 12 * time.Second // long enough for every lease to end, and every session
)

// storeServerKilled: one of three servers dies, and nothing happens to the cluster; it comes back.
func storeServerKilled(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	for i := range w.StoreServers() {
		must(t, w.StopStore(ctx, i))
		linger(ctx, ttl+time.Second)
		must(t, w.StartStore(ctx, i))
		w.settle(ctx, t)
	}
	if now := w.leader(ctx, t); now != leader {
		t.Logf("%s: %s leads now, before it was %s", w.store, now.Name, leader.Name)
	}
	w.missing(ctx, t, since, false)
}

// storeDown: all servers are gone. The primary stops accepting writes before its lease ends, and somebody leads
// again when they are back.
func storeDown(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	since := time.Now()
	must(t, w.StopStore(ctx))
	w.demotes(ctx, t, since, outage)
	began := time.Now()
	must(t, w.StartStore(ctx))
	w.returns(ctx, t, since, began)
}

// storeFrozen: all servers stop answering, and connections to them stay.
func storeFrozen(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	since := time.Now()
	must(t, w.FreezeStore())
	w.demotes(ctx, t, since, frozen)
	began := time.Now()
	must(t, w.ThawStore())
	w.returns(ctx, t, since, began)
}

// demotes waits through the outage and checks when the last write was acknowledged.
func (w *world) demotes(ctx context.Context, t *testing.T, since time.Time, lasts time.Duration) {
	t.Helper()
	linger(ctx, lasts)
	acks := w.writer.Acks()
	last := acks[len(acks)-1].Acked.Sub(since)
	t.Logf("%s: the last write was acknowledged %v after the store was gone", w.store, last.Round(time.Millisecond))
	if last > ttl {
		t.Errorf("writes were acknowledged until %v after the store was gone, longer than the lease of %v", last, ttl)
	}
}

func (w *world) returns(ctx context.Context, t *testing.T, since, began time.Time) {
	t.Helper()
	must(t, w.writer.Resumed(ctx, began))
	t.Logf("%s: writable %v after the store was back", w.store, time.Since(began).Round(time.Millisecond))
	w.settle(ctx, t)
	w.missing(ctx, t, since, false)
}
