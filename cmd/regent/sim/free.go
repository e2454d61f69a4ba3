package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/replay"
)

// free is what came of the runs in which the models took over.
type free struct {
	From    string   `json:"from"`
	Backend string   `json:"backend"`
	LeftOut []string `json:"left_out,omitempty"`
	// Verdicts counts the runs by the invariant that broke first; "sound" are those in which none did.
	Verdicts map[string]int `json:"verdicts"`
	Runs     []freeRun      `json:"runs"`
	begin    time.Duration  // of the point, on the axis
}

// freeRun is one of them.
type freeRun struct {
	simulations.Verdict
	Closest []replay.Margin `json:"closest,omitempty"`
}

const sound = "sound"

// freely lets the models go on from a point, once for each seed.
func (o *ReplayOptions) freely(ctx context.Context, m *replay.Merged) (*free, error) {
	p, err := o.point(m)
	if err != nil {
		return nil, err
	}
	cut, err := m.Cut(p)
	if err != nil {
		return nil, err
	}
	f := &free{From: p.String(), Backend: o.Stores[0], LeftOut: cut.LeftOut, Verdicts: map[string]int{}, begin: replay.Since(cut.Moment.At)}
	o.command = fmt.Sprintf("regent sim replay %s --free-from %s", strings.Join(o.Logs, " "), o.FreeFrom)
	if o.Member != "" {
		o.command += " --member " + o.Member
	}
	if o.Tape != "" {
		return f, o.freeTape(cut, f)
	}
	first := simulations.NewChaos(simulations.ChaosSettings{Store: f.Backend, For: o.For, From: cut.Moment})
	if err := first.Refused(); err != nil {
		return nil, fmt.Errorf("take over with --backend %s: %w", f.Backend, err)
	}
	f.LeftOut = append(f.LeftOut, first.LeftOut()...)
	o.freeSeeds(ctx, cut, f)
	slices.SortFunc(f.Runs, func(a, b freeRun) int { return cmp.Compare(a.Seed, b.Seed) })
	for i := range f.Runs {
		if f.Runs[i].Invariant == "" {
			f.Verdicts[sound]++
		} else {
			f.Verdicts[f.Runs[i].Invariant]++
		}
	}
	return f, ctx.Err()
}

// point reads --free-from and --member.
func (o *ReplayOptions) point(m *replay.Merged) (p replay.Point, err error) {
	if p.Time, err = time.Parse(time.RFC3339Nano, o.FreeFrom); err == nil {
		return p, nil
	}
	p = replay.Point{Member: o.Member}
	if p.Member == "" {
		if len(m.Logs) > 1 {
			return p, fmt.Errorf("--free-from %s: whose input is that? want --member, or a time as 2026-01-31T12:00:00Z", o.FreeFrom)
		}
		p.Member = m.Logs[0].Member()
	}
	run, seq, found := strings.Cut(o.FreeFrom, ":")
	if !found {
		run, seq = "0", o.FreeFrom
	}
	var errRun, errSeq error
	p.Run, errRun = strconv.Atoi(run)
	p.Seq, errSeq = strconv.ParseUint(seq, 10, 64)
	if errRun != nil || errSeq != nil || p.Run < 0 || p.Seq == 0 {
		return p, fmt.Errorf("--free-from %s: want the number of an input, as 1234, or as 2:1234 for that of the agent's second run, "+
			"or a time as 2026-01-31T12:00:00Z", o.FreeFrom)
	}
	return p, nil
}

// freeSeeds runs the seeds, some at a time.
func (o *ReplayOptions) freeSeeds(ctx context.Context, cut *replay.Cut, f *free) {
	seeds, t := make(chan uint64), &tally{}
	o.stopped = func() bool { return ctx.Err() != nil }
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() { // joined below
			for seed := range seeds {
				r, broke := o.freeOne(cut, seed)
				t.mu.Lock()
				f.Runs = append(f.Runs, r)
				if broke != nil {
					t.failures = append(t.failures, *broke)
					_, _ = fmt.Fprintln(o.text(), broke.block) // the exit code tells as well
				}
				t.mu.Unlock()
			}
		})
	}
	for i := range o.Seeds {
		if ctx.Err() != nil || t.enough(o.Most) {
			break
		}
		seeds <- o.From + i
	}
	close(seeds)
	workers.Wait()
}

