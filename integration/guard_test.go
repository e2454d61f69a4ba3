package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/live"
)

// TestGuard hurts the leader's agent and its guard, again and again. Whatever happens, no two members acknowledge writes at once.
func TestGuard(t *testing.T) {
	runs := 2
	if text := os.Getenv("REGENT_GUARD_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		runs = n
	}
	store := os.Getenv("REGENT_GUARD_STORE")
	if store == "" {
		store = live.Etcd
	}
	w := start(t, live.Options{Store: store, Guard: "required"})
	all := []scenario{{"bootstrap", bootstrap}}
	for i := range runs {
		for _, s := range []scenario{
			{"agent frozen", agentFrozen},
			{"agent killed", agentKilled},
			{"agent killed and restarted", agentRestarted},
			{"guard killed", guardKilled},
		} {
			all = append(all, scenario{fmt.Sprintf("%s %d", s.name, i+1), s.run})
		}
	}
	w.play(t, append(all, scenario{"host killed, data emptied", hostEmptied})...)
}

// hostEmptied: everything of the leader dies under an armed guard, and its data is gone. The next guard finds the deadline passed and
// fires; it must be told before it kills what clones and starts there.
func hostEmptied(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.KillAll(ctx))
	must(t, leader.EmptyData())
	w.successor(ctx, t, leader, since)
	back := time.Now()
	must(t, leader.StartAgent())
	w.settle(ctx, t)
	t.Logf("%s: %s streams %v after it is back", w.store, leader.Name, time.Since(back).Round(time.Millisecond))
	if n := finished(t, leader, events.ActClone, back); n != 1 {
		t.Errorf("%s was cloned %d times, want once", leader.Name, n)
	}
	w.missing(ctx, t, since, true)
}

// agentKilled: the agent dies and nobody starts it again. The guard kills PostgreSQL before another member leads.
func agentKilled(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.KillAgent(ctx))
	w.successor(ctx, t, leader, since.Add(ttl/2))
	if pid := leader.PostmasterPID(); pid != 0 {
		t.Errorf("another member leads, and PostgreSQL of %s still runs as process %d", leader.Name, pid)
	}
	linger(ctx, time.Second)
	must(t, leader.StartAgent())
	w.settle(ctx, t)
	w.missing(ctx, t, since, true)
}

// agentRestarted: an agent that is back before the deadline finds PostgreSQL and goes on; nobody notices.
func agentRestarted(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	postmaster := leader.PostmasterPID()
	since := time.Now()
	must(t, leader.KillAgent(ctx))
	must(t, leader.StartAgent())
	restarted := time.Now()
	_, err := w.WaitLeader(ctx, nil)
	must(t, err)
	t.Logf("%s: leads again %v after the restart of the agent", w.store, time.Since(restarted).Round(time.Millisecond))
	linger(ctx, 2*ttl)
	w.settle(ctx, t)
	if now := w.leader(ctx, t); now != leader {
		t.Errorf("%s leads, want %s still", now.Name, leader.Name)
	}
	if pid := leader.PostmasterPID(); pid != postmaster {
		t.Errorf("the postmaster of %s was process %d and is %d: it was to be left alone", leader.Name, postmaster, pid)
	}
	w.missing(ctx, t, since, false)
}

// guardKilled: the agent starts another guard, and nobody notices.
func guardKilled(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	postmaster, guard := leader.PostmasterPID(), leader.GuardPID()
	since := time.Now()
	must(t, leader.KillGuard(ctx))
	for {
		st, err := w.Status(ctx, leader)
		must(t, err)
		if pid := leader.GuardPID(); pid != 0 && pid != guard && st.Guard.Alive && st.Guard.Armed {
			break
		}
		if time.Since(since) > patience/2 {
			t.Fatalf("no new guard: %+v", st.Guard)
		}
		linger(ctx, 10*time.Millisecond)
	}
	t.Logf("%s: a new guard stands armed %v after the death of the old one", w.store, time.Since(since).Round(time.Millisecond))
	linger(ctx, 2*ttl)
	if now := w.leader(ctx, t); now != leader {
		t.Errorf("%s leads, want %s still", now.Name, leader.Name)
	}
	if pid := leader.PostmasterPID(); pid != postmaster {
		t.Errorf("the postmaster of %s was process %d and is %d: it was to be left alone", leader.Name, postmaster, pid)
	}
	w.missing(ctx, t, since, false)
}
