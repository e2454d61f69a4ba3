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
	Every    time.Duration // mean time between two faults, zero: a bad day's
	Members  int           // zero: as the seed draws them
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
	o.all(ctx, t)
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
	case o.Every < 0:
		return fmt.Errorf("--every %v: want a time between two faults, or 0", o.Every)
	case o.Members != 0 && (o.Members < 2 || o.Members > 4):
		return fmt.Errorf("--members %d: want 2 to 4, or 0 for what the seed draws", o.Members)
	case o.Jobs < 1:
		return fmt.Errorf("--jobs %d: want at least 1", o.Jobs)
	}
	return nil
}

// progressEvery is how often it is told how far the runs are.
const progressEvery = 10 * time.Second

// progress tells how far the runs are, at what rates, and how long the rest will take.
func (o *Options) progress(s sum, took time.Duration) {
	all, left := o.Seeds*uint64(len(o.Stores)), time.Duration(0)
	if s.runs > 0 {
		left = (took / time.Duration(s.runs) * time.Duration(all-uint64(s.runs))).Round(time.Second)
	}
	_, _ = fmt.Fprintf(o.Log, "%d of %d runs, %d failed; %.0f cluster-hours; %s; %v left\n", s.runs, all, s.failed, s.virtual.Hours(),
		s.rates(took), left) // worth no failure
}

// all runs every seed on every store, some at a time. The stores take turns, so that each has its share whenever it is ended.
func (o *Options) all(ctx context.Context, t *tally) {
	days := make(chan simulations.ChaosSettings)
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() { // joined below
			for day := range days {
				o.one(day, t)
			}
		})
	}
	began, told := time.Now(), time.Now()
	for i := range o.Seeds {
		for _, store := range o.Stores {
			if ctx.Err() != nil || t.enough(o.Most) {
				break
			}
			days <- simulations.ChaosSettings{Seed: o.From + i, Store: store, For: o.For, Every: o.Every, Members: o.Members, Wipes: o.Wipes, Mutant: o.mutant}
		}
		if ctx.Err() != nil || t.enough(o.Most) {
			break
		}
		if time.Since(told) >= progressEvery {
			told = time.Now()
			o.progress(t.sum(""), time.Since(began))
		}
	}
	close(days)
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
	if set.Every != 0 {
		command += fmt.Sprintf(" --every %v", set.Every)
	}
	if set.Members != 0 {
		command += fmt.Sprintf(" --members %d", set.Members)
	}
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

// tapeHead is the first line of a tape.
const tapeHead = "regent tape 2 store=%s seed=%d for=%v every=%v members=%d wipes=%t"

func writeTape(file string, s simulations.Shrunk) error {
	b, err := kernel.Encode(s.Script)
	if err == nil {
		set := &s.Settings
		head := fmt.Sprintf(tapeHead+"\n", s.Verdict.Store, s.Verdict.Seed, set.For, set.Every, set.Members, set.Wipes)
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
	var lasts, every string
	if _, err := fmt.Sscanf(head, strings.ReplaceAll(tapeHead, "%v", "%s"), &set.Store, &set.Seed, &lasts, &every, &set.Members, &set.Wipes); err != nil {
		return set, fmt.Errorf("read the tape %s: its first line is %q, want \"regent tape 2 store=… seed=… for=… every=… members=… wipes=…\"", file, head)
	}
	var errFor, errEvery error
	set.For, errFor = time.ParseDuration(lasts)
	set.Every, errEvery = time.ParseDuration(every)
	if errFor != nil || errEvery != nil {
		return set, fmt.Errorf("read the tape %s: for=%s every=%s: want durations", file, lasts, every)
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
