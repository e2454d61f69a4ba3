package sim

import (
	"sync"
	"time"

	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/coverage"
)

// tally is what came of all runs.
type tally struct {
	mu       sync.Mutex
	verdicts []simulations.Verdict
	counts   map[string]*coverage.Counts // by store
	failures []failure
	took     time.Duration
	out      sync.Mutex // Options.Out, while runs go on
}

// failure is a run that broke something, made small.
type failure struct {
	verdict simulations.Verdict
	block   string
	command string // that runs it again
}

func newTally() *tally { return &tally{counts: map[string]*coverage.Counts{}} }

// add takes a run in, and what it broke, if it did.
func (t *tally) add(v simulations.Verdict, c *coverage.Counts, broke *failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts = append(t.verdicts, v)
	if t.counts[v.Store] == nil {
		t.counts[v.Store] = &coverage.Counts{}
	}
	t.counts[v.Store].Add(c)
	if broke != nil {
		t.failures = append(t.failures, *broke)
	}
}

// enough tells that nothing new is to be begun.
func (t *tally) enough(most int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return most > 0 && len(t.failures) >= most
}

// sum is what runs come to together.
type sum struct {
	runs, failed, excused, steps, failovers int
	events                                  uint64
	virtual                                 time.Duration
}

// sum adds up the runs on a store, or on all of them if it is empty.
func (t *tally) sum(store string) sum {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s sum
	for i := range t.verdicts {
		v := &t.verdicts[i]
		if store != "" && v.Store != store {
			continue
		}
		s.runs++
		s.steps, s.failovers, s.events, s.virtual = s.steps+v.Steps, s.failovers+v.Failovers, s.events+v.Events, s.virtual+v.Virtual
		if v.Ended != simulations.Sound {
			s.failed++
		}
		if len(v.Excused) > 0 {
			s.excused++
		}
	}
	return s
}

// all are the counts of all stores.
func (t *tally) all() *coverage.Counts {
	all := &coverage.Counts{}
	for _, c := range t.counts {
		all.Add(c)
	}
	return all
}
