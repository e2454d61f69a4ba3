package simulations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

const config = `{"ttl":30,"loop_wait":10,"retry_timeout":10,"postgresql":{"use_pg_rewind":true}}`
const quick = `{"ttl":5,"loop_wait":1,"retry_timeout":2,"primary_start_timeout":0,"postgresql":{"use_pg_rewind":true}}`

// grown makes a world with a healthy cluster of three.
func grown(t *testing.T, seed uint64, cfg string) *World {
	t.Helper()
	w := New(Settings{Seed: seed, Members: 3, Config: cfg})
	for _, m := range w.members {
		m.Start()
	}
	within(t, w, time.Minute, "a healthy cluster", w.Healthy)
	return w
}

func within(t *testing.T, w *World, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := w.Now()
	if !w.RunUntil(d, ok) {
		t.Fatalf("no %s within %v\n%s", what, d, picture(w))
	}
	sound(t, w)
	return w.Now().Sub(began)
}

// says is the value of a key, empty when it is absent.
func says(w *World, key string) string {
	kv, _ := w.Key(key)
	return kv.Value
}

func sound(t *testing.T, w *World) {
	t.Helper()
	if len(w.Broken) > 0 {
		t.Fatalf("broken:\n%s\n%s", strings.Join(w.Broken, "\n"), picture(w))
	}
}

func picture(w *World) string {
	var b strings.Builder
	for _, l := range w.Trace(60) {
		fmt.Fprintln(&b, l)
	}
	for _, m := range w.members {
		fmt.Fprintf(&b, "%s alive %v exit %d pg running %v starting %v recovery %v tl %d lsn %v streaming %v from %q | %s\n",
			m.name, m.alive, m.Exit, m.pg.Running(), m.pg.Observe().Starting, m.pg.Recovering(), m.pg.Timeline(), m.pg.LSN(), m.pg.Streaming(), m.pg.Upstream(), m.State())
	}
	fmt.Fprintf(&b, "%s leader key %q\n", w.clock(), w.LeaderKey())
	return b.String()
}

// eachSeed runs a scenario on several seeds, and each twice: the same seed must give the same run.
func eachSeed(t *testing.T, run func(t *testing.T, seed uint64) *World) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			a, b := run(t, seed), run(t, seed)
			if a.Hash() != b.Hash() {
				t.Fatalf("two runs of seed %d differ: %x and %x", seed, a.Hash(), b.Hash())
			}
		})
	}
}

func TestBootstrapOfThreeAtOnce(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		if n := w.Fired("BS-20"); n != 1 {
			t.Fatalf("initdb ran %d times", n)
		}
		w.Run(time.Minute)
		sound(t, w)
		return w
	})
}

func TestSwitchover(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		to := "n1"
		if old.name == "n1" {
			to = "n2"
		}
		before := old.pg.LSN()
		w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q,"member":%q}`, old.name, to))
		took := within(t, w, 10*time.Second, "leader "+to, func() bool { return w.Leader() == w.Member(to) })
		if took > time.Second {
			t.Errorf("switchover took %v\n%s", took, picture(w))
		}
		within(t, w, 20*time.Second, "a healthy cluster again", w.Healthy)
		if w.Member(to).pg.LSN() < before {
			t.Fatal("WAL was lost")
		}
		if n := w.Fired("RW-99"); n != 0 {
			t.Errorf("a planned switchover needed a rewind\n%s", picture(w))
		}
		w.Run(20 * time.Second)
		if v := says(w, events.KeyFailover); v != "{}" {
			t.Errorf("the request stays: %s", v)
		}
		return w
	})
}

func TestSwitchoverBackAndForth(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		from, to := w.Leader(), w.Member("n1")
		if from == to {
			to = w.Member("n2")
		}
		for range 4 {
			w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q,"member":%q}`, from.name, to.name))
			within(t, w, 2*time.Second, "leader "+to.name, func() bool { return w.Leader() == to })
			within(t, w, 20*time.Second, "a healthy cluster again", w.Healthy)
			from, to = to, from
		}
		return w
	})
}

