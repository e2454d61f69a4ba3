package integration

import (
	"context"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// agentFrozen: the leader's agent stops for longer than its lease. Its guard kills PostgreSQL before
// another member leads, and thawed, it comes back as a replica.
func agentFrozen(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.FreezeAgent(ctx))
	w.successor(ctx, t, leader, since.Add(ttl/2))
	linger(ctx, ttl) // a thawed agent that believes in its old lease would do harm only later
	if pid := leader.PostmasterPID(); pid != 0 {
		t.Errorf("another member leads, and PostgreSQL of %s still runs as process %d", leader.Name, pid)
	}
	must(t, leader.ThawAgent(ctx))
	thawed := time.Now()
	w.settle(ctx, t)
	t.Logf("%s: %s back %v after the thaw, %d rewinds, %d clones; probes see overlaps from %v on", w.store, leader.Name,
		time.Since(thawed).Round(time.Millisecond), finished(t, leader, events.ActRewind, since), finished(t, leader, events.ActClone, since),
		w.probes.Resolution().Round(time.Millisecond))
	w.missing(ctx, t, since, true)
}

// postgresFrozen: all processes of the leader's PostgreSQL stop. It is killed, then another member leads, and it comes back as a
// replica; what is thawed meanwhile is nothing.
func postgresFrozen(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	frozen := leader.PostmasterPID()
	since := time.Now()
	must(t, leader.FreezePostgres())
	w.successor(ctx, t, leader, since.Add(ttl))
	if pid := leader.PostmasterPID(); pid == frozen {
		t.Errorf("another member leads, and PostgreSQL of %s is still there as process %d", leader.Name, pid)
	}
	w.settle(ctx, t)
	w.missing(ctx, t, since, true)
}

// linger lets a state last.
func linger(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
