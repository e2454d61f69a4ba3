package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Options say what to run.
type Options struct {
	Stores   []string
	From     uint64 // the first seed
	Seeds    uint64
	For      time.Duration // how long faults last in each run
	Jobs     int
	Wipes    bool
	Most     int    // failures after which nothing new is begun
	Shrink   int    // runs that making one failure small may take
	Tapes    string // directory for the tapes of failures
	Tape     string // a file: this one run instead of seeds
	JSON     string
	JUnit    string
	Out, Log io.Writer
}

// ErrBroken says that an invariant did not hold. It was printed.
var ErrBroken = errors.New("an invariant did not hold")

// tally is what came of all runs.
type tally struct {
	mu       sync.Mutex
	verdicts []simulations.Verdict
	fired    map[events.RuleID]int
	failed   int
}

// Run runs everything, prints failures as they come and a line for each store at the end, and writes the reports.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	simulations.CollectLess()
	if o.Tape != "" {
		return o.replay()
	}
	began := time.Now()
	t := &tally{fired: map[events.RuleID]int{}}
	for _, store := range o.Stores {
		o.store(ctx, store, t)
	}
	o.summary(t, time.Since(began))
	err := o.reports(t)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case t.failed > 0:
		return ErrBroken
	}
	return nil
}

func (o *Options) check() error {
	known := simulations.StoreKinds()
	if len(o.Stores) == 1 && o.Stores[0] == "all" {
		o.Stores = known
	}
	for _, s := range o.Stores {
		if !slices.Contains(known, s) {
			return fmt.Errorf("--backend %s: there is no model of it; want all, or some of %s", s, strings.Join(known, ", "))
		}
	}
	switch {
	case o.Seeds < 1:
		return fmt.Errorf("--seeds %d: want at least 1", o.Seeds)
	case o.For < time.Second:
		return fmt.Errorf("--for %v: want at least 1s", o.For)
	case o.Jobs < 1:
		return fmt.Errorf("--jobs %d: want at least 1", o.Jobs)
	}
	return nil
}

// store runs all seeds on one store, some at a time.
func (o *Options) store(ctx context.Context, store string, t *tally) {
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() { // joined below
			for seed := range seeds {
				o.one(simulations.ChaosSettings{Seed: seed, Store: store, For: o.For, Wipes: o.Wipes}, t)
			}
		})
	}
	began, told := time.Now(), time.Now()
	for i := range o.Seeds {
		if ctx.Err() != nil || t.enough(o.Most) {
			break
		}
		seeds <- o.From + i
		if time.Since(told) >= 10*time.Second {
			told = time.Now()
			_, _ = fmt.Fprintf(o.Log, "%s: %d of %d runs, %d failed, %.0f cluster-hours per hour\n", store, i, o.Seeds, t.failures(), // progress is worth no failure
				t.hours(store)/time.Since(began).Hours())
		}
	}
	close(seeds)
	workers.Wait()
}

func (t *tally) enough(most int) bool { return most > 0 && t.failures() >= most }

func (t *tally) failures() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// hours is the virtual time of all runs on a store.
func (t *tally) hours(store string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := time.Duration(0)
	for i := range t.verdicts {
		if t.verdicts[i].Store == store {
			all += t.verdicts[i].Virtual
		}
	}
	return all.Hours()
}

// one runs one day, a second time if it fails, and makes it small.
func (o *Options) one(set simulations.ChaosSettings, t *tally) {
	c, v := simulations.RunDay(set)
	var block string
	if len(v.Broken) > 0 {
		if _, again := simulations.RunDay(set); again.Hash != v.Hash {
			v.Invariant, v.Broken = "NONDETERMINISM", []string{fmt.Sprintf("NONDETERMINISM: two runs of seed %d differ: %x and %x", set.Seed, v.Hash, again.Hash)}
			block = o.block(c, v, "")
		} else {
			block = o.small(set, c, v)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts = append(t.verdicts, v)
	for rule, n := range c.Fired {
		t.fired[rule] += n
	}
	if len(v.Broken) > 0 {
		t.failed++
		_, _ = fmt.Fprintln(o.Out, block) // the exit code tells as well
	}
}

// small makes a failure small and keeps its tape.
func (o *Options) small(set simulations.ChaosSettings, c *simulations.Chaos, v simulations.Verdict) string {
	if o.Shrink < 1 {
		return o.block(c, v, fmt.Sprintf("regent sim run --backend %s --from %d --seeds 1 --for %v", v.Store, v.Seed, set.For))
	}
	s, ok := simulations.Shrink(set, o.Shrink)
	if !ok {
		return o.block(c, v, "") // it failed twice with the same hash, and must fail again
	}
	file := fmt.Sprintf("%s/%s-%d.tape", strings.TrimSuffix(o.Tapes, "/"), v.Store, v.Seed)
	command := "regent sim run --tape " + file
	if err := writeTape(file, s); err != nil {
		command = err.Error()
	}
	return o.block(s.Run, s.Verdict, command)
}

// replay runs one tape.
func (o *Options) replay() error {
	set, err := readTape(o.Tape)
	if err != nil {
		return err
	}
	c, v := simulations.RunDay(set)
	_, err = fmt.Fprintln(o.Out, c.Story(1<<30))
	if err == nil && len(v.Broken) > 0 {
		_, err = fmt.Fprintln(o.Out, o.block(c, v, "regent sim run --tape "+o.Tape))
		if err == nil {
			err = ErrBroken
		}
	}
	return err
}

func writeTape(file string, s simulations.Shrunk) error {
	b, err := kernel.Encode(s.Script)
	if err == nil {
		head := fmt.Sprintf("regent tape 1 store=%s seed=%d for=%v\n", s.Verdict.Store, s.Verdict.Seed, s.Settings.For)
		err = os.WriteFile(file, append([]byte(head), b...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the tape: %w", err)
	}
	return nil
}

func readTape(file string) (simulations.ChaosSettings, error) {
	var set simulations.ChaosSettings
	b, err := os.ReadFile(file)
	if err != nil {
		return set, fmt.Errorf("read the tape: %w", err)
	}
	head, body, _ := strings.Cut(string(b), "\n")
	var lasts string
	if _, err := fmt.Sscanf(head, "regent tape 1 store=%s seed=%d for=%s", &set.Store, &set.Seed, &lasts); err != nil {
		return set, fmt.Errorf("read the tape %s: its first line is %q, want \"regent tape 1 store=… seed=… for=…\"", file, head)
	}
	if set.For, err = time.ParseDuration(lasts); err != nil {
		return set, fmt.Errorf("read the tape %s: for=%s: want a duration", file, lasts)
	}
	if !slices.Contains(simulations.StoreKinds(), set.Store) {
		return set, fmt.Errorf("read the tape %s: store=%s: there is no model of it", file, set.Store)
	}
	script, err := kernel.Decode([]byte(body))
	if err != nil {
		return set, fmt.Errorf("read the tape %s: %w", file, err)
	}
	set.Tape = kernel.Recorded(script)
	return set, nil
}
