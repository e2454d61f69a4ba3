package simulations

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// The settings make the lease shorter, and the agent dies as soon as it has asked the store for that. Whatever the guard held before, it
// kills PostgreSQL before another member can have the lease.
func TestAgentDiesAsItShortensItsLease(t *testing.T) {
	for _, store := range StoreKinds() {
		t.Run(store, func(t *testing.T) {
			w := New(Settings{Seed: 4, Store: store, Members: 3, Config: `{"ttl":30,"loop_wait":10,"retry_timeout":10}`})
			for _, m := range w.members {
				m.Start()
			}
			if !w.RunUntil(time.Minute, w.Healthy) {
				t.Fatal("no cluster")
			}
			w.Run(time.Minute)
			old := w.Leader()
			old.doom = func(d *events.Decision) (int, bool) {
				for i := range d.Effects {
					if r, ok := d.Effects[i].Action.(events.RenewLease); ok && r.TTL < 15*time.Second {
						return i + 1, true
					}
				}
				return 0, false
			}
			w.Put(events.KeyConfig, `{"ttl":10,"loop_wait":1,"retry_timeout":3}`)
			if !w.RunUntil(time.Minute, func() bool { return !old.alive }) {
				t.Fatal("the lease is not made shorter")
			}
			if !w.RunUntil(2*time.Minute, func() bool { l := w.Leader(); return l != nil && l != old }) {
				t.Error("nobody takes over")
			}
			w.Run(time.Minute)
			if len(w.Broken) > 0 {
				t.Error(w.Broken[0])
			}
		})
	}
}
