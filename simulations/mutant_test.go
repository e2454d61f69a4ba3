package simulations

import (
	"slices"
	"testing"
	"time"
)

// TestMutantsAreCaught runs every deliberately wrong agent until a judge finds it out, in CI on every store, else on etcd. How many seeds that took
// is printed: it is what the simulator is worth.
func TestMutantsAreCaught(t *testing.T) {
	const seeds = 250
	for _, store := range StoreKinds() {
		if store != "etcd" && !full() {
			continue
		}
		for i := range Mutants {
			mutant := &Mutants[i]
			if why, ok := mutant.Tolerated[store]; ok {
				t.Logf("mutant: %s, %q: tolerated: %s", store, mutant.Name, why)
				continue
			}
			t.Run(store+"/"+mutant.Name, func(t *testing.T) {
				for seed := range uint64(seeds) {
					_, v := RunDay(ChaosSettings{Seed: seed, Store: store, For: 4 * time.Minute, Mutant: mutant})
					if len(v.Broken) == 0 {
						continue
					}
					if !slices.Contains(mutant.Breaks, v.Invariant) {
						t.Logf("seed %d: found out by %s, expected of %v: %s", seed, v.Invariant, mutant.Breaks, v.Broken[0])
					}
					t.Logf("mutant: %s, %q: %s after %d seeds", store, mutant.Name, v.Invariant, seed+1)
					return
				}
				t.Errorf("nobody has noticed in %d seeds", seeds)
			})
		}
	}
}