func TestCrashIsRestartedInPlace(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		old.CrashPostgres()
		took := within(t, w, 5*time.Second, "the same leader", func() bool { return w.Leader() == old })
		if took > time.Second {
			t.Errorf("took %v", took)
		}
		within(t, w, 20*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestCrashFailsOverAtOnce(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		old.CrashPostgres()
		took := within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		if took > 400*time.Millisecond {
			t.Errorf("took %v\n%s", took, picture(w))
		}
		within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestMemberCrash(t *testing.T) {
	for _, ttl := range []int{3, 5, 30} {
		t.Run(fmt.Sprint("ttl ", ttl), func(t *testing.T) {
			eachSeed(t, func(t *testing.T, seed uint64) *World {
				w := grown(t, seed, fmt.Sprintf(`{"ttl":%d,"loop_wait":1,"retry_timeout":1,"postgresql":{"use_pg_rewind":true}}`, ttl))
				old := w.Leader()
				old.KillAll()
				took := within(t, w, time.Minute, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
				if took > time.Duration(ttl)*time.Second+800*time.Millisecond {
					t.Errorf("took %v\n%s", took, picture(w))
				}
				old.Boot()
				within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
				return w
			})
		})
	}
}

func TestFrozenAgentIsFenced(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		old.Freeze()
		within(t, w, 10*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		w.Run(time.Minute)
		sound(t, w)
		old.Thaw()
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestAgentKilledAndBackInTime(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		pid := old.pg.PID()
		old.Kill()
		w.Run(5 * time.Second)
		old.Start()
		within(t, w, 5*time.Second, "the same leader", func() bool { return w.Leader() == old })
		w.Run(time.Minute)
		sound(t, w)
		if old.pg.PID() != pid || w.Leader() != old {
			t.Fatalf("PostgreSQL was touched\n%s", picture(w))
		}
		return w
	})
}

func TestAgentKilledForGood(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		old.Kill()
		within(t, w, 10*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		old.Start()
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestStoreOutage(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.SetStore(false)
		within(t, w, 31*time.Second, "the demotion of the primary", func() bool { return !old.pg.Writable() })
		w.Run(10 * time.Second)
		w.SetStore(true)
		took := within(t, w, 10*time.Second, "a primary again", func() bool { return w.Leader() != nil })
		if took > 2200*time.Millisecond {
			t.Errorf("took %v after the store was back\n%s", took, picture(w))
		}
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestPrimaryLosesTheStoreButKeepsItsClients(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Cut(old.name, true)
		within(t, w, 40*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		w.Run(20 * time.Second)
		w.Cut(old.name, false)
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestFullRestart(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		for _, m := range w.members {
			m.Stop()
		}
		within(t, w, time.Minute, "the end of all agents", func() bool {
			return w.members[0].Exit == 0 && w.members[1].Exit == 0 && w.members[2].Exit == 0
		})
		for _, m := range w.members {
			m.Exit = -1
			m.Boot()
		}
		within(t, w, 2*time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestPowerCutOfAll(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		for _, m := range w.members {
			m.KillAll()
		}
		w.Run(10 * time.Second)
		for _, m := range w.members {
			m.Boot()
		}
		within(t, w, 2*time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestEmptiedDataDirectoryIsClonedAgain(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		var m *Member
		for _, x := range w.members {
			if x != w.Leader() {
				m = x
			}
		}
		m.KillAll()
		m.pg.Empty()
		m.Boot()
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestPause(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Put(events.KeyConfig, strings.Replace(config, "{", `{"pause":true,`, 1))
		within(t, w, 10*time.Second, "a pause everywhere", func() bool {
			for _, m := range w.members {
				if m.engine.State() != engine.Paused {
					return false
				}
			}
			return true
		})
		if old.guard.deadline != 0 {
			w.Run(time.Second)
		}
		w.SetStore(false)
		w.Run(2 * time.Minute)
		if !old.pg.Writable() {
			t.Fatalf("the primary was stopped in a pause\n%s", picture(w))
		}
		w.SetStore(true)
		w.Run(20 * time.Second)
		w.Put(events.KeyConfig, config)
		within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
		if w.Leader() != old {
			t.Errorf("the leader changed\n%s", picture(w))
		}
		return w
	})
}

func TestForeignDataIsNotTouched(t *testing.T) {
	w := grown(t, 1, config)
	m := w.Member("n3")
	if w.Leader() == m {
		m = w.Member("n2")
	}
	m.KillAll()
	m.pg.Restore()
	foreign := m.pg.SystemID()
	m.Boot()
	within(t, w, 20*time.Second, "a stranded member", func() bool { return m.engine.State() == engine.Stranded })
	w.Run(time.Minute)
	if m.pg.Running() || m.pg.SystemID() != foreign {
		t.Fatal("foreign data was touched")
	}
}

func TestWipedStoreIsNotInitializedByAReplica(t *testing.T) {
	w := grown(t, 2, config)
	old := w.Leader()
	old.KillAll()
	w.Wipe()
	w.Run(2 * time.Minute)
	sound(t, w)
	if w.Leader() != nil || says(w, events.KeyInitialize) != "" {
		t.Fatalf("a replica initialized the cluster\n%s", picture(w))
	}
	old.Boot()
	within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
}

func TestShorterTTLTakesEffectBeforeItCanHurt(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Put(events.KeyConfig, quick)
		w.Run(10 * time.Second)
		if left := old.guard.deadline.Sub(w.Now()); left > 5*time.Second {
			t.Fatalf("the guard still waits %v", left)
		}
		old.Freeze()
		within(t, w, 7*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		return w
	})
}

func TestGuardKilledIsReplaced(t *testing.T) {
	w := grown(t, 3, config)
	old := w.Leader()
	old.KillGuard()
	w.Run(time.Minute)
	sound(t, w)
	if w.Leader() != old || old.guard.deadline == 0 {
		t.Fatalf("the new guard holds no deadline\n%s", picture(w))
	}
}

// A guard that has fired kills whatever is started in its directory: it must be told first.
func TestFiredGuardIsToldBeforeAnythingStarts(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		old.Kill()
		within(t, w, 20*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		if !old.guard.fired {
			t.Fatalf("the guard has not fired\n%s", picture(w))
		}
		old.Start()
		within(t, w, 5*time.Second, "an answer to the guard", func() bool { return !old.guard.fired })
		if old.pg.Running() || old.pg.Observe().Starting {
			t.Fatalf("PostgreSQL was started under a guard that has fired\n%s", picture(w))
		}
		within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}
