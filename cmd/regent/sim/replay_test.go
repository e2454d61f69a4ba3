package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/replay/replaytest"
)

// calmDay is the seed of a day from which others can go on without harm; badDay has more of everything.
const calmDay, badDay = 2, 5

// recorded are the logs of a day.
func recorded(t *testing.T, seed uint64, change func(*replaytest.Recorder)) []string {
	t.Helper()
	r := &replaytest.Recorder{Dir: t.TempDir(), Clocks: map[string]time.Duration{"n1": 5 * time.Hour, "n3": time.Minute}}
	if change != nil {
		change(r)
	}
	c := simulations.NewChaos(simulations.ChaosSettings{Seed: seed, Store: "etcd", For: 2 * time.Minute})
	c.OnInput = r.Step
	if broken := c.Run(); len(broken) > 0 {
		t.Fatal(broken)
	}
	dirs, err := r.Write()
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func freely(logs []string, out io.Writer) ReplayOptions {
	o := ReplayOptions{Logs: logs, FreeFrom: "200", Member: "n2"}
	o.Stores, o.Seeds, o.For, o.Jobs, o.Shrink, o.Out, o.Log = []string{"etcd"}, 4, time.Minute, 2, 20, out, io.Discard
	return o
}

func TestReplayTellsHowCloseItWas(t *testing.T) {
	var out bytes.Buffer
	o := freely(recorded(t, calmDay, nil), &out)
	o.JSON = filepath.Join(t.TempDir(), "report.json")
	if err := Replay(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"no invariant is seen broken", "closest call (between two leases)", "from input 200 of n2 on, with models, on etcd",
		"4 runs", "4 ended sound", "left out: WAL that was removed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, out.String())
		}
	}
	b, err := os.ReadFile(o.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil || a.Free == nil || a.Free.Verdicts[sound] != 4 || len(a.Replay.Lines) == 0 || len(a.Free.Runs[0].Closest) == 0 {
		t.Errorf("%v: %.200s", err, b)
	}
}

// A world that goes on with wrong agents is found out, and its tape repeats what was found.
func TestAFailureAfterThePointHasATape(t *testing.T) {
	var mutant *simulations.Mutant
	for i := range simulations.Mutants {
		if simulations.Mutants[i].Name == "the guard never fires" {
			mutant = &simulations.Mutants[i]
		}
	}
	var out bytes.Buffer
	o := freely(recorded(t, calmDay, nil), &out)
	o.mutant, o.Tapes, o.Seeds, o.Most, o.For, o.Jobs = mutant, t.TempDir(), 60, 1, 3*time.Minute, 1
	if err := Replay(t.Context(), o); !errors.Is(err, ErrBroken) {
		t.Fatalf("%v: the mutant was not found out\n%s", err, out.String())
	}
	found := regexp.MustCompile(`run it again: regent sim replay .* --free-from 200 --member n2 --tape (\S+)`).FindStringSubmatch(out.String())
	if found == nil || !strings.Contains(out.String(), "BROKEN S1 with seed") {
		t.Fatalf("no tape:\n%s", out.String())
	}
	out.Reset()
	o.Tape = found[1]
	if err := Replay(t.Context(), o); !errors.Is(err, ErrBroken) || !strings.Contains(out.String(), "broken: S1") {
		t.Errorf("the tape does not repeat it: %v\n%s", err, out.String())
	}
}

func TestADoctoredLogEndsWithABrokenInvariant(t *testing.T) {
	logs := recorded(t, badDay, func(r *replaytest.Recorder) {
		r.Change = func(_ string, in *events.Input) { // a lease that is never over, and is given to the next all the same
			if f, ok := in.Fact.(events.LeaseOutcome); ok && f.Outcome == events.Done && f.TTL != 0 {
				f.TTL = time.Hour
				in.Fact = f
			}
		}
	})
	var out bytes.Buffer
	err := Replay(t.Context(), ReplayOptions{Logs: logs, Options: Options{Out: &out}})
	if !errors.Is(err, ErrBroken) || !strings.Contains(out.String(), "BROKEN S4") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPointsThatCannotBeTakenAreRefused(t *testing.T) {
	gap := recorded(t, badDay, func(r *replaytest.Recorder) {
		r.Leave = func(member string, in events.Input) bool { return member == "n3" && in.Seq >= 60 && in.Seq < 63 }
	})
	otherwise := recorded(t, badDay, func(r *replaytest.Recorder) {
		r.Decide = func(member string, in events.Input, d *events.Decision) {
			if member == "n3" && in.Seq == 50 {
				d.Rule = "FL-98"
			}
		}
	})
	torn := recorded(t, badDay, nil)
	tear(t, torn, "n1")
	for _, c := range []struct {
		name  string
		logs  []string
		edit  func(*ReplayOptions)
		wants string
	}{
		{"a gap", gap, nil, ": the inputs between 59 and 63 are missing"},
		{"other rules", otherwise, nil, "n3 decides otherwise than version sim did: input 50"},
		{"a torn end", torn, func(o *ReplayOptions) { o.FreeFrom = "2026-01-01T02:00:00Z" }, "n1: its log ends in a torn record after input"},
		{"no such input", gap, func(o *ReplayOptions) { o.FreeFrom = "9:3" }, "it is not in the logs"},
		{"nobody's input", gap, func(o *ReplayOptions) { o.Member = "" }, "whose input is that? want --member"},
		{"no number", gap, func(o *ReplayOptions) { o.FreeFrom = "soon" }, "want the number of an input"},
		{"before all", gap, func(o *ReplayOptions) { o.FreeFrom = "2020-01-01T00:00:00Z" }, "the recording begins at"},
		{"no such store", gap, func(o *ReplayOptions) { o.Stores = []string{"paper"} }, "--backend paper: want one of"},
		{"revisions of another kind of store", torn, func(o *ReplayOptions) { o.FreeFrom, o.Stores = "100", []string{"nats"} },
			"take over with --backend nats: begin a bucket at sequence"},
		{"a member without a point", gap, func(o *ReplayOptions) { o.FreeFrom = "" }, "want --free-from"},
	} {
		o := freely(c.logs, io.Discard)
		if c.edit != nil {
			c.edit(&o)
		}
		if err := Replay(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v; want %q", c.name, err, c.wants)
		}
	}
}

// tear cuts the last record of a log in two.
func tear(t *testing.T, dirs []string, member string) {
	t.Helper()
	for _, dir := range dirs {
		if filepath.Base(dir) != member {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.log"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		last := files[len(files)-1]
		s, err := os.Stat(last)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(last, s.Size()-7); err != nil {
			t.Fatal(err)
		}
	}
}
