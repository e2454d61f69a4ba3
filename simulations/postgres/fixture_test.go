package postgres

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// world is a cluster under test, with a network whose cuts are one way.
type world struct {
	t       testing.TB
	k       *kernel.Kernel
	c       *Cluster
	cut     map[[2]string]bool
	exits   []events.PostgresExited
	a, b, d *Server // d is the third
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, k: kernel.New(kernel.Harmless()), cut: map[[2]string]bool{}}
	w.c = NewCluster(Host{Env: w.k.Domain("postgres"),
		Reaches: func(from, to string) bool { return !w.cut[[2]string{from, to}] },
		Exited:  func(_ string, f events.PostgresExited) { w.exits = append(w.exits, f) }})
	w.a, w.b, w.d = w.c.Add("a"), w.c.Add("b"), w.c.Add("d")
	return w
}

// trio is a primary a with its streaming replicas b and d, which have slots.
func trio(t testing.TB) *world {
	w := newWorld(t)
	w.must(w.a, events.Bootstrap{})
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	for _, s := range []*Server{w.b, w.d} {
		w.must(s, events.Clone{From: of(w.a)})
		w.must(s, events.StartPostgres{From: of(w.a)})
	}
	w.until("streaming", func() bool { return w.b.Streaming() && w.d.Streaming() })
	w.k.Run(time.Second)
	return w
}

func of(s *Server) events.Upstream {
	return events.Upstream{Name: s.name, ConnURL: "postgres://" + s.name + ":5432/postgres"}
}

type outcome struct {
	events.Outcome
	events.Result
	why string
}

func (w *world) perform(s *Server, a events.Action, within time.Duration) *outcome {
	o := &outcome{}
	s.Perform(a, w.k.Now().Add(within), nil, func(out events.Outcome, r events.Result, why string) {
		if o.Outcome != "" {
			w.t.Errorf("%s of %s has ended twice", a.ActionKind(), s.name)
		}
		*o = outcome{out, r, why}
	})
	if o.Outcome != "" {
		w.t.Errorf("%s of %s has ended at once", a.ActionKind(), s.name)
	}
	return o
}

func (w *world) do(s *Server, a events.Action) outcome {
	w.t.Helper()
	o := w.perform(s, a, time.Minute)
	if !w.k.RunUntil(70*time.Second, func() bool { return o.Outcome != "" }) {
		w.t.Fatalf("%s of %s does not end", a.ActionKind(), s.name)
	}
	return *o
}

func (w *world) must(s *Server, a events.Action) events.Result {
	w.t.Helper()
	o := w.do(s, a)
	if o.Outcome != events.Done {
		w.t.Fatalf("%s of %s: %s: %s", a.ActionKind(), s.name, o.Outcome, o.why)
	}
	return o.Result
}

func (w *world) fails(s *Server, a events.Action, why string) {
	w.t.Helper()
	if o := w.do(s, a); o.Outcome != events.Failed || why != "" && o.why != why {
		w.t.Fatalf("%s of %s: %s: %s, want a failure: %s", a.ActionKind(), s.name, o.Outcome, o.why, why)
	}
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	if !w.k.RunUntil(5*time.Minute, ok) {
		for _, s := range w.c.servers {
			w.t.Logf("%s: %+v, refusal %q", s.name, s.Observe(), s.refusal)
		}
		w.t.Fatalf("waited in vain for: %s", what)
	}
}

// both cuts or heals both ways between two servers.
func (w *world) both(x, y *Server, cut bool) {
	w.cut[[2]string{x.name, y.name}], w.cut[[2]string{y.name, x.name}] = cut, cut
	w.c.Changed()
}

// write waits for the answer to one commit.
func (w *world) write(l *Ledger, s *Server) (uint64, Answer) {
	w.t.Helper()
	got, told := Answer(0), false
	id := l.Write(s, func(_ uint64, a Answer) { got, told = a, true })
	w.until("an answer", func() bool { return told })
	return id, got
}

func (w *world) divergence(s, from *Server) events.Divergence {
	w.t.Helper()
	return w.must(s, events.CheckDivergence{Leader: of(from)}).Divergence
}
