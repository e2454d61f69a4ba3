package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

// The bounds of the script. See Bounds for what they are for.
const (
	bootstrapBound  = 120 * time.Second
	stepBound       = 60 * time.Second
	gapBound        = 20 * time.Second
	untouchedBound  = 5 * time.Second // PostgreSQL is not touched: only the machine's own hiccups
	scriptWriteTick = 10 * time.Millisecond
)

// ErrScript says that a step of the script failed.
var ErrScript = errors.New("the script failed")

// step is a part of the tour.
type step struct {
	name string
	Bounds
	// run does it and tells what was done. gap and wrong are set by it.
	run func(ctx context.Context, t *tour, m *Measured) error
}

// tour is the script at work.
type tour struct {
	*session
	writer *live.Writer
	probes *live.Probes
	lost   int // so far
}

// Script runs the fixed tour and prints a line for each step and a table. The error is ErrScript if a step failed.
func Script(ctx context.Context, o Options) error {
	say := func(text string) error { _, err := fmt.Fprintln(o.Out, text); return err }
	if err := say(introduction(o.Timing)); err != nil {
		return err
	}
	s, err := open(ctx, o, func(text string) { _ = say(text) }) // the first line of a step will notice
	if err != nil {
		return err
	}
	t := &tour{session: s}
	all, err := t.steps(ctx, say)
	t.stop()
	err = errors.Join(err, s.close())
	if len(all) > 0 {
		err = errors.Join(err, say("\n"+table(all)))
	}
	if s.kept != "" {
		err = errors.Join(err, say("kept "+s.kept))
	}
	if err != nil {
		return err
	}
	for i := range all {
		if !all[i].Passed() {
			return fmt.Errorf("%w: step %d, %s", ErrScript, all[i].Number, all[i].Name)
		}
	}
	if s.kept == "" {
		return say("all steps passed, and nothing is left of the demo.")
	}
	return say("all steps passed, and nothing else is left of the demo.")
}

func introduction(timing Timing) string {
	return fmt.Sprintf(`Three members on this machine, with the embedded store; %v, so that the tour takes one to two minutes
(the defaults are 30, 10 and 10 s). A client writes every %v to whichever member accepts it; another one for each member
tries to write to that member alone, to prove that no two accept writes at once. Replication is asynchronous.
Bounds: bootstrap %.0f s, any other step %.0f s; writes may pause for %.0f s, and for %.0f s where PostgreSQL is not touched.
`, timing, scriptWriteTick, bootstrapBound.Seconds(), stepBound.Seconds(), gapBound.Seconds(), untouchedBound.Seconds())
}

// steps runs the steps until one fails: the next would begin from a cluster that is not what it expects.
func (t *tour) steps(ctx context.Context, say func(string) error) ([]Judged, error) {
	var all []Judged
	for i, st := range script {
		m := t.step(ctx, i+1, st)
		if ctx.Err() != nil {
			return all, fmt.Errorf("interrupted in step %d, %s", i+1, st.name)
		}
		all = append(all, judge(m))
		j := &all[len(all)-1]
		if err := say(j.line()); err != nil {
			return all, err
		}
		if !j.Passed() {
			t.cluster.Failed()
			return all, nil
		}
	}
	return all, nil
}

func (t *tour) step(ctx context.Context, number int, st step) Measured {
	m := Measured{Number: number, Name: st.name, Did: "nothing was done yet", Bounds: st.Bounds, Lost: -1}
	ctx, cancel := context.WithTimeout(ctx, st.Took)
	defer cancel()
	began := time.Now()
	m.Err = st.run(ctx, t, &m)
	m.Took = time.Since(began)
	if t.writer == nil || m.Err != nil {
		return m
	}
	missing, err := t.writer.Missing(ctx)
	if err != nil {
		m.Err = err
		return m
	}
	m.Lost, t.lost = missing-t.lost, missing
	if o := t.probes.Overlap(); !o.None() {
		m.Wrong = append(m.Wrong, "two members accepted writes at once: "+o.String())
	}
	m.Err = t.noteMemory()
	return m
}

// stop ends the clients.
func (t *tour) stop() {
	if t.writer != nil {
		t.writer.Stop()
	}
	if t.probes != nil {
		t.probes.Stop()
	}
}

// hurt does something to the leader and measures until writes are back and changed is true.
func (t *tour) hurt(ctx context.Context, m *Measured, do func(context.Context, *live.Member) error,
	changed func(before, now *live.Member) bool) (before, after *live.Member, err error) {
	if before, err = t.cluster.Leader(ctx); err != nil {
		return nil, nil, err
	}
	hit := time.Now()
	if err = do(ctx, before); err != nil {
		return before, nil, err
	}
	after, err = t.cluster.WaitLeader(ctx, func(name string) bool { return changed(before, t.cluster.Member(name)) })
	if err != nil {
		return before, nil, err
	}
	if err = t.writer.Resumed(ctx, time.Now()); err != nil {
		return before, after, err
	}
	m.Gap = t.writer.Gap(hit)
	return before, after, nil
}

func another(before, now *live.Member) bool { return before != now }