// freeOne runs one seed, and makes it small if it fails.
func (o *ReplayOptions) freeOne(cut *replay.Cut, seed uint64) (freeRun, *failure) {
	set := simulations.ChaosSettings{Seed: seed, Store: o.Stores[0], For: o.For, From: cut.Moment, Mutant: o.mutant}
	t := cut.Tracker()
	watched := set
	watched.OnInput = t.OnInput
	c, v := simulations.RunDay(watched)
	r := freeRun{Verdict: v, Closest: t.Closest()}
	if len(v.Broken) == 0 {
		return r, nil
	}
	if _, again := simulations.RunDay(set); again.Hash != v.Hash {
		r.Break("NONDETERMINISM", fmt.Sprintf("NONDETERMINISM: two runs of seed %d differ: %v and %v", seed, v.Hash, again.Hash))
		return r, o.failed(c, r.Verdict, o.again(set, v))
	}
	return r, o.small(set, c, v)
}

// freeTape runs one tape and tells everything.
func (o *ReplayOptions) freeTape(cut *replay.Cut, f *free) error {
	set, err := readTape(o.Tape)
	if err != nil {
		return err
	}
	t := cut.Tracker()
	set.From, set.OnInput, set.Mutant = cut.Moment, t.OnInput, o.mutant
	c, v := simulations.RunDay(set)
	f.Backend, f.LeftOut = set.Store, append(f.LeftOut, c.LeftOut()...)
	f.Runs = []freeRun{{Verdict: v, Closest: t.Closest()}}
	text := c.Story(1 << 30)
	f.Verdicts[cmp.Or(v.Invariant, sound)]++
	if len(v.Broken) > 0 {
		text += "\n" + o.block(c, v, o.command+" --tape "+o.Tape)
	}
	if _, err = fmt.Fprintln(o.text(), text); err != nil {
		return fmt.Errorf("print the run: %w", err)
	}
	return nil
}

// print tells what came of the runs.
func (f *free) print(o *ReplayOptions) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nfrom %s on, with models, on %s:\n", f.From, f.Backend)
	for _, x := range f.LeftOut {
		fmt.Fprintf(&b, "left out: %s\n", x)
	}
	failovers, virtual := 0, time.Duration(0)
	for i := range f.Runs {
		failovers, virtual = failovers+f.Runs[i].Failovers, virtual+f.Runs[i].Virtual
	}
	fmt.Fprintf(&b, "%d runs, %s in all, with %d changes of the leader\n", len(f.Runs), virtual.Round(time.Second), failovers)
	for _, name := range f.verdicts() {
		fmt.Fprintf(&b, "%6d ended %s\n", f.Verdicts[name], name)
	}
	for _, m := range f.closest() {
		fmt.Fprintf(&b, "closest call (%s): %s, %s after the point, with seed %d\n", m.Kind, m.Text, m.after.Round(time.Millisecond), m.seed)
	}
	for i := range f.Runs {
		if r := &f.Runs[i]; len(r.Broken) > 0 {
			fmt.Fprintf(&b, "BROKEN %s with seed %d: %s\n", r.Invariant, r.Seed, strings.TrimSpace(r.Broken[0]))
		}
	}
	_, err := fmt.Fprint(o.text(), b.String())
	return err
}

// verdicts are their names: sound first, the others sorted.
func (f *free) verdicts() []string {
	var names []string
	for name := range f.Verdicts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case a == sound:
			return -1
		case b == sound:
			return 1
		}
		return cmp.Compare(a, b)
	})
	return names
}

// call is a margin of one of the runs.
type call struct {
	replay.Margin
	seed  uint64
	after time.Duration
}

// closest is the smallest margin of each kind in all runs.
func (f *free) closest() []call {
	var out []call
	for i := range f.Runs {
		r := &f.Runs[i]
		for _, m := range r.Closest {
			x := call{m, r.Seed, replay.Since(m.At) - f.begin}
			at := slices.IndexFunc(out, func(o call) bool { return o.Kind == m.Kind })
			switch {
			case at < 0:
				out = append(out, x)
			case m.Left < out[at].Left:
				out[at] = x
			}
		}
	}
	return out
}
