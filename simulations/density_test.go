package simulations

import (
	"testing"
	"time"
)

// An hour of a soak has some faults, and not the hundreds of a bad one; the cluster gets over them.
func TestSoakHasFewFaults(t *testing.T) {
	for _, store := range StoreKinds() {
		c, v := RunDay(ChaosSettings{Seed: 3, Store: store, For: time.Hour, Every: SoakEvery, Members: 3})
		if len(v.Broken) > 0 || len(c.members) != 3 {
			t.Errorf("%s: %d members, %v\n%s", store, len(c.members), v.Broken, c.Story(40))
		}
		said := 0 // a fault, or the end of one
		for i := range c.trace.ring {
			if c.trace.ring[i].member == "" {
				said++
			}
		}
		if said < 5 || said > 80 {
			t.Errorf("%s: %d things happened in an hour\n%s", store, said, c.Story(200))
		}
	}
}
