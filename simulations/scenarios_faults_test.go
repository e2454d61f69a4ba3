package simulations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Each scenario here was a bad day of TestChaos first.

func TestLongerTTLDoesNotDemote(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		w.Put(events.KeyConfig, config) // renewals every 10 s would come too late for the lease of 5 s
		w.Run(time.Minute)
		sound(t, w)
		if w.Leader() != old || w.Fired("LD-15") > 0 {
			t.Fatalf("the longer ttl ended a lease\n%s", picture(w))
		}
		return w
	})
}

func TestFailedComparisonDoesNotSpoilThePromotion(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		old.Kill()
		old.CrashPostgres() // its replicas learn that nothing comes any more
		w.Run(100 * time.Millisecond)
		old.KillAll() // and cannot compare histories with it
		within(t, w, 40*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		if w.Fired("FL-44") == 0 || w.Fired("PR-15") > 0 {
			t.Errorf("comparisons %d, promotions given up %d\n%s", w.Fired("FL-44"), w.Fired("PR-15"), picture(w))
		}
		return w
	})
}

func TestReplicaThatDiesInPromotionIsNotStartedAsAPrimary(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 2, Config: quick})
		for _, m := range w.members {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		replica := others(w)[0]
		w.Leader().KillAll()
		within(t, w, 10*time.Second, "a promotion", func() bool { return replica.engine.State() == engine.Promoting })
		replica.CrashPostgres()
		within(t, w, 15*time.Second, "a leader", func() bool { return w.Leader() == replica })
		if w.Fired("YI-45") > 0 {
			t.Errorf("a replica's data was opened as a primary's\n%s", picture(w))
		}
		return w
	})
}

func TestMemberOnALeftTimelineIsNoSuccessor(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		first := w.Leader()
		first.CrashPostgres()
		within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != first })
		within(t, w, 30*time.Second, "a healthy cluster", w.Healthy)
		w.Run(2 * time.Second) // the history is published
		leader, stray, good := w.Leader(), others(w)[0], others(w)[1]
		stray.pg.Stray(1, 1<<20) // more WAL, and worth nothing
		leader.CrashPostgres()
		within(t, w, 5*time.Second, "a leader on the newest timeline", func() bool { return w.Leader() == good })
		return w
	})
}

func TestMemberOnALeftTimelineDoesNotHoldUpAnElection(t *testing.T) {
	w := grown(t, 1, `{"ttl":5,"loop_wait":1,"retry_timeout":1}`)
	first := w.Leader()
	first.Stop()
	within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != first })
	first.Boot()
	within(t, w, 30*time.Second, "a healthy cluster", w.Healthy)
	w.Run(2 * time.Second)
	leader, stray, good := w.Leader(), others(w)[0], others(w)[1]
	within(t, w, 10*time.Second, "the last moment of a renewed lease", func() bool {
		return w.store.Truth().Ends.Sub(w.Now()) > 4900*time.Millisecond
	})
	leader.KillAll()
	w.Run(4500 * time.Millisecond)
	stray.pg.Stray(1, 1<<20)
	within(t, w, 5*time.Second, "a leader on the newest timeline", func() bool { return w.Leader() == good })
}

