package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/replay"
	"github.com/regent-ha/regent/simulations/replay/replaytest"
)

// day is a recording of a bad day, on hosts whose boot clocks differ.
type day struct {
	dirs []string
	at   map[string][]events.Instant // when inputs came, by true time, of each member and run
}

func of(member string, run int) string { return fmt.Sprint(member, " ", run) }

func record(t *testing.T, seed uint64, lasts time.Duration, change func(*replaytest.Recorder)) day {
	t.Helper()
	return recordOn(t, "etcd", seed, lasts, change)
}

func recordOn(t *testing.T, store string, seed uint64, lasts time.Duration, change func(*replaytest.Recorder)) day {
	t.Helper()
	r := &replaytest.Recorder{Dir: t.TempDir(),
		Clocks: map[string]time.Duration{"n1": 5 * time.Hour, "n2": 77 * time.Minute, "n3": 400 * time.Hour, "n4": 3 * time.Second},
	}
	if change != nil {
		change(r)
	}
	c := simulations.NewChaos(simulations.ChaosSettings{Seed: seed, Store: store, For: lasts})
	d, runs := day{at: map[string][]events.Instant{}}, map[string]int{}
	c.OnInput = func(member string, in events.Input, decided *events.Decision) {
		if in.Seq == 1 {
			runs[member]++
		}
		d.at[of(member, runs[member])] = append(d.at[of(member, runs[member])], in.At)
		r.Step(member, in, decided)
	}
	if broken := c.Run(); len(broken) > 0 {
		t.Fatalf("the day to be recorded is broken: %v", broken)
	}
	if r.Differs != "" && r.Change == nil {
		t.Fatal(r.Differs)
	}
	var err error
	if d.dirs, err = r.Write(); err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t *testing.T, dirs []string) []*replay.Log {
	t.Helper()
	var logs []*replay.Log
	for _, dir := range dirs {
		l, err := replay.ReadLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, l)
	}
	return logs
}

