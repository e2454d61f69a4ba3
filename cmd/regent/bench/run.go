package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

// Options say what to measure.
type Options struct {
	Binary string   // of regent
	Stores []string // kinds of package live
	Runs   int      // of each scenario
	Quick  bool     // leaves out what takes long: the death of a member under the default ttl, and a long look at idle agents
	Only   []string // parts of scenarios' names; empty: all
	Keep   bool     // keeps the directories of the clusters, with the event logs
	JSON   string   // file for the report, empty: none
	Out    io.Writer
	Log    io.Writer // progress
}

// writePeriod is the time between two writes of the client: the resolution of every figure.
const writePeriod = 5 * time.Millisecond

// ErrScenario says that a scenario did not work, or lost writes that it promised to keep. The table names it.
var ErrScenario = errors.New("not every scenario worked")

// bench is one measurement.
type bench struct {
	Options
	report *Report
}

// Run measures, prints the table and writes the file. What was measured before an error is printed too.
func Run(ctx context.Context, o Options) error {
	if o.Runs < 1 {
		return fmt.Errorf("runs = %d: want at least 1", o.Runs)
	}
	b := &bench{Options: o, report: &Report{Began: time.Now(), Runs: o.Runs, Quick: o.Quick}}
	b.report.Machine.look()
	err := b.bare(ctx)
	for _, store := range o.Stores {
		if err == nil {
			err = b.cluster(ctx, store)
		}
	}
	b.report.Machine.lookAgain()
	b.report.judge()
	if printed := b.report.print(o.Out); err == nil {
		err = printed
	}
	if o.JSON != "" {
		text, encodeErr := json.MarshalIndent(b.report, "", "  ")
		if encodeErr == nil {
			encodeErr = os.WriteFile(o.JSON, append(text, '\n'), 0o644)
		}
		if encodeErr != nil {
			err = errors.Join(err, fmt.Errorf("write the report: %w", encodeErr))
		}
	}
	if err == nil && b.report.failed() {
		err = ErrScenario
	}
	return err
}

func (b *bench) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Log, format+"\n", args...) // progress is worth no failure
}

func (b *bench) wanted(name string) bool {
	return len(b.Only) == 0 || slices.ContainsFunc(b.Only, func(part string) bool { return strings.Contains(name, part) })
}

// Names of the limit's rows; the scenarios that are compared with them name them too.
const (
	limitSwitchover = "PostgreSQL by hand: planned"
	limitCrash      = "PostgreSQL by hand: kill -9, promoted 30 ms later"
)

const barePatience = time.Minute // for one run, with what makes the pair whole again

// bare measures the limit.
func (b *bench) bare(ctx context.Context) error {
	tools, err := programs()
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, barePatience)
	defer cancel()
	pair, err := live.StartBare(starting, live.Options{Binary: b.Binary, Log: b.Log}, tools)
	if err != nil {
		return err
	}
	if b.report.Machine.PostgreSQL, err = pair.Version(starting); err == nil {
		err = b.bareRuns(ctx, limitSwitchover, pair, pair.Switchover)
	}
	if err == nil {
		err = b.bareRuns(ctx, limitCrash, pair, pair.Crash)
	}
	return errors.Join(err, pair.Close())
}

func (b *bench) bareRuns(ctx context.Context, name string, pair *live.Bare, move func(context.Context) error) error {
	row := b.report.row("", name)
	for i := range b.Runs {
		gap, err := b.bareRun(ctx, pair, move)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.logf("%s %d/%d: %s ms", name, i+1, b.Runs, ms(gap))
		row.add(Sample{At: time.Now(), Milliseconds: milliseconds(gap)})
	}
	return nil
}

func (b *bench) bareRun(ctx context.Context, pair *live.Bare, move func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, barePatience)
	defer cancel()
	w, err := pair.StartWriter(ctx, writePeriod)
	if err != nil {
		return 0, err
	}
	wait(ctx, warmUp)
	hit := time.Now()
	if err = move(ctx); err == nil {
		err = w.Resumed(ctx, time.Now())
	}
	w.Stop()
	if err != nil {
		return 0, err
	}
	return w.Gap(hit), pair.Rejoin(ctx)
}

// programs is the directory of the newest PostgreSQL, which agents take too.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	version := func(path string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(path))), 64) // what is no version comes first
		return v
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return int(10*version(a)) - int(10*version(b)) })), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL's programs: %w", err)
	}
	return filepath.Dir(path), nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
