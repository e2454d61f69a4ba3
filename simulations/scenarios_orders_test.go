package simulations

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// others are the members that do not lead, in order.
func others(w *World) []*Member {
	var out []*Member
	for _, m := range w.members {
		if m != w.Leader() {
			out = append(out, m)
		}
	}
	return out
}

func TestSwitchoverWithoutCandidate(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q}`, old.name))
		within(t, w, 2*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		within(t, w, 20*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestSwitchoverToNobodyIsRefusedAndCleared(t *testing.T) {
	w := grown(t, 1, config)
	old := w.Leader()
	for _, request := range []string{
		fmt.Sprintf(`{"leader":%q,"member":"nosuch"}`, old.name),
		fmt.Sprintf(`{"leader":%q,"member":%q}`, old.name, old.name),
		`{"leader":"nosuch"}`,
	} {
		w.Put(events.KeyFailover, request)
		within(t, w, 15*time.Second, "a cleared request", func() bool { return says(w, events.KeyFailover) == "{}" })
		if w.Leader() != old {
			t.Fatalf("%s moved the lease\n%s", request, picture(w))
		}
	}
}

func TestScheduledSwitchoverHappensAtItsTime(t *testing.T) {
	w := grown(t, 2, config)
	old := w.Leader()
	at := epochWall.Add(time.Duration(w.Now())).Add(45 * time.Second)
	w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q,"scheduled_at":%q}`, old.name, at.Format(time.RFC3339)))
	w.Run(43 * time.Second)
	if w.Leader() != old {
		t.Fatalf("too early\n%s", picture(w))
	}
	within(t, w, 4*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
}

func TestNofailoverMemberNeverLeads(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 3, Config: quick})
		w.members[0].Tags.NoFailover = true
		zero := 0
		w.members[1].Tags.FailoverPriority = &zero
		for _, m := range w.members {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		w.members[2].KillAll()
		w.Run(time.Minute)
		sound(t, w)
		if w.Leader() != nil || w.Fired("FL-22") == 0 {
			t.Fatalf("a member led that must not\n%s", picture(w))
		}
		w.members[2].Boot()
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestHigherPriorityIsPreferred(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 4, Config: quick})
		high := 5
		w.members[3].Tags.FailoverPriority = &high
		w.members[0].Start()
		within(t, w, time.Minute, "a leader", func() bool { return w.Leader() != nil })
		for _, m := range w.members[1:] {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		w.Quiet = true // newer WAL goes before priority: here all have the same
		w.Run(time.Second)
		w.members[0].CrashPostgres()
		within(t, w, 10*time.Second, "the preferred leader", func() bool { return w.Leader() == w.members[3] })
		return w
	})
}

func TestLaggingReplicaDoesNotCampaign(t *testing.T) {
	w := grown(t, 3, quick)
	old, a, b := w.Leader(), others(w)[0], others(w)[1]
	b.KillAll()
	a.Isolate(true) // from the leader's WAL
	old.pg.WriteWAL(10 << 20)
	w.Run(5 * time.Second)
	old.KillAll()
	w.Run(30 * time.Second)
	sound(t, w)
	if w.Leader() != nil || w.Fired("FL-26") == 0 {
		t.Fatalf("a replica 10 MB behind took the lead\n%s", picture(w))
	}
	old.Boot()
	a.Isolate(false)
	b.Boot()
	within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
}

func TestMemberOfTheSameNameIsRefused(t *testing.T) {
	w := grown(t, 4, config)
	victim, twin := others(w)[0], others(w)[1]
	twin.Kill()
	twin.called = victim.name // its configuration was copied from the other host
	twin.Start()
	within(t, w, 10*time.Second, "the twin's end", func() bool { return twin.Exit == 1 })
	twin.called = twin.name
	twin.Start()
	within(t, w, 20*time.Second, "a healthy cluster", w.Healthy)
}

func TestLeaderThatIsStoppedHandsOver(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		old.Stop()
		took := within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		if took > 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		within(t, w, 5*time.Second, "the end of the old one", func() bool { return old.Exit == 0 })
		old.Exit = -1
		old.Boot()
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		if w.Fired("RW-99") != 0 {
			t.Errorf("an orderly stop needed a rewind\n%s", picture(w))
		}
		return w
	})
}