func merge(t *testing.T, dirs []string) *replay.Merged {
	t.Helper()
	m, err := replay.Merge(read(t, dirs))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func text(t *testing.T, r *replay.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Print(&b, 0); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Days that no judge of the world finds fault with are sound by their records too, and are decided again as they were.
func TestSoundDaysAreSound(t *testing.T) {
	for seed := range uint64(4) {
		r := merge(t, record(t, seed, 3*time.Minute, nil).dirs).Judge()
		if len(r.Breaches) > 0 || len(r.Closest) == 0 || len(r.Lines) == 0 || len(r.LeftOut) > 0 {
			t.Errorf("seed %d:\n%s", seed, text(t, r))
		}
		for _, m := range r.Members {
			if m.Passed != 0 || m.Equal != m.Inputs {
				t.Errorf("seed %d: of %d decisions of %s %d were decided again, and %d passed over", seed, m.Inputs, m.Name, m.Equal, m.Passed)
			}
		}
	}
}

// The boot clocks of the hosts are hours apart; what the members saw of each other tells by how much, within the doubt
// that is told, which is a few milliseconds.
func TestClocksAreFoundFromSharedFacts(t *testing.T) {
	d := record(t, 2, 2*time.Minute, nil) // a day on which no clock drifts
	r := merge(t, d.dirs).Judge()
	doubt := map[string]time.Duration{}
	for _, m := range r.Members {
		if doubt[m.Name] = m.Doubt; !m.Known || m.Doubt > 50*time.Millisecond {
			t.Errorf("the clock of %s is known %v, with a doubt of %v", m.Name, m.Known, m.Doubt)
		}
	}
	first := r.Lines[0]
	truth := func(l *replay.Line) events.Instant { return d.at[of(l.Member, l.Run)][l.Seq-1] }
	compared := map[string]bool{}
	for i := range r.Lines {
		l := &r.Lines[i]
		if l.Seq == 0 {
			continue
		}
		told, was := first.At.Sub(l.At), truth(&first).Sub(truth(l))
		if off := (told - was).Abs(); off > doubt[first.Member]+doubt[l.Member] {
			t.Errorf("%s and %s are told to be %v apart, and were %v: more than %v off", l.Member, first.Member, told, was, doubt[l.Member])
		}
		compared[l.Member] = true
	}
	if len(compared) != len(r.Members) {
		t.Errorf("only %v were compared", compared)
	}
}

// onLook changes what a member is told of its PostgreSQL.
func onLook(member string, change func(*events.Observation)) func(string, *events.Input) {
	return func(m string, in *events.Input) {
		if f, ok := in.Fact.(events.PostgresObserved); ok && m == member {
			change(&f.Observation)
			in.Fact = f
		}
	}
}

// adds lets a decision in some state have one effect more, when a member has been there for a while.
func adds(state events.LifecycleState, after time.Duration, a events.Action) func(*replaytest.Recorder) {
	return func(r *replaytest.Recorder) {
		done, since := false, map[string]events.Instant{}
		r.Decide = func(member string, in events.Input, d *events.Decision) {
			if d.From != state || d.To != state {
				since[member] = in.At
			}
			if !done && in.At.Sub(since[member]) > after && (state != engine.Paused || member == "n1") { // others have orders
				done = true
				d.Effects = append(d.Effects, events.Effect{ID: 1 << 40, Epoch: 1, Deadline: in.At.Add(time.Minute), Action: a})
			}
		}
	}
}

// Logs that were doctored: what is wrong in them is found, by the judge that it is for.
func TestDoctoredLogsAreBroken(t *testing.T) {
	for _, c := range []struct {
		name, invariant, text string
		change                func(*replaytest.Recorder)
	}{
		{"two lease tenures overlap", "S4", "before that of", func(r *replaytest.Recorder) {
			r.Change = func(_ string, in *events.Input) {
				if f, ok := in.Fact.(events.LeaseOutcome); ok && f.Outcome == events.Done && f.TTL != 0 {
					f.TTL = time.Hour
					in.Fact = f
				}
			}
			r.Decide = func(_ string, _ events.Input, d *events.Decision) { // and nobody gives it away
				d.Effects = slices.DeleteFunc(d.Effects, func(e events.Effect) bool {
					k := e.Action.ActionKind()
					return k == events.ActReleaseLease || k == events.ActHandOverLease
				})
			}
		}},
		{"an epoch is that of an earlier lease", "S4", "held it with epoch", func(r *replaytest.Recorder) {
			r.Change = func(_ string, in *events.Input) {
				if f, ok := in.Fact.(events.LeaseOutcome); ok && f.Epoch != 0 {
					f.Epoch = 7
					in.Fact = f
				}
			}
		}},
		{"two members accept writes", "S1", "accepted writes at once", func(r *replaytest.Recorder) {
			r.Change = onLook("n2", func(o *events.Observation) { o.Server.InRecovery = false })
		}},
		{"a timeline goes back", "S7", "on timeline", func(r *replaytest.Recorder) {
			r.Change = func(_ string, in *events.Input) {
				if f, ok := in.Fact.(events.PostgresObserved); ok && f.Observation.Server.Timeline > 2 {
					f.Observation.Server.Timeline = 1
					in.Fact = f
				}
			}
		}},
		{"a decision is not what the rules say", "S10", "decides otherwise", func(r *replaytest.Recorder) {
			r.Decide = func(member string, in events.Input, d *events.Decision) {
				if member == "n2" && in.Seq == 90 {
					d.Rule = "FL-99"
				}
			}
		}},
		{"a replica is promoted without the lease", "S4", "issues promote", adds(engine.Following, 5*time.Second, events.Promote{})},
		{"a leader releases the lease while it writes", "S1", "gives the lease away", adds(engine.Leading, 5*time.Second, events.ReleaseLease{})},
		{"a server is stopped in a pause", "S11", "in a pause", adds(engine.Paused, 75*time.Second, events.StopPostgres{Mode: events.StopFast})},
		{"two effects work on a data directory", "S6", "while", adds(engine.Joining, 0, events.CrashRecover{})},
		{"reasons are left out", "L7", "without a reason", func(r *replaytest.Recorder) {
			r.Decide = func(_ string, _ events.Input, d *events.Decision) { d.Why = "" }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) { // not every day has an occasion for it, a long pause, say
				r := merge(t, record(t, seed, 4*time.Minute, c.change).dirs).Judge()
				if slices.ContainsFunc(r.Breaches, func(b replay.Breach) bool { return b.Invariant == c.invariant && strings.Contains(b.Text, c.text) }) {
					return
				}
			}
			t.Errorf("%s is not found on any day", c.invariant)
		})
	}
}

// Where records are missing nothing is decided again until the agent starts the next time, and that is told.
func TestGapsAreTold(t *testing.T) {
	d := record(t, 5, 2*time.Minute, func(r *replaytest.Recorder) {
		r.Leave = func(member string, in events.Input) bool { return member == "n2" && in.Seq >= 100 && in.Seq < 110 }
	})
	r := merge(t, d.dirs).Judge()
	told := strings.Join(r.LeftOut, "\n")
	if !strings.Contains(told, "n2, after input 99 of run 1: the inputs between 99 and 110 are missing") || r.Members[1].Passed == 0 {
		t.Errorf("left out %q, passed over %d", told, r.Members[1].Passed)
	}
	if len(r.Breaches) > 0 {
		t.Errorf("a gap is no breach:\n%s", text(t, r))
	}
}

func TestLogsOfDifferentClustersAreRefused(t *testing.T) {
	other := record(t, 5, 2*time.Minute, func(r *replaytest.Recorder) {
		r.Change = func(_ string, in *events.Input) {
			if f, ok := in.Fact.(events.Started); ok {
				f.Member.Scope = "another"
				in.Fact = f
			}
		}
	})
	here := record(t, 5, 2*time.Minute, nil)
	identity := record(t, 5, 2*time.Minute, func(r *replaytest.Recorder) {
		r.Change = func(_ string, in *events.Input) {
			switch f := in.Fact.(type) {
			case events.DCSChange:
				if f.Key == events.KeyInitialize && f.Value != "" {
					f.Value = "42"
				}
				in.Fact = f
			case events.DCSSnapshot:
				f.Keys = slices.Clone(f.Keys)
				for i := range f.Keys {
					if f.Keys[i].Key == events.KeyInitialize && f.Keys[i].Value != "" {
						f.Keys[i].Value = "42"
					}
				}
				in.Fact = f
			}
		}
	})
	for _, c := range []struct {
		dirs []string
		want string
	}{
		{[]string{here.dirs[0], other.dirs[1]}, `is of cluster "another"`},
		{[]string{here.dirs[0], here.dirs[0]}, "are both of member"},
		{[]string{here.dirs[0], identity.dirs[1]}, "of the system 42"},
	} {
		if _, err := replay.Merge(read(t, c.dirs)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v; want %q", c.dirs, err, c.want)
		}
	}
}