func TestSwitchoverRequestIsClearedThoughTheFirstAttemptFails(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old, a, b := w.Leader(), others(w)[0], others(w)[1]
		w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q}`, old.name))
		within(t, w, 5*time.Second, "a promotion", func() bool {
			return a.engine.State() == engine.Promoting || b.engine.State() == engine.Promoting
		})
		w.Faults.LostRequest = 1000
		w.Run(time.Second)
		w.Faults.LostRequest = 0
		within(t, w, 10*time.Second, "a cleared request", func() bool { return says(w, events.KeyFailover) == "{}" })
		return w
	})
}

// An agent dies between the end of a copy and the copy's first start: the next one starts it all the same.
func TestCopyThatWasNeverStartedJoins(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		leader, m := w.Leader(), others(w)[0]
		m.Kill()
		m.pg.KillAll()
		m.pg.Empty()
		copied := false
		m.pg.Perform(events.Clone{From: events.Upstream{Name: leader.name, ConnURL: "postgres://" + leader.name + ":5432/postgres"}}, w.Now().Add(time.Minute), nil,
			func(o events.Outcome, _ events.Result, why string) {
				if copied = o == events.Done; !copied {
					t.Errorf("the copy: %s %s", o, why)
				}
			})
		within(t, w, time.Minute, "a copy", func() bool { return copied })
		if c := m.pg.Observe().Control; c.State != "in production" || !c.BackupLabelSeen {
			t.Fatalf("the copy: %+v", c)
		}
		m.Start()
		within(t, w, 10*time.Second, "a healthy cluster", w.Healthy)
		return w
	})
}

// PostgreSQL hangs after the lease was won and before it was told to promote, while the guard is waited for.
func TestHangBeforeThePromotionGivesTheLeaseAway(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 3, Config: quick, Guard: "required"})
		for _, m := range w.members {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		for _, m := range others(w) {
			m.guard.deaf = true
		}
		w.Leader().KillAll()
		next := func() *Member {
			for _, m := range w.members {
				if m.alive && m.engine.State() == engine.Promoting {
					return m
				}
			}
			return nil
		}
		within(t, w, 20*time.Second, "a promotion", func() bool { return next() != nil })
		hangs := next()
		hangs.pg.Hang()
		w.Run(2 * time.Second) // until it is seen
		for _, m := range w.members {
			m.guard.deaf = false
		}
		within(t, w, 40*time.Second, "another leader", func() bool { return w.Leader() != nil && w.Leader() != hangs })
		if w.Fired("PR-40") == 0 {
			t.Errorf("the lease was given away for another reason\n%s", picture(w))
		}
		return w
	})
}

func TestPauseKeepsTheLeaseWhilePostgresHangs(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		w.Put(events.KeyConfig, strings.Replace(quick, "{", `{"pause":true,`, 1))
		w.Run(5 * time.Second)
		old.pg.Hang()
		w.Run(20 * time.Second)
		if w.LeaderKey() != old.name {
			t.Fatalf("the lease of a primary that hangs was given up\n%s", picture(w))
		}
		w.Put(events.KeyConfig, quick)
		w.Run(8 * time.Second) // what it was silent in the pause does not count
		old.pg.Resume()
		within(t, w, 5*time.Second, "the same leader", func() bool { return w.Leader() == old })
		return w
	})
}

// A campaign whose request to the store gets no answer for seconds must not go on as if nothing had happened since.
func TestCampaignDoesNotActOnOldAnswers(t *testing.T) {
	w := New(Settings{Seed: 2, Members: 3, Config: config})
	w.members[0].Start()
	within(t, w, time.Minute, "a leader", func() bool { return w.Leader() != nil })
	w.members[1].Start()
	w.members[2].Start()
	within(t, w, time.Minute, "a healthy cluster", w.Healthy)
	slow, quickOne := w.members[1], w.members[2]
	w.Quiet = true // so that both have the same WAL
	w.Run(time.Second)
	w.Leader().KillAll()
	quickOne.Freeze() // until the slow one campaigns
	within(t, w, 40*time.Second, "a campaign", func() bool { return slow.engine.State() == engine.Campaigning })
	w.Run(1900 * time.Millisecond)
	w.Cut(slow.name, true)
	quickOne.Thaw()
	within(t, w, 10*time.Second, "the quick one's lead", func() bool { return w.Leader() == quickOne })
	w.Run(500 * time.Millisecond) // the history is published
	slow.Isolate(true)
	quickOne.Stop()
	within(t, w, 10*time.Second, "the end of the quick one", func() bool { return quickOne.Exit == 0 })
	slow.Isolate(false)
	w.Cut(slow.name, false)
	w.Run(20 * time.Second)
	sound(t, w)
	if w.Leader() == slow {
		t.Fatalf("a member led on a timeline that the cluster has left\n%s", picture(w))
	}
	quickOne.Exit = -1
	quickOne.Start()
	within(t, w, 30*time.Second, "a leader", func() bool { return w.Leader() == quickOne })
}

func TestLeaseWonJustBeforeItsEndIsUsedOrGivenBack(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 2, Config: config})
		for _, m := range w.members {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		m := others(w)[0]
		w.Put(events.KeyFailover, fmt.Sprintf(`{"leader":%q}`, w.Leader().name))
		within(t, w, 10*time.Second, "the lease", func() bool { l := w.store.Truth(); return l.Holder == m.name && l.Ends.Sub(w.Now()) > 10*time.Second })
		m.Freeze() // before it learns that its claim has succeeded
		w.Run(28 * time.Second)
		m.Thaw()
		within(t, w, 10*time.Second, "the new leader", func() bool { return w.Leader() == m })
		return w
	})
}

func TestAdoptionWithoutAnAnswerAboutTheLeaseEndsOnce(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		old.Kill()
		w.Run(22 * time.Second)
		w.Faults.LostRequest = 1000
		old.Start()
		w.Run(10 * time.Second)
		sound(t, w)
		w.Faults.LostRequest = 0
		within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestVanishedInitializeKeyIsWrittenAgain(t *testing.T) {
	w := grown(t, 3, quick)
	id := w.Leader().pg.SystemID()
	for range 2 {
		w.Remove(events.KeyInitialize)
		within(t, w, 5*time.Second, "the key", func() bool { return says(w, events.KeyInitialize) == id })
	}
	w.Remove(events.KeyInitialize)
	w.Faults.Refused = 1000
	w.Run(500 * time.Millisecond)
	w.Faults.Refused = 0
	within(t, w, 5*time.Second, "the key", func() bool { return says(w, events.KeyInitialize) == id })
}

func TestPrimaryThatLosesTheLeaseInARestartDoesNotComeBack(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		w.Faults.SlowEffect = 1000
		old.Ask(events.OperatorRequest{ID: "1", Verb: events.AskRestart})
		w.Run(100 * time.Millisecond)
		w.Faults.SlowEffect = 0
		w.Remove(events.KeyLeader) // by a person, or a store that was wiped
		within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}

func TestFailoverOrderGivesUpALostTimeline(t *testing.T) {
	w := grown(t, 4, quick)
	first := w.Leader()
	first.CrashPostgres()
	within(t, w, 5*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != first })
	w.Run(3 * time.Second)
	lost := w.Leader()
	lost.KillAll() // for ever, and with it the newest timeline
	for _, m := range w.members {
		if m != lost {
			m.pg.Stray(1, 0)
		}
	}
	w.Run(30 * time.Second)
	if w.Leader() != nil {
		t.Fatalf("a member led on a timeline that the cluster has left\n%s", picture(w))
	}
	w.Put(events.KeyFailover, fmt.Sprintf(`{"member":%q}`, first.name))
	within(t, w, 10*time.Second, "the ordered leader", func() bool { return w.Leader() == first })
}

func TestDeadlineThatCouldNotBeToldOnceIsToldAgain(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, quick)
		old := w.Leader()
		old.guard.deaf = true
		w.Run(2500 * time.Millisecond)
		old.guard.deaf = false
		w.Run(time.Minute)
		sound(t, w)
		if w.Leader() != old || w.Fired("LD-40") > 0 {
			t.Fatalf("a leader with a living guard stepped down\n%s", picture(w))
		}
		return w
	})
}

func TestClusterWithDataIsNotCreatedAgain(t *testing.T) {
	w := grown(t, 5, quick)
	old, empty := w.Leader(), others(w)[0]
	id := old.pg.SystemID()
	empty.KillAll()
	empty.pg.Empty()
	old.KillAll()
	w.Put(events.KeyInitialize, "") // as a leader that was cut off before it wrote the identifier leaves it
	empty.Boot()
	within(t, w, 30*time.Second, "a leader", func() bool { return w.Leader() != nil })
	w.Run(10 * time.Second)
	if v := says(w, events.KeyInitialize); v != id || w.Fired("WA-40") > 0 {
		t.Fatalf("initialize is %q\n%s", v, picture(w))
	}
	old.Boot()
	within(t, w, time.Minute, "a healthy cluster again", w.Healthy)
}

// A restart while nobody leads makes a replica of nobody; the leader may then be the one from before.
func TestReplicaRestartedWithoutALeaderFollowsTheOldOneAgain(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := New(Settings{Seed: seed, Members: 2, Config: config})
		w.members[1].Tags.NoFailover = true
		for _, m := range w.members {
			m.Start()
		}
		within(t, w, time.Minute, "a healthy cluster", w.Healthy)
		old, replica := w.members[0], w.members[1]
		old.KillAll()
		within(t, w, 40*time.Second, "the end of the lease", func() bool { return w.LeaderKey() == "" })
		w.Run(time.Second)
		replica.Ask(events.OperatorRequest{ID: "1", Verb: events.AskRestart})
		w.Run(2 * time.Second)
		old.Boot()
		within(t, w, 40*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}

// The start of a primary that is given up half-way has launched a server all the same: it must be stopped before
// anybody else may lead.
func TestStartThatIsGivenUpIsStopped(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, config)
		old := w.Leader()
		old.CrashPostgres()
		within(t, w, 5*time.Second, "a start as a primary", func() bool { return old.engine.State() == engine.Opening && old.pg.Observe().Starting })
		w.Run(20 * time.Millisecond)
		for _, m := range others(w) {
			m.Isolate(true) // nobody can be asked until the server is up
		}
		old.Stop()
		w.Run(700 * time.Millisecond)
		for _, m := range w.members {
			m.Isolate(false)
		}
		within(t, w, 10*time.Second, "a handover", func() bool { return w.LeaderKey() != old.name })
		if old.pg.Writable() {
			t.Fatalf("the lease was given away while PostgreSQL accepts writes\n%s", picture(w))
		}
		within(t, w, 10*time.Second, "another leader", func() bool { l := w.Leader(); return l != nil && l != old })
		within(t, w, 10*time.Second, "the end of the old one", func() bool { return old.Exit == 0 })
		if old.pg.Running() {
			t.Fatalf("an agent left its PostgreSQL running\n%s", picture(w))
		}
		return w
	})
}

// A rewind whose source dies says nothing about the data here: it is tried again when the source is back, for as long as that takes,
// and the member neither discards its data nor asks for a person.
func TestRewindWhoseSourceDiesIsTriedAgain(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) *World {
		w := grown(t, seed, `{"ttl":5,"loop_wait":1,"retry_timeout":1,"postgresql":{"use_pg_rewind":true,"remove_data_directory_on_rewind_failure":true}}`)
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
		for range 5 {
			old.Isolate(false)
			if old.engine.State() != engine.Rewinding {
				if !old.alive {
					old.Boot()
				}
				within(t, w, 30*time.Second, "a rewind", func() bool { return old.engine.State() == engine.Rewinding })
			}
			old.Isolate(true) // from its source, in the middle of it
			within(t, w, 20*time.Second, "the end of the attempt", func() bool { return old.engine.State() != engine.Rewinding })
			w.Run(3 * time.Second)
			if s := old.engine.State(); s == engine.Stranded || s == engine.Cloning {
				t.Fatalf("a source that cannot be reached was taken for data that cannot be rewound\n%s", picture(w))
			}
		}
		old.Isolate(false)
		within(t, w, 30*time.Second, "a healthy cluster again", w.Healthy)
		return w
	})
}