func TestRestartAndReinitializeOnOrder(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		leader, replica := w.Leader(), others(w)[0]
		pid := leader.pg.PID()
		leader.Ask(events.OperatorRequest{ID: "1", Verb: events.AskRestart})
		within(t, w, 10*time.Second, "a restarted leader", func() bool { return w.Leader() == leader && leader.pg.PID() != pid })
		within(t, w, 20*time.Second, "a healthy cluster", w.Healthy)
		clones := w.Fired("DE-25")
		replica.Ask(events.OperatorRequest{ID: "2", Verb: events.AskReinitialize})
		within(t, w, 20*time.Second, "a fresh copy", func() bool { return w.Fired("DE-25") > clones })
		within(t, w, 20*time.Second, "a healthy cluster", w.Healthy)
		leader.Ask(events.OperatorRequest{ID: "3", Verb: events.AskReinitialize})
		w.Run(5 * time.Second)
		if w.Leader() != leader {
			t.Fatalf("the leader's data was discarded\n%s", picture(w))
		}
		return w
	})
}

func TestDivergedMemberWithoutRewindNeedsAPerson(t *testing.T) {
	w := grown(t, 5, `{"ttl":5,"loop_wait":1,"retry_timeout":1}`)
	old := w.Leader()
	for _, m := range others(w) {
		m.Isolate(true)
	}
	w.Run(time.Second)
	old.KillAll()
	for _, m := range w.members {
		m.Isolate(false)
	}
	within(t, w, 20*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
	old.Boot()
	within(t, w, 20*time.Second, "a stranded member", func() bool { return old.engine.State() == engine.Stranded })
	w.Run(time.Minute)
	sound(t, w)
	if old.engine.State() != engine.Stranded || !old.pg.HasData() {
		t.Fatalf("diverged data was touched without leave\n%s", picture(w))
	}
	old.Ask(events.OperatorRequest{ID: "1", Verb: events.AskReinitialize})
	within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
}

func TestSettingsThatCannotBeKeptForbidTheLead(t *testing.T) {
	w := grown(t, 6, quick)
	old := w.Leader()
	w.Put(events.KeyConfig, `{"ttl":5,"loop_wait":1,"retry_timeout":2,"synchronous_mode":true}`)
	w.Run(5 * time.Second)
	old.KillAll()
	w.Run(30 * time.Second)
	sound(t, w)
	if w.Leader() != nil || w.Fired("FL-19") == 0 {
		t.Fatalf("a member led under synchronous_mode\n%s", picture(w))
	}
}

func TestSwitchoverInAPauseBringsTheFormerPrimaryBack(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		w.Put(events.KeyConfig, `{"ttl":30,"loop_wait":10,"retry_timeout":10,"pause":true,"postgresql":{"use_pg_rewind":true}}`)
		all := func(state events.LifecycleState) bool {
			for _, m := range w.members {
				if m.engine.State() != state {
					return false
				}
			}
			return true
		}
		within(t, w, 20*time.Second, "a pause", func() bool { return all(engine.Paused) })
		var old, next *Member
		for _, m := range w.members {
			if m.pg.Writable() {
				old = m
			} else {
				next = m
			}
		}
		w.Put(events.KeyFailover, `{"leader":"`+old.name+`","member":"`+next.name+`"}`)
		within(t, w, 20*time.Second, "a switchover", func() bool { return next.pg.Writable() })
		within(t, w, 20*time.Second, "the former primary as a replica, all paused", func() bool { return all(engine.Paused) && old.pg.Streaming() })
		return w
	})
}

func TestRestartOnOrderInAPause(t *testing.T) {
	w := grown(t, 3, config)
	leader, replica := w.Leader(), others(w)[0]
	w.Put(events.KeyConfig, `{"ttl":30,"loop_wait":10,"retry_timeout":10,"pause":true}`)
	for _, m := range []*Member{replica, leader} {
		within(t, w, 20*time.Second, "a pause", func() bool { return m.engine.State() == engine.Paused })
		pid := m.pg.PID()
		m.Ask(events.OperatorRequest{ID: "r", Verb: events.AskRestart})
		within(t, w, 20*time.Second, "a restart", func() bool {
			return m.engine.State() == engine.Paused && m.pg.Running() && m.pg.PID() != pid && !m.pg.Observe().Starting
		})
	}
	if !leader.pg.Writable() || replica.pg.Writable() {
		t.Fatalf("the roles changed\n%s", picture(w))
	}
}
