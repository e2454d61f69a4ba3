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
	HTML     string
	Out, Log io.Writer

	stopped func() bool         // whoever started this wants no more of it
	mutant  *simulations.Mutant // what is run instead of the agents that are
	// command is the program with its arguments that runs these days, for the line that repeats one: regent sim run if empty.
	command string
}

func (o *Options) program() string {
	if o.command == "" {
		return "regent sim run"
	}
	return o.command
}

// ErrBroken says that an invariant did not hold. It was printed.
var ErrBroken = errors.New("an invariant did not hold")

// Run runs everything, prints failures as they come and a line for each store at the end, and writes the reports.
func Run(ctx context.Context, o *Options) error {
	if err := o.check(); err != nil {
		return err
	}
	simulations.CollectLess()
	if o.Tape != "" {
		return o.replay()
	}
	began := time.Now()
	o.stopped = func() bool { return ctx.Err() != nil }
	t := newTally()
	for _, store := range o.Stores {
		o.store(ctx, store, t)
	}
	t.took = time.Since(began)
	o.summary(t)
	err := o.reports(t)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case len(t.failures) > 0:
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

// progressEvery is how often it is told how far the runs are.
const progressEvery = 10 * time.Second

// progress tells how far the runs on a store are, at what rates, and how long the rest will take.
func (o *Options) progress(store string, s sum, took time.Duration) {
	left := time.Duration(0)
	if s.runs > 0 {
		left = (took / time.Duration(s.runs) * time.Duration(o.Seeds-uint64(s.runs))).Round(time.Second)
	}
	_, _ = fmt.Fprintf(o.Log, "%s: %d of %d runs, %d failed; %s; %v left\n", store, s.runs, o.Seeds, s.failed, s.rates(took), left) // worth no failure
}

// store runs all seeds on one store, some at a time.
func (o *Options) store(ctx context.Context, store string, t *tally) {
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() { // joined below
			for seed := range seeds {
				o.one(simulations.ChaosSettings{Seed: seed, Store: store, For: o.For, Wipes: o.Wipes, Mutant: o.mutant}, t)
			}
		})
	}
	began, told := time.Now(), time.Now()
	for i := range o.Seeds {
		if ctx.Err() != nil || t.enough(o.Most) {
			break
		}
		seeds <- o.From + i
		if time.Since(told) >= progressEvery {
			told = time.Now()
			o.progress(store, t.sum(store), time.Since(began))
		}
	}
	close(seeds)
	workers.Wait()
}

// one runs one day, a second time if it fails, and makes it small.
func (o *Options) one(set simulations.ChaosSettings, t *tally) {
	c, v := simulations.RunDay(set)
	var broke *failure
	if v.Ended != simulations.Sound {
		if _, again := simulations.RunDay(set); again.Hash != v.Hash {
			v.Break("NONDETERMINISM", fmt.Sprintf("NONDETERMINISM: two runs of seed %d differ: %v and %v", set.Seed, v.Hash, again.Hash))
			broke = o.failed(c, v, o.again(set, v))
		} else {
			broke = o.small(set, c, v)
		}
	}
	t.add(v, &c.Counts, broke)
	if broke != nil {
		t.out.Lock()
		defer t.out.Unlock()
		_, _ = fmt.Fprintln(o.Out, broke.block) // the exit code tells as well
	}
}

// again is the command that runs a seed once more.
func (o *Options) again(set simulations.ChaosSettings, v simulations.Verdict) string {
	command := fmt.Sprintf("%s --backend %s --from %d --seeds 1 --for %v", o.program(), v.Store, v.Seed, set.For)
	if set.Wipes {
		command += " --wipes"
	}
	return command
}

func (o *Options) failed(c *simulations.Chaos, v simulations.Verdict, command string) *failure {
	return &failure{verdict: v, block: o.block(c, v, command), command: command}
}

// small makes a failure small and keeps its tape.
func (o *Options) small(set simulations.ChaosSettings, c *simulations.Chaos, v simulations.Verdict) *failure {
	command := o.again(set, v)
	if o.Shrink < 1 {
		return o.failed(c, v, command)
	}
	s, ok := simulations.Shrink(set, o.Shrink, o.stopped)
	if !ok {
		return o.failed(c, v, command) // it failed twice with the same hash, and must fail again
	}
	file := fmt.Sprintf("%s/%s-%d.tape", strings.TrimSuffix(o.Tapes, "/"), v.Store, v.Seed)
	command = o.program() + " --tape " + file
	if err := writeTape(file, s); err != nil {
		command = err.Error()
	}
	return o.failed(s.Run, s.Verdict, command)
}

// replay runs one tape.
func (o *Options) replay() error {
	set, err := readTape(o.Tape)
	if err != nil {
		return err
	}
	c, v := simulations.RunDay(set)
	_, err = fmt.Fprintln(o.Out, c.Story(1<<30))
	if err == nil && v.Ended != simulations.Sound {
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
