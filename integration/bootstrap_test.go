package integration

import (
	"context"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// bootstrap: three empty members were started at once. Exactly one runs initdb, and all have its data.
func bootstrap(ctx context.Context, t *testing.T, w *world) {
	began := time.Now()
	w.leader(ctx, t)
	t.Logf("%s: a leader after %v", w.store, time.Since(began).Round(time.Millisecond))
	w.settle(ctx, t)
	t.Logf("%s: all stream after %v", w.store, time.Since(began).Round(time.Millisecond))
	ids, initdbs, clones := map[string]bool{}, 0, 0
	for _, m := range w.Members() {
		id, err := m.Query(ctx, "SELECT system_identifier::text FROM pg_control_system()")
		must(t, err)
		ids[id] = true
		initdbs += finished(t, m, events.ActBootstrap, time.Time{})
		clones += finished(t, m, events.ActClone, time.Time{})
	}
	if len(ids) != 1 || initdbs != 1 || clones != len(w.Members())-1 {
		t.Errorf("%d system identifiers, %d times initdb, %d clones: want 1, 1 and %d", len(ids), initdbs, clones, len(w.Members())-1)
	}
	w.clients(ctx, t)
}
