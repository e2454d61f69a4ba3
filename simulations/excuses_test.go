package simulations

import (
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// TestExcuses brings each truth of the table about and takes it away again: a member's reason is believed only while it is true.
func TestExcuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(t *testing.T) (w *World, m *Member)
		spoil func(w *World, m *Member) // makes the reason untrue, and leaves the member as it is
	}{
		{"it may not lead", func(t *testing.T) (*World, *Member) {
			w := New(Settings{Seed: 1, Members: 2, Config: quick})
			tagged := w.members[1]
			tagged.Tags.NoFailover = true
			for _, m := range w.members {
				m.Start()
			}
			within(t, w, time.Minute, "a healthy cluster", w.Healthy)
			w.members[0].KillAll()
			return w, tagged
		}, func(_ *World, m *Member) { m.Tags.NoFailover = false }},
		{"the store has lost the cluster", func(t *testing.T) (*World, *Member) {
			w := grown(t, 2, quick)
			w.Leader().KillAll()
			w.Wipe()
			return w, others(w)[0]
		}, func(w *World, _ *Member) { w.store.Edit(events.KeyInitialize, "7300", false) }},
		{"it has received less", func(t *testing.T) (*World, *Member) {
			w := New(Settings{Seed: 3, Members: 2, Config: `{"ttl":5,"loop_wait":1,"retry_timeout":1,"maximum_lag_on_failover":1024}`})
			for _, m := range w.members {
				m.Start()
			}
			within(t, w, time.Minute, "a healthy cluster", w.Healthy)
			leader, behind := w.Leader(), others(w)[0]
			behind.Isolate(true)
			w.Run(time.Second)
			leader.pg.WriteWAL(1 << 20)
			w.Run(3 * time.Second)
			leader.KillAll()
			return w, behind
		}, func(w *World, _ *Member) { w.store.Edit(events.KeyStatus, `{"optime":1}`, false) }},
		{"its timeline is one", func(t *testing.T) (*World, *Member) {
			w := grown(t, 4, quick)
			first := w.Leader()
			first.CrashPostgres()
			within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != first })
			w.Run(3 * time.Second)
			w.Leader().KillAll()
			for _, m := range others(w) {
				if m.alive {
					m.pg.Stray(1, 0)
				}
			}
			return w, first
		}, func(w *World, _ *Member) { w.store.Edit(events.KeyHistory, "[]", false) }},
		{"a newer timeline is in the archive", func(t *testing.T) (*World, *Member) {
			w := grown(t, 8, quick)
			old := diverge(t, w)
			w.Run(5 * time.Second)
			for _, m := range w.members {
				if m != old {
					m.KillAll()
				}
			}
			old.Boot()
			return w, old
		}, func(w *World, m *Member) {
			for _, o := range w.members {
				if o != m {
					o.pg.Empty()
				}
			}
		}},
		{"it has no data", func(t *testing.T) (*World, *Member) {
			w := grown(t, 5, quick)
			empty := others(w)[0]
			for _, m := range w.members {
				m.KillAll()
			}
			empty.pg.Empty()
			empty.Boot()
			return w, empty
		}, func(_ *World, m *Member) { m.pg.Restore() }},
		{"its data has WAL", func(t *testing.T) (*World, *Member) {
			w := grown(t, 6, `{"ttl":5,"loop_wait":1,"retry_timeout":1,"postgresql":{"use_pg_rewind":false}}`)
			old := diverge(t, w)
			old.Boot()
			within(t, w, 30*time.Second, "a member that needs a person", func() bool { return old.engine.State() == engine.Stranded })
			return w, old
		}, func(w *World, m *Member) {
			for _, o := range w.members {
				if o != m {
					o.pg.Empty()
				}
			}
		}},
		{"its data is half rewound", func(t *testing.T) (*World, *Member) {
			w := grown(t, 7, quick)
			old := diverge(t, w)
			old.Boot()
			within(t, w, 30*time.Second, "a rewind that has begun to write", old.pg.HalfRewound)
			for _, m := range w.members {
				if m != old {
					m.KillAll()
				}
			}
			return w, old
		}, func(_ *World, m *Member) { m.pg.Empty() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, m := c.build(t)
			why, ok := "", false
			if !w.RunUntil(2*time.Minute, func() bool {
				why, ok = w.excuse(m, w.Leader())
				return ok && strings.Contains(why, c.name)
			}) {
				t.Fatalf("%s says %q, which is taken for %q\n%s", m.name, m.State(), why, picture(w))
			}
			c.spoil(w, m)
			if why, ok := w.excuse(m, w.Leader()); ok && strings.Contains(why, c.name) {
				t.Errorf("%s is believed: %s, which is not true any more", m.name, why)
			}
		})
	}
}

// diverge lets the leader write what nobody receives, end, and be followed by another. It returns the former leader, whose host is down.
func diverge(t *testing.T, w *World) *Member {
	t.Helper()
	old := w.Leader()
	old.Isolate(true)
	w.Run(2 * time.Second)
	old.KillAll()
	old.Isolate(false)
	within(t, w, 20*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
	return old
}

// TestNoExcuseWithoutItsRule: what is true excuses only the member that says so.
func TestNoExcuseWithoutItsRule(t *testing.T) {
	w := grown(t, 1, quick)
	for _, m := range w.members {
		m.Tags.NoFailover = true // true, and the engine was not told
	}
	w.Leader().KillAll()
	m := others(w)[0]
	if m.engine.Status().Rule == "FL-22" {
		t.Fatalf("%s", m.State())
	}
	if why, ok := w.excuse(m, nil); ok {
		t.Errorf("%s is excused: %s", m.State(), why)
	}
	m.Kill()
	if why, ok := w.excuse(m, nil); ok {
		t.Errorf("a dead agent is excused: %s", why)
	}
}

// TestExcusesNameRules: a rule that is not in the table of rules excuses nobody.
func TestExcusesNameRules(t *testing.T) {
	known := map[events.RuleID]bool{}
	for _, id := range engine.RuleIDs() {
		known[id] = true
	}
	for _, e := range excuses {
		for _, id := range e.rules {
			if !known[id] {
				t.Errorf("%q: there is no rule %s", e.name, id)
			}
		}
	}
}
