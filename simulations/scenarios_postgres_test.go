package simulations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// The children of a dead postmaster may still acknowledge commits: in a pause, too, the lease stays until they are gone.
func TestPauseKeepsTheLeaseUntilTheChildrenAreGone(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Put(events.KeyConfig, strings.Replace(config, "{", `{"pause":true,`, 1))
		within(t, w, 10*time.Second, "a pause", func() bool { return old.engine.State() == engine.Paused })
		old.CrashPostgres()
		within(t, w, 10*time.Second, "the end of the lease", func() bool { return w.LeaderKey() == "" })
		return w
	})
}

// A switchover whose successors do not answer any more is not tried again and again, each time at the cost of a stop.
func TestFailedSwitchoverIsNotRepeated(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q}`, old.name))
		rest := others(w)
		within(t, w, 10*time.Second, "the stop for the switchover", func() bool { return old.engine.State() == engine.Demoting })
		for _, m := range rest {
			m.Freeze()
		}
		within(t, w, 10*time.Second, "the old leader again", func() bool { return w.Leader() == old })
		for _, m := range rest {
			m.Thaw()
		}
		within(t, w, 10*time.Second, "a cleared request", func() bool { return says(w, events.KeyFailover) == "{}" })
		w.Run(20 * time.Second)
		if w.Leader() != old || w.Fired("YI-45") != 1 {
			t.Errorf("given up %d times\n%s", w.Fired("YI-45"), picture(w))
		}
		return w
	})
}
