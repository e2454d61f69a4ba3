package simulations

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/scenario"
)

// counted are the counts of runs that other tests made: what they have run need not run again for the coverage.
var counted = struct {
	sync.Mutex
	by map[string]*coverage.Counts
}{by: map[string]*coverage.Counts{}}

func count(key string, c *coverage.Counts) {
	counted.Lock()
	defer counted.Unlock()
	counted.by[key] = c
}

// countsOf are the counts of a run, which is made if no test has made it.
func countsOf(key string, run func() *coverage.Counts) *coverage.Counts {
	counted.Lock()
	c := counted.by[key]
	counted.Unlock()
	if c == nil {
		c = run()
		count(key, c)
	}
	return c
}

func scenarioKey(path, store string) string { return path + " on " + store }

func dayKey(store string, seed uint64, d time.Duration) string {
	return fmt.Sprintf("seed %d on %s for %v", seed, store, d)
}

// The bad days whose coverage is demanded: those that the inner loop runs as well.
const (
	coverageSeeds = 8
	coverageDay   = 4 * time.Minute
)

// TestEveryRuleFires demands of every row of the rule table that it acts or holds in a scenario or in one of a fixed set of bad days, or else
// that it is on the list of silent rows, with the reason; and of the rows on that list that they are silent, but for those that luck may reach in
// a bad day.
func TestEveryRuleFires(t *testing.T) {
	scenarios, days := scenarioCounts(t), &coverage.Counts{}
	for _, store := range StoreKinds() {
		for seed := range uint64(coverageSeeds) {
			days.Add(countsOf(dayKey(store, seed, coverageDay), func() *coverage.Counts {
				c, _ := RunDay(ChaosSettings{Seed: seed, Store: store, For: coverageDay})
				return &c.Counts
			}))
		}
	}
	var silent, lucky []string
	known := map[events.RuleID]bool{}
	for _, id := range engine.RuleIDs() {
		known[id] = true
		inScenarios, inDays, listed := scenarios.Rule(id), days.Rule(id), coverage.WhySilent(id)
		switch {
		case inScenarios+inDays == 0 && listed == nil:
			silent = append(silent, string(id))
		case listed != nil && (inScenarios > 0 || inDays > 0 && !listed.Luck):
			t.Errorf("%s fires (%d times in scenarios, %d in bad days), and is on the list of silent rows (simulations/coverage/silent.go): %q",
				id, inScenarios, inDays, listed.Why)
		case inScenarios == 0 && inDays > 0:
			lucky = append(lucky, fmt.Sprintf("%s %d", id, inDays))
		}
	}
	if len(silent) > 0 {
		t.Errorf("rows that fire in no scenario and in none of the bad days: write scenarios in which they do, or put them on the list of silent rows "+
			"(simulations/coverage/silent.go) with the reason: %s", strings.Join(silent, " "))
	}
	for _, row := range coverage.Silent {
		if !known[row.Rule] || row.Why == "" {
			t.Errorf("the list of silent rows: %q, %q: want a row of the rule table and a reason", row.Rule, row.Why)
		}
	}
	t.Logf("in bad days only, and how often: %s", strings.Join(lucky, ", "))
}

// scenarioCounts are those of all scenarios on all stores.
func scenarioCounts(t *testing.T) *coverage.Counts {
	all := &coverage.Counts{}
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := scenario.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range StoreKinds() {
			if !f.PlaysOn(store) {
				continue
			}
			all.Add(countsOf(scenarioKey(path, store), func() *coverage.Counts {
				s := NewStage(store, kernel.Harmless())
				if _, err := scenario.Play(f, s); err != nil {
					t.Errorf("on %s: %v", store, err)
				}
				return s.Counts()
			}))
		}
	}
	return all
}

// TestFaultsAreCounted demands of every kind of fault of a bad day that what it does is counted.
func TestFaultsAreCounted(t *testing.T) {
	total := func(c *coverage.Counts) (n uint64) {
		for _, f := range coverage.Faults() {
			n += c.StrikesAll(f)
		}
		return n
	}
	const seeds = 40
	var left int
	struck := map[int]bool{}
	for seed := range uint64(seeds) {
		c := NewChaos(ChaosSettings{Seed: seed, Store: "etcd", For: time.Minute})
		for _, m := range c.members {
			m.Start()
		}
		c.RunUntil(2*time.Minute, c.Healthy)
		c.leftover, left = 0, len(c.kinds())
		for i, kind := range c.kinds() {
			if struck[i] {
				left--
				continue
			}
			told, before := len(c.trace.ring), total(&c.Counts)
			kind(c.members[0])
			did, counts := len(c.trace.ring) > told, total(&c.Counts) > before
			if did && !counts {
				t.Fatalf("fault %d of kinds has done something that is not counted: %s; call struck with a fault of package coverage",
					i+1, strings.Join(c.Trace(1), ""))
			}
			struck[i] = counts
			c.World.Run(5 * time.Second)
		}
		if left == 0 {
			return
		}
	}
	t.Errorf("%d kinds of fault did nothing with any of %d seeds, of those that did: %v", left, seeds, struck)
}
