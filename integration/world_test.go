package integration

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
	"github.com/regent-ha/regent/simulations/live"
)

const (
	ttl      = 5 * time.Second
	dynamic  = `{"ttl": 5, "loop_wait": 1, "retry_timeout": 1}`
	patience = 90 * time.Second // for one scenario
	period   = 10 * time.Millisecond
)

// world is a cluster with its clients.
type world struct {
	*live.Cluster
	store  string
	writer *live.Writer
	probes *live.Probes
}

func start(t *testing.T, o live.Options) *world {
	t.Helper()
	o.Binary, o.Dynamic, o.Log = binary, dynamic, lines{t}
	o.KeepOnFail = os.Getenv("REGENT_KEEP") != ""
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := live.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Cluster: c, store: o.Store}
	t.Cleanup(func() {
		if w.writer != nil {
			w.writer.Stop()
		}
		if w.probes != nil {
			w.probes.Stop()
		}
		if t.Failed() || o.KeepOnFail {
			c.Failed()
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// lines sends a cluster's progress to the test's log.
type lines struct{ t *testing.T }

func (l lines) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// clients starts the writer and the probes.
func (w *world) clients(ctx context.Context, t *testing.T) {
	t.Helper()
	var err error
	if w.writer, err = live.StartWriter(ctx, w.Cluster, period); err != nil {
		t.Fatal(err)
	}
	if w.probes, err = live.StartProbes(ctx, w.Cluster); err != nil {
		t.Fatal(err)
	}
}

// scenario is one thing that happens to a healthy cluster and leaves it healthy.
type scenario struct {
	name string
	run  func(ctx context.Context, t *testing.T, w *world)
}

// play runs scenarios until one fails: what comes after it would start from a broken cluster.
func (w *world) play(t *testing.T, scenarios ...scenario) {
	t.Helper()
	for _, s := range scenarios {
		ok := t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			defer func() {
				if t.Failed() {
					w.showLogs(t)
				}
			}()
			began := time.Now()
			s.run(ctx, t, w)
			w.noOverlap(t)
			w.settle(ctx, t)
			t.Logf("%s: %s took %v", w.store, s.name, time.Since(began).Round(10*time.Millisecond))
		})
		if !ok {
			t.FailNow()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.ReplayLogs(ctx); err != nil {
		t.Error(err)
	}
	w.judgeLogs(ctx, t)
}

// judgeLogs judges what all members recorded: nothing is broken, their clocks are known from what they saw of each other, and a world of models can go
// on from there.
func (w *world) judgeLogs(ctx context.Context, t *testing.T) {
	j, err := w.JudgeLogs(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	for _, m := range j.Replay.Members {
		if !m.Known || m.Doubt > time.Second || m.Ahead.Abs() > m.Doubt { // all are the same clock
			t.Errorf("the clock of %s is taken to be ahead by %v ±%v, known %v", m.Name, m.Ahead, m.Doubt, m.Known)
		}
	}
	for _, x := range j.Replay.Closest {
		t.Logf("%s: closest call (%s): %s", w.store, x.Kind, x.Text)
	}
	t.Logf("%s: left out: %v; with models: %v, left out: %v", w.store, j.Replay.LeftOut, j.Free.Verdicts, j.Free.LeftOut)
}

// settle waits until the cluster is whole again.
func (w *world) settle(ctx context.Context, t *testing.T) {
	t.Helper()
	must(t, w.WaitHealthy(ctx))
}

func (w *world) noOverlap(t *testing.T) {
	t.Helper()
	if w.probes == nil {
		return
	}
	if o := w.probes.Overlap(); !o.None() {
		t.Errorf("two members acknowledged writes at once: %v", o)
	}
}

// showLogs prints the end of every member's decisions, without those of its routine.
func (w *world) showLogs(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, m := range w.Members() {
		text, err := w.ShowLog(ctx, m)
		if err != nil {
			t.Log(err)
			continue
		}
		var told []string
		for line := range strings.Lines(text) {
			if !routine.MatchString(line) {
				told = append(told, line)
			}
		}
		t.Logf("the last decisions of %s:\n%s", m.Name, strings.Join(told[max(0, len(told)-40):], ""))
	}
}

// routine are decisions that changed nothing, or renewed and published what had to be.
var routine = regexp.MustCompile(`^\S+ +\d+  [a-z]+ +[A-Z]{2}-\d+( +(DC|PU|LE)-[^;]*(; (DC|PU|LE)-[^;]*)*)?\n$`)

func (w *world) leader(ctx context.Context, t *testing.T) *live.Member {
	t.Helper()
	m, err := w.WaitLeader(ctx, nil)
	must(t, err)
	return m
}

// replicas are all members but one.
func (w *world) replicas(leader *live.Member) []*live.Member {
	var others []*live.Member
	for _, m := range w.Members() {
		if m != leader {
			others = append(others, m)
		}
	}
	return others
}

// successor waits until somebody else leads and writes go on.
func (w *world) successor(ctx context.Context, t *testing.T, old *live.Member, since time.Time) *live.Member {
	t.Helper()
	m, err := w.WaitLeader(ctx, func(name string) bool { return name != old.Name })
	must(t, err)
	must(t, w.writer.Resumed(ctx, since))
	return m
}

// missing counts lost writes; more than none fails the test where none may be lost.
func (w *world) missing(ctx context.Context, t *testing.T, since time.Time, mayLose bool) {
	t.Helper()
	n, err := w.writer.Missing(ctx)
	must(t, err)
	t.Logf("%s: gap %v, %d of %d acknowledged writes missing", w.store, w.writer.Gap(since).Round(time.Millisecond), n, len(w.writer.Acks()))
	if n > 0 && !mayLose {
		t.Errorf("%d acknowledged writes are missing", n)
	}
}

// fresh starts a new writer, so that losses are counted from here.
func (w *world) fresh(ctx context.Context, t *testing.T) {
	t.Helper()
	w.writer.Stop()
	var err error
	w.writer, err = live.StartWriter(ctx, w.Cluster, period)
	must(t, err)
}

// finished counts the effects of a kind that a member recorded as done since a time.
func finished(t *testing.T, m *live.Member, kind events.ActionKind, since time.Time) int {
	t.Helper()
	n := 0
	for r, err := range eventlog.Read(m.EventLogDir).All() {
		must(t, err)
		if r.Kind != eventlog.KindInput {
			continue
		}
		in, err := r.Input()
		must(t, err)
		if f, ok := in.Fact.(events.EffectFinished); ok && f.Action == kind && f.Outcome == events.Done && in.Wall >= since.UnixNano() {
			n++
		}
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
