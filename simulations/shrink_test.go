package simulations

import (
	"testing"
	"time"
)

// Who interrupts the shrinking of a failure gets what there is by then.
func TestShrinkingCanBeStopped(t *testing.T) {
	for seed := range uint64(50) {
		set := ChaosSettings{Seed: seed, Store: "etcd", For: 4 * time.Minute, Mutant: &Mutants[0]}
		if _, v := RunDay(set); v.Ended == Sound {
			continue
		}
		asked := 0
		s, ok := Shrink(set, 1<<30, func() bool {
			asked++
			return asked > 3
		})
		if !ok || s.Runs != 3 || s.Verdict.Ended != Broken {
			t.Errorf("ok %v, asked %d times, %+v", ok, asked, s.Verdict)
		}
		return
	}
	t.Fatal("no seed in which the wrong agent is found out")
}
