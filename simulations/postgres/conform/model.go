package conform

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
)

// model is the stage of the model.
type model struct {
	t testing.TB
	k *kernel.Kernel
	c *postgres.Cluster
}

// Model makes a stage of the model, in virtual time.
func Model(t testing.TB) Stage {
	s := model{t: t, k: kernel.New(kernel.Harmless())}
	s.c = postgres.NewCluster(postgres.Host{Env: s.k.Domain("postgres"), Reaches: func(string, string) bool { return true },
		Exited: func(string, events.PostgresExited) {}})
	for _, m := range Members {
		s.c.Add(m)
	}
	return s
}

func (s model) Prepared() bool { return false }

func (s model) CreateTable(string) {}

func (s model) Do(m string, a events.Action, within time.Duration) (events.Outcome, events.Result) {
	s.t.Helper()
	return s.Begin(m, a, within)()
}

func (s model) Begin(m string, a events.Action, within time.Duration) func() (events.Outcome, events.Result) {
	var outcome events.Outcome
	var result events.Result
	s.c.Server(m).Perform(a, s.k.Now().Add(within), nil, func(o events.Outcome, r events.Result, _ string) { outcome, result = o, r })
	return func() (events.Outcome, events.Result) {
		s.t.Helper()
		s.Until("the end of "+string(a.ActionKind()), func() bool { return outcome != "" })
		return outcome, result
	}
}

func (s model) See(m string) events.Observation { return s.c.Server(m).Observe() }

func (s model) Until(what string, ok func() bool) {
	s.t.Helper()
	for range 20_000 {
		if ok() {
			return
		}
		s.k.Run(20 * time.Millisecond)
	}
	for _, m := range Members {
		s.t.Logf("%s: %+v", m, s.See(m))
	}
	s.t.Fatalf("the model: waited in vain for %s", what)
}

func (s model) Write(m string, id int) func(time.Duration) string {
	got := "waiting"
	s.c.Server(m).Write(uint64(id), func(a postgres.Answer) { got = []string{"acknowledged", "refused", "unanswered"}[a] })
	return func(within time.Duration) string {
		s.k.RunUntil(within, func() bool { return got != "waiting" })
		return got
	}
}

func (s model) Visible(m string, id int) bool { return s.c.Server(m).Visible(uint64(id)) }

func (s model) Sync(m, names string) {
	s.t.Helper()
	if err := s.c.Server(m).SetSync(names); err != nil {
		s.t.Fatal(err)
	}
}

func (s model) Kill(m string) { s.c.Server(m).Kill() }

func (s model) Hang(m string, hung bool) {
	if hung {
		s.c.Server(m).Hang()
	} else {
		s.c.Server(m).Resume()
	}
}

func (s model) HangUp(m string) { s.c.Server(m).CancelWaits() }

func (s model) LoseWAL(m, of string) {
	s.t.Helper()
	x := s.c.Server(m)
	x.KeepNoWAL()
	x.DropSlot(of)
	x.WriteWAL(64 << 20)
	s.k.Run(time.Second)
	if o, _ := s.Do(m, events.Checkpoint{}, Patience); o != events.Done {
		s.t.Fatalf("checkpoint of %s: %s", m, o)
	}
}

func (s model) Knows(m string, t events.Timeline) bool { return s.c.Server(m).Knows(t) }

func (s model) Pass(d time.Duration) { s.k.Run(d) }
