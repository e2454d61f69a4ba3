package integration

import (
	"context"
	"testing"
	"time"
)

func switchoverTo(ctx context.Context, t *testing.T, w *world) {
	old := w.leader(ctx, t)
	switchover(ctx, t, w, w.replicas(old)[1].Name)
}

func switchoverToAny(ctx context.Context, t *testing.T, w *world) { switchover(ctx, t, w, "") }

// switchover moves the leadership without losing a write.
func switchover(ctx context.Context, t *testing.T, w *world, to string) {
	w.fresh(ctx, t)
	old := w.leader(ctx, t)
	since := time.Now()
	answer, err := w.Switchover(ctx, to)
	must(t, err)
	t.Logf("%s: %s after %v", w.store, answer, time.Since(since).Round(time.Millisecond))
	now := w.successor(ctx, t, old, since)
	if to != "" && now.Name != to {
		t.Errorf("%s leads, want %s", now.Name, to)
	}
	w.settle(ctx, t)
	w.missing(ctx, t, since, false)
}
