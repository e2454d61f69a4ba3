package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// monkey does anything to anybody at any time, and checks what must hold whatever is done.
type monkey struct {
	*world
	l     Ledger
	env   *kernel.Domain
	steps int
	text  string
	// refused commits must be nowhere.
	refused []uint64
}

func (m *monkey) one() *Server { return m.c.servers[m.env.Pick("who", 3)] }

func (m *monkey) step() {
	s, o := m.one(), m.one()
	m.steps++
	switch m.env.Pick("what", 30) {
	case 0, 1, 2:
		for _, x := range m.c.servers {
			m.l.Write(x, func(id uint64, a Answer) {
				if a == Refused {
					m.refused = append(m.refused, id)
				} else if a == Acknowledged && (!x.Visible(id) && x.phase == up || x.Recovering() && x.phase == up) {
					m.t.Errorf("%d is acknowledged by %s and not visible", id, x.name)
				}
			})
		}
	case 3:
		s.Kill()
	case 4:
		s.CrashHost()
		m.k.After(kernel.Between(m.env, "down", 0, time.Minute), s.BootHost)
	case 5:
		s.Hang()
		m.k.After(kernel.Between(m.env, "hangs", 0, time.Minute), s.Resume)
	case 6:
		s.SetDisk(Disk(m.env.Pick("disk", 5)))
		m.k.After(kernel.Between(m.env, "disk", 0, time.Minute), func() { s.SetDisk(DiskWell) })
	case 7, 8:
		cut := m.env.Pick("cut", 2) == 1
		m.cut[[2]string{s.name, o.name}] = cut
		m.c.Changed()
	case 9:
		s.AgentDied()
	case 10:
		s.CrashBackend()
	case 11:
		s.SetLag(kernel.Between(m.env, "lag", 0, time.Second))
	case 12:
		s.SetStreamRate(1e6)
		if s.Writable() {
			s.WriteWAL(20 << 20)
		}
	case 13:
		if err := s.SetSync([]string{"", "ANY 1 (*)", "FIRST 1 (b, d, a)"}[m.env.Pick("sync", 3)]); err != nil {
			m.t.Error(err)
		}
	case 14:
		s.CancelWaits()
	case 15:
		s.FillConnections(m.env.Pick("full", 2) == 1)
	default:
		m.effect(s, o)
	}
}

func (m *monkey) effect(s, o *Server) {
	a := []events.Action{events.Bootstrap{}, events.Clone{From: of(o), Discard: m.env.Pick("discard", 2) == 1}, events.StartPostgres{AsPrimary: true},
		events.StartPostgres{From: of(o)}, events.StopPostgres{Mode: events.StopFast, EscalateAfter: time.Second}, events.StopPostgres{Mode: events.StopImmediate},
		events.StopPostgres{Mode: events.StopKill}, events.RestartPostgres{From: of(o)}, events.Promote{}, events.Follow{From: of(o)},
		events.CheckDivergence{Leader: of(o)}, events.CrashRecover{}, events.Rewind{From: of(o)}, events.Checkpoint{},
		events.SyncSlots{Members: []string{"a", "b", "d"}}, events.ApplyConfig{Document: []byte(`{}`)}}[m.env.Pick("effect", 16)]
	before := m.k.Now()
	within := kernel.Between(m.env, "deadline", time.Second, time.Minute)
	ended := false
	cancel := s.Perform(a, before.Add(within), nil, func(events.Outcome, events.Result, string) {
		if ended {
			m.t.Error("an effect has ended twice")
		}
		ended = true
	})
	if m.env.Pick("cancel", 10) == 9 {
		m.k.After(within/4, cancel)
	}
}

func (m *monkey) check() {
	for _, s := range m.c.servers {
		o := s.Observe()
		if s.HasData() && (s.flushed > s.wal.at || s.recovery && s.phase == up && s.replayed > s.flushed) {
			m.t.Fatalf("%s: replayed %v, flushed %v, written %v", s.name, s.replayed, s.flushed, s.wal.at)
		}
		if s.Streaming() && s.Diverged(s.upstream) {
			m.t.Fatalf("%s streams from %s, from which it has diverged", s.name, s.upstream.name)
		}
		if s.phase == up && !s.recovery && o.Answering && o.Server.FlushLSN > s.wal.at {
			m.t.Fatalf("%s: %+v", s.name, o)
		}
		if s.work != nil && s.work.deadline.Add(10*time.Second) < m.k.Now() {
			m.t.Fatalf("%s: %s goes on after its deadline", s.name, s.Busy())
		}
		m.text = fmt.Sprint(m.text[max(0, len(m.text)-200):], o.Server.FlushLSN, o.Server.ReceivedLSN, o.Answering)
	}
}

func ape(t *testing.T, seed uint64) string {
	k := kernel.New(kernel.Seeded(seed))
	w := &world{t: t, k: k, cut: map[[2]string]bool{}}
	w.c = NewCluster(Host{Env: k.Domain("postgres"), Reaches: func(from, to string) bool { return !w.cut[[2]string{from, to}] }})
	w.a, w.b, w.d = w.c.Add("a"), w.c.Add("b"), w.c.Add("d")
	w.c.Faults = Faults{Fail: 50, Slow: 50}
	m := &monkey{world: w, env: k.Domain("monkey")}
	w.do(w.a, events.Bootstrap{})
	for range 400 {
		m.step()
		k.Run(kernel.Between(m.env, "pause", time.Millisecond, 5*time.Second))
		m.check()
	}
	for _, id := range m.refused {
		if found := m.l.Found(m.c, id); len(found) > 0 {
			t.Fatalf("%d was refused, and is on %v", id, found)
		}
	}
	return fmt.Sprint(m.text, m.l, k.Events())
}

// TestAnything lets anything happen in any order: nothing breaks, and a seed is a run.
func TestAnything(t *testing.T) {
	for seed := range uint64(150) {
		first := ape(t, seed)
		if seed%10 == 0 && ape(t, seed) != first {
			t.Fatalf("seed %d is two runs", seed)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
