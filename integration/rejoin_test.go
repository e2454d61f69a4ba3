package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/live"
)

// divergedRejoins: the primary writes what no replica receives, and dies. It must come back by pg_rewind.
func divergedRejoins(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	since := time.Now()
	must(t, leader.CutReplication())
	cut := time.Now()
	for range 20 {
		must(t, w.writer.Resumed(ctx, time.Now())) // one more write that nobody else has
	}
	must(t, leader.KillAll(ctx))
	killed := time.Now()
	w.successor(ctx, t, leader, killed)
	back := time.Now()
	must(t, leader.StartAgent())
	w.settle(ctx, t)
	t.Logf("%s: all stream %v after %s is back", w.store, time.Since(back).Round(time.Millisecond), leader.Name)
	if n := finished(t, leader, events.ActRewind, cut); n == 0 {
		t.Errorf("%s came back without a rewind", leader.Name)
	} else {
		t.Logf("%s: %s was rewound", w.store, leader.Name)
	}
	if n := finished(t, leader, events.ActClone, cut); n > 0 {
		t.Errorf("%s was cloned again", leader.Name)
	}
	w.missing(ctx, t, since, true) // those of the cut
}

// dataEmptied: a replica that lost its data clones it again.
func dataEmptied(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	leader := w.leader(ctx, t)
	victim := w.replicas(leader)[0]
	since := time.Now()
	must(t, victim.KillAll(ctx))
	must(t, victim.EmptyData())
	must(t, victim.StartAgent())
	w.settle(ctx, t)
	if n := finished(t, victim, events.ActClone, since); n != 1 {
		t.Errorf("%s was cloned %d times, want once", victim.Name, n)
	}
	if now := w.leader(ctx, t); now != leader {
		t.Errorf("%s leads, want %s still", now.Name, leader.Name)
	}
	w.missing(ctx, t, since, false)
}

// fullRestart: all agents are asked to stop at once, and started again at once.
func fullRestart(ctx context.Context, t *testing.T, w *world) {
	w.fresh(ctx, t)
	since := time.Now()
	must(t, each(w.Members(), func(m *live.Member) error { return m.TermAgent(ctx) }))
	for _, m := range w.Members() {
		if pid := m.PostmasterPID(); pid != 0 {
			t.Errorf("the agent of %s has ended, and its PostgreSQL runs as process %d", m.Name, pid)
		}
	}
	t.Logf("%s: all have stopped after %v", w.store, time.Since(since).Round(time.Millisecond))
	began := time.Now()
	must(t, each(w.Members(), (*live.Member).StartAgent))
	must(t, w.writer.Resumed(ctx, began))
	t.Logf("%s: writable %v after the start", w.store, time.Since(began).Round(time.Millisecond))
	w.settle(ctx, t)
	w.missing(ctx, t, since, false)
}

// each does something to all members at once.
func each(members []*live.Member, do func(*live.Member) error) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = do(m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
