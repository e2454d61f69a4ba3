package integration

import (
	"context"
	"testing"
	"time"
)

// postmasterKilled: with time to start, the primary is started again where it was.
func postmasterKilled(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	before := leader.PostmasterPID()
	since := time.Now()
	must(t, leader.KillPostgres())
	must(t, w.writer.Resumed(ctx, since.Add(50*time.Millisecond)))
	w.settle(ctx, t)
	if now := w.leader(ctx, t); now != leader {
		t.Errorf("%s leads, want %s, which had time to start again", now.Name, leader.Name)
	}
	if leader.PostmasterPID() == before {
		t.Error("the postmaster was not killed")
	}
	w.missing(ctx, t, since, false)
}

// postmasterKilledNoTime: with no time to start, another member takes over at once.
func postmasterKilledNoTime(ctx context.Context, t *testing.T, w *world) {
	must(t, w.PatchConfig(ctx, map[string]any{"primary_start_timeout": 0}))
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.KillPostgres())
	w.successor(ctx, t, leader, since.Add(50*time.Millisecond))
	w.settle(ctx, t)
	w.missing(ctx, t, since, true)
	must(t, w.PatchConfig(ctx, map[string]any{"primary_start_timeout": nil}))
}

// memberKilled: agent, guard and PostgreSQL of the leader die at once; it comes back later as a replica.
func memberKilled(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.KillAll(ctx))
	w.successor(ctx, t, leader, since)
	gap := w.writer.Gap(since)
	if gap > ttl+20*time.Second {
		t.Errorf("no write for %v", gap)
	}
	must(t, w.WaitStreaming(ctx, w.replicas(leader)...))
	t.Logf("%s: the other replica streams %v after the death", w.store, time.Since(since).Round(time.Millisecond))
	back := time.Now()
	must(t, leader.StartAgent())
	w.settle(ctx, t)
	t.Logf("%s: %s streams %v after it is back", w.store, leader.Name, time.Since(back).Round(time.Millisecond))
	w.missing(ctx, t, since, true)
}
