package simulations

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// TestMutantsAreCaught runs every deliberately wrong agent until a judge finds it out, in CI on every store, else on etcd. How many seeds that took
// is printed, as a table in which gotest sees a report: it is what the simulator is worth.
func TestMutantsAreCaught(t *testing.T) {
	kinds := StoreKinds()
	if !full() {
		kinds = []string{"etcd"}
	}
	cells := map[string]string{}
	for i := range Mutants {
		mutant := &Mutants[i]
		for _, store := range kinds {
			cell := "-" // tolerated
			if _, ok := mutant.Tolerated[store]; !ok {
				t.Run(store+"/"+mutant.Name, func(t *testing.T) { cell = catch(t, store, mutant) })
			}
			cells[store+mutant.Name] = cell
		}
	}
	tell(kinds, cells)
}

// catch tells which judge has found a mutant out, and after how many seeds.
func catch(t *testing.T, store string, mutant *Mutant) string {
	const seeds = 1000
	for seed := range uint64(seeds) {
		_, v := RunDay(ChaosSettings{Seed: seed, Store: store, For: 4 * time.Minute, Mutant: mutant})
		if len(v.Broken) == 0 {
			continue
		}
		if !slices.Contains(mutant.Breaks, v.Invariant) {
			t.Logf("seed %d: found out by %s, expected of %v: %s", seed, v.Invariant, mutant.Breaks, v.Broken[0])
		}
		return fmt.Sprintf("%d %s", seed+1, v.Invariant)
	}
	t.Errorf("nobody has noticed in %d seeds", seeds)
	return "never"
}

// tell prints the table: the seeds until a mutant was found out, and the judge.
func tell(kinds []string, cells map[string]string) {
	var b strings.Builder
	line := func(name string, cell func(store string) string) {
		fmt.Fprintf(&b, "report: %-72s", name)
		for _, store := range kinds {
			fmt.Fprintf(&b, " %-10s", cell(store))
		}
		b.WriteString("\n")
	}
	line("mutants: seeds until found out, and by which judge", func(store string) string { return store })
	for i := range Mutants {
		line(Mutants[i].Name, func(store string) string { return cells[store+Mutants[i].Name] })
	}
	_, _ = os.Stdout.WriteString(b.String()) // what the test proves it has proven without it
}

// TestEveryJudgeHasAMutant: a judge that no mutant is expected to be found out by may be blind.
func TestEveryJudgeHasAMutant(t *testing.T) {
	// What S8 forbids, settings that cannot be kept, is decided inside the engine, and no clock of a world that goes on stands still (T1). Two
	// runs that differ (S10) are no matter of one run: see TestChanceFromOutsideIsSeen.
	for _, judge := range []string{"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S9", "S11", "L1", "L2", "L3", "L4", "L5", "L7"} {
		if !slices.ContainsFunc(Mutants, func(m Mutant) bool { return slices.Contains(m.Breaks, judge) }) {
			t.Errorf("no mutant breaks %s", judge)
		}
	}
}

// TestChanceFromOutsideIsSeen: two runs of one seed differ when an agent decides by what is not on the tape (S10).
func TestChanceFromOutsideIsSeen(t *testing.T) {
	var steps atomic.Uint64 // goes on from run to run
	mutant := &Mutant{Name: "it decides by something that no tape holds", decide: func(m *Member, d *events.Decision) {
		if steps.Add(1)%500 == 499 {
			d.WakeAt = m.w.Now().Add(10 * time.Millisecond)
			d.Effects = nil
		}
	}}
	set := ChaosSettings{Seed: 1, Store: "etcd", For: time.Minute, Mutant: mutant}
	_, a := RunDay(set)
	_, b := RunDay(set)
	if a.Hash == b.Hash {
		t.Errorf("two different runs have the hash %x", a.Hash)
	}
}
