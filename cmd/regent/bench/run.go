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
	pair   *live.Bare
}

// Run measures, prints the table and writes the file. What was measured before an error is printed too.
func Run(ctx context.Context, o Options) error {
	if o.Runs < 1 {
		return fmt.Errorf("runs = %d: want at least 1", o.Runs)
	}
	b := &bench{Options: o, report: &Report{Began: time.Now(), Runs: o.Runs, Quick: o.Quick}}
	b.report.Machine.look()
	err := b.all(ctx)
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

func (b *bench) all(ctx context.Context) error {
	if err := b.startPair(ctx); err != nil {
		return err
	}
	for _, store := range b.Stores {
		if err := b.cluster(ctx, store); err != nil {
			return errors.Join(err, b.pair.Close())
		}
	}
	return b.pair.Close()
}

func (b *bench) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Log, format+"\n", args...) // progress is worth no failure
}

func (b *bench) wanted(name string) bool {
	return len(b.Only) == 0 || slices.ContainsFunc(b.Only, func(part string) bool { return strings.Contains(name, part) })
}

// limit is a way to move the pair by hand that a scenario is compared with.
type limit struct {
	name string
	move func(*live.Bare, context.Context) error
}

var (
	limitSwitchover = &limit{"by hand, without agents: planned", (*live.Bare).Switchover}
	limitCrash      = &limit{"by hand, without agents: kill -9, promoted 30 ms later", (*live.Bare).Crash}
)

const barePatience = time.Minute // for one run, with what makes the pair whole again

func (b *bench) startPair(ctx context.Context) error {
	tools, err := programs()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, barePatience)
	defer cancel()
	if b.pair, err = live.StartBare(ctx, live.Options{Binary: b.Binary, Log: b.Log}, tools); err != nil {
		return err
	}
	if b.report.Machine.PostgreSQL, err = b.pair.Version(ctx); err != nil {
		return errors.Join(err, b.pair.Close())
	}
	return nil
}

// byHand moves the pair once and makes it whole again.
func (b *bench) byHand(ctx context.Context, l *limit) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, barePatience)
	defer cancel()
	w, err := b.pair.StartWriter(ctx, writePeriod)
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w", l.name, err)
	}
	wait(ctx, warmUp)
	s := Sample{At: time.Now()}
	if err = l.move(b.pair, ctx); err == nil {
		err = w.Resumed(ctx, time.Now())
	}
	w.Stop()
	if err == nil {
		s.Milliseconds, s.Acknowledged = milliseconds(w.Gap(s.At)), len(w.Acks())
		err = b.pair.Rejoin(ctx)
	}
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w", l.name, err)
	}
	return s, nil
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
