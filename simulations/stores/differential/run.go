package differential

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/events"
)

// SeedVariable names the environment variable with the seed of a run; without it the time is the seed.
const SeedVariable = "REGENT_DIFFERENTIAL_SEED"

// Real is a real store beside its model.
type Real struct {
	// Name is the column of the matrix, as in backendtest.Harness.
	Name    string
	Subject Subject
	Model   Build
	Options Options
	// Unfound is for how many histories no run of the model need be found: the search is by chance, and may miss a narrow one. They are logged.
	Unfound int
	// CannotFail are kinds of calls that ask this store nothing.
	CannotFail []string
	// Rounds bounds how often it is tried to have seen everything, 6 if zero. Side are the histories of a round, made side by side in
	// directories of their own, 8 if zero.
	Rounds, Side int
	// Faults are done to the servers one after the other, each for HurtFor, while histories are recorded.
	Faults  []backendtest.Fault
	HurtFor time.Duration
}

// calm is how long the servers are left alone between two faults.
const calm = 1500 * time.Millisecond

// Run records histories of a real store and judges them, until everything has succeeded and failed and each wrong variant of the model was
// found to be wrong.
func Run(t *testing.T, c Real) {
	seed := seedOf(t)
	t.Logf("%s=%d", SeedVariable, seed)
	if c.Rounds == 0 {
		c.Rounds = 6
	}
	if c.Side == 0 {
		c.Side = 12
	}
	r := &run{t: t, real: c, covered: Coverage{}, wrongs: slices.Clone(Wrongs)}
	if len(c.Faults) > 0 {
		r.wrongs = slices.Clone(Wrongs[:2]) // the others may hide in the freedom that the model is given then
	}
	defer r.report()
	var missing []string
	for round := range c.Rounds {
		r.judge(c.round(t, seed+uint64(round*c.Side)))
		if missing = r.covered.Missing(c.CannotFail...); t.Failed() || len(missing)+len(r.wrongs) == 0 {
			break
		}
	}
	t.Logf("%d histories, admitted after %d runs of the model, at most %d for one of them\n%s", r.histories, r.tries, r.worst, r.covered)
	if t.Failed() {
		return
	}
	if len(missing) > 0 {
		t.Errorf("not seen in %d histories: %v", r.histories, missing)
	}
	for _, w := range r.wrongs {
		t.Errorf("a model is not found to be wrong in %d histories: %s", r.histories, w.Name)
	}
}

// run is what is known after some rounds.
type run struct {
	t       *testing.T
	real    Real
	covered Coverage
	wrongs  []Wrong // that were not found yet

	histories, tries, worst, unfound int
}

// report is for the matrix.
func (r *run) report() {
	name, word := "differential", "ok"
	if len(r.real.Faults) > 0 {
		name = "differential_with_faults"
	}
	if r.t.Failed() {
		word = "failed"
	}
	r.t.Logf("conform: %s %s %s", r.real.Name, name, word)
}

// A wrong model is given many more tries than the right one needed.
const fewTries, wrongTries = 15, 200

// judge looks for a run of the model for each history.
func (r *run) judge(all []*History) {
	o := r.real.Options
	o.Tries = wrongTries
	for _, h := range all {
		r.covered.Add(h)
		v := Admits(r.real.Model, h, r.real.Options)
		r.histories, r.tries, r.worst = r.histories+1, r.tries+v.Tries, max(r.worst, v.Tries)
		if !v.OK {
			if r.unfound++; r.unfound > r.real.Unfound {
				r.t.Error(v.Report(h))
			} else {
				r.t.Log(v.Report(h))
			}
		} else if v.Tries <= fewTries {
			r.wrongs = slices.DeleteFunc(r.wrongs, func(w Wrong) bool { v := Admits(w.Build(r.real.Model), h, o); return !v.OK })
		}
	}
}

func seedOf(t *testing.T) uint64 {
	text, set := os.LookupEnv(SeedVariable)
	if !set {
		return uint64(time.Now().UnixNano()) / 1000 % 1_000_000_000
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", SeedVariable, err)
	}
	return seed
}

// round records histories side by side, while the servers are hurt where faults are given.
func (c Real) round(t *testing.T, seed uint64) []*History {
	healed := make(chan struct{})
	c.Subject.Healed, c.Subject.Hurt = healed, len(c.Faults) > 0
	recorders := make([]*recorder, c.Side)
	for i := range recorders {
		n := seed + uint64(i)
		recorders[i] = newRecorder(t, c.Subject, fmt.Sprintf("df-%d", n), n)
	}
	all := make([]*History, c.Side)
	var faults []events.Instant
	var side sync.WaitGroup
	defer func() {
		side.Wait()
		for i, r := range recorders {
			for _, at := range faults {
				all[i].Faults = append(all[i].Faults, at.Sub(r.begin))
			}
		}
	}()
	for i, r := range recorders {
		side.Go(func() { all[i] = r.play() })
	}
	defer close(healed)
	for _, fault := range c.Faults {
		time.Sleep(calm)
		faults = append(faults, c.Subject.Now())
		heal := fault(t)
		time.Sleep(c.HurtFor)
		heal()
	}
	return all
}
