package postgres

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// script plays on a stage and notes what it finds there, in words that do not depend on positions.
type script struct {
	stage
	t     *testing.T
	facts []string
	ids   int
}

func (s *script) note(format string, args ...any) {
	s.facts = append(s.facts, fmt.Sprintf(format, args...))
}

func from(name string) events.Upstream {
	return events.Upstream{Name: name, ConnURL: "postgres://" + name + ":5432/postgres"}
}

// patience bounds what has to happen, on a loaded machine. Nothing is proved by its end.
const patience = 40 * time.Second

// silence is how long a script looks at what must not happen.
const silence = 1500 * time.Millisecond

// must performs what works on both stages.
func (s *script) must(m string, a events.Action) events.Result {
	s.t.Helper()
	o, r := s.do(m, a, patience)
	if o != events.Done {
		s.t.Fatalf("%s of %s: %s", a.ActionKind(), m, o)
	}
	return r
}

// try performs what may fail, and notes it.
func (s *script) try(m string, a events.Action) events.Result {
	o, r := s.do(m, a, patience)
	s.note("%s of %s: %s", a.ActionKind(), m, o)
	return r
}

func (s *script) check(m, leader string) {
	r := s.try(m, events.CheckDivergence{Leader: from(leader)})
	s.note("%s against %s: %s", m, leader, r.Divergence)
}

func (s *script) streams(m string, timeline events.Timeline) {
	s.t.Helper()
	s.until(m+" streams", func() bool {
		o := s.see(m)
		return o.Answering && o.Server.ReplicationState == "streaming" && o.Server.Timeline == timeline
	})
}

func (s *script) insert(m string) int {
	s.ids++
	s.note("commit %d on %s: %s", s.ids, m, s.write(m, s.ids)(patience))
	return s.ids
}

func (s *script) has(id int, members ...string) {
	for _, m := range members {
		s.note("%s shows %d: %v", m, id, s.visible(m, id))
	}
}

func (s *script) arrives(id int, m string) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d on %s", id, m), func() bool { return s.visible(m, id) })
}

func (s *script) answers(m string, recovery bool) {
	s.t.Helper()
	s.until(m+" answers", func() bool { o := s.see(m); return o.Answering && o.Server.InRecovery == recovery })
}

// waits begins a commit that no replica releases.
func (s *script) waits(m string) (answer func(time.Duration) string) {
	s.ids++
	answer = s.write(m, s.ids)
	s.note("commit %d on %s: %s", s.ids, m, answer(silence))
	return answer
}

// throughout looks for a while at what must stay true, and notes whether it did.
func (s *script) throughout(what string, ok func() bool) {
	held := ok()
	for range 30 {
		s.pass(silence / 30)
		held = held && ok()
	}
	s.note("%s: %v", what, held)
}

// receivesNothing notes that a replica gets no further. Whether it is streaming is no fact: PostgreSQL tries again every five seconds, and a
// stream that cannot go on may have begun.
func (s *script) receivesNothing(m string) {
	s.answers(m, true)
	at, timeline := s.see(m).Server.ReplayedLSN, s.see(m).Server.Timeline
	s.throughout(m+" stays where it is", func() bool {
		o := s.see(m)
		return !o.Answering || o.Server.ReplayedLSN == at && o.Server.Timeline == timeline
	})
	s.answers(m, true)
	s.note("timeline %d", timeline)
}

func (s *script) down(m string) {
	s.t.Helper()
	s.until(m+" is down", func() bool { return !s.see(m).Running })
}

// trio is a primary a with streaming replicas b and d, and a table.
func (s *script) trio() {
	s.t.Helper()
	if r, ok := s.stage.(*realStage); ok && r.template != "" {
		r.fromTemplate()
		s.must("a", events.StartPostgres{AsPrimary: true})
	} else {
		s.must("a", events.Bootstrap{})
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.answers("a", false)
		if ok {
			_, err := r.sql("a", "CREATE TABLE t(i int)")
			r.must(err)
		}
		for _, m := range []string{"b", "d"} {
			s.must(m, events.Clone{From: from("a")})
		}
	}
	for _, m := range []string{"b", "d"} {
		s.must(m, events.StartPostgres{From: from("a")})
		s.streams(m, 1)
	}
	s.until("slots in use", func() bool {
		return !slices.ContainsFunc(s.see("a").Server.Slots, func(x events.Slot) bool { return !x.Active })
	})
}

func (s *script) slots(m string) { s.must(m, events.SyncSlots{Members: []string{"a", "b", "d"}}) }

var scripts = map[string]func(*script){
	"a clean stop, a promotion, a return": func(s *script) {
		id := s.insert("a")
		s.arrives(id, "b")
		s.insert("b")
		stopped := s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.until("the shutdown checkpoint", func() bool { return s.see("b").Server.ReceivedLSN > stopped.ShutdownLSN })
		end := s.see("b").Server.ReceivedLSN
		s.until("a clean end where the stop says", func() bool {
			c := s.see("a").Control
			return c.State == shutDown && c.CheckpointLSN == stopped.ShutdownLSN
		})
		p := s.must("b", events.Promote{})
		s.note("timeline %d, %d rows, parent %d, from the end of the stop: %v, %s", p.Timeline, len(p.History), p.History[0].Parent,
			p.History[0].Switch == end, p.History[0].Reason)
		again := s.must("b", events.Promote{})
		s.note("again: timeline %d, %d rows", again.Timeline, len(again.History))
		s.slots("b")
		s.must("d", events.Follow{From: from("b")})
		s.streams("d", 2)
		s.check("a", "b")
		s.check("a", "d")
		s.try("a", events.Rewind{From: from("b")}) // nothing to do
		s.must("a", events.StartPostgres{From: from("b")})
		s.streams("a", 2)
		id = s.insert("b")
		s.arrives(id, "a")
		s.try("a", events.StartPostgres{AsPrimary: true})
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.until("a clean end", func() bool { return s.see("a").Control.State == shutDownInRecovery })
		s.check("a", "b")
		s.try("a", events.StartPostgres{AsPrimary: true})
	},
	"kill -9, and a replica that is ahead": func(s *script) {
		first := s.insert("a")
		s.arrives(first, "b")
		s.kill("a")
		s.down("a")
		s.note("killed: %s", s.see("a").Control.State)
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.has(first, "a")
		s.answers("a", false)
		s.streams("b", 1)
		s.streams("d", 1)
		s.must("b", events.Follow{})
		s.until("b follows nobody", func() bool { o := s.see("b"); return o.Answering && o.Server.ReplicationState == "" })
		ahead := s.insert("a")
		s.arrives(ahead, "d")
		s.kill("a")
		s.down("a")
		p := s.must("b", events.Promote{})
		s.answers("b", false)
		s.note("timeline %d", p.Timeline)
		s.slots("b")
		mine := s.insert("b")
		s.check("a", "b")
		s.check("d", "b")
		s.must("d", events.Follow{From: from("b")})
		s.receivesNothing("d")
		s.has(mine, "d")
		s.try("d", events.Rewind{From: from("b")}) // it runs
		s.try("a", events.CrashRecover{})
		s.until("a clean end", func() bool { return s.see("a").Control.State == shutDown })
		s.check("a", "b")
		s.must("d", events.StopPostgres{Mode: events.StopFast})
		s.check("d", "b")
		for _, m := range []string{"a", "d"} {
			s.try(m, events.Rewind{From: from("b")})
			s.must(m, events.StartPostgres{From: from("b")})
			s.streams(m, 2)
			s.arrives(mine, m)
			s.has(ahead, m)
		}
	},
	"a replica whose WAL was removed": func(s *script) {
		s.must("b", events.Follow{})
		s.until("b follows nobody", func() bool { o := s.see("b"); return o.Answering && o.Server.ReplicationState == "" })
		s.until("the slot is free", func() bool { return !s.see("a").Server.Slots[0].Active })
		s.loseWAL("a", "b")
		s.slots("a")
		id := s.insert("a")
		s.arrives(id, "d")
		s.must("b", events.Follow{From: from("a")})
		s.receivesNothing("b")
		s.has(id, "b")
		s.check("b", "a") // it has not diverged
		s.must("b", events.StopPostgres{Mode: events.StopFast})
		s.try("b", events.Rewind{From: from("a")}) // nothing to do
		s.must("b", events.Clone{From: from("a"), Discard: true})
		s.note("a copy: %s, %v", s.see("b").Control.State, s.see("b").Control.BackupLabelSeen)
		s.check("b", "a")
		s.must("b", events.StartPostgres{From: from("a")})
		s.streams("b", 1)
		s.has(id, "b")
	},
	"a promoted server dies before its checkpoint": func(s *script) {
		id := s.insert("a")
		s.arrives(id, "b")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.must("b", events.StopPostgres{Mode: events.StopImmediate})
		s.down("b")
		s.note("%s", s.see("b").Control.State)
		s.must("b", events.StartPostgres{})
		s.answers("b", true)
		s.must("b", events.Promote{})
		s.answers("b", false)
		id = s.insert("b")
		s.kill("b")
		s.down("b")
		s.must("b", events.StartPostgres{AsPrimary: true})
		s.answers("b", false)
		s.has(id, "b")
		s.note("timeline %d", s.see("b").Server.Timeline)
		s.check("a", "b")
		s.check("d", "b")
	},
	"a cascade, and the return of a replica that diverged": func(s *script) {
		s.slots("b")
		s.must("d", events.Follow{From: from("b")})
		s.until("a cascade", func() bool { return len(s.see("b").Server.Walsenders) == 1 })
		id := s.insert("a")
		s.arrives(id, "d")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		p := s.must("b", events.Promote{})
		s.note("timeline %d", p.Timeline)
		id = s.insert("b")
		s.arrives(id, "d")
		s.streams("d", 2)
		s.must("a", events.StartPostgres{AsPrimary: true}) // as nobody should
		s.answers("a", false)
		s.insert("a")
		s.check("a", "b")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.must("a", events.StartPostgres{From: from("b")}) // it does not know timeline 2 yet
		s.answers("a", true)
		s.until("a has the history of timeline 2", func() bool { return s.knows("a", 2) })
		s.receivesNothing("a")
		s.has(id, "a")
		s.check("a", "b")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.try("a", events.StartPostgres{From: from("b")}) // now it does
		s.down("a")
		s.note("%s", s.see("a").Control.State)
		s.check("a", "b")
		s.try("a", events.Rewind{From: from("b")})
		s.slots("b")
		s.must("a", events.StartPostgres{From: from("b")})
		s.streams("a", 2)
		s.has(id, "a")
	},
	"a stop waits for a replica": func(s *script) {
		s.hang("b", true)
		s.insert("a")
		ended := s.begin("a", events.StopPostgres{Mode: events.StopFast}, patience)
		s.until("the shutdown checkpoint", func() bool { o := s.see("a"); return !o.Answering && o.Control.State == shutDown })
		s.throughout("a runs, answers nobody and has its checkpoint", func() bool {
			o := s.see("a")
			return o.Running && !o.Answering && o.Control.State == shutDown
		})
		s.hang("b", false)
		outcome, r := ended()
		s.down("a")
		s.until("b has it", func() bool { return s.see("b").Server.ReceivedLSN > r.ShutdownLSN })
		s.note("%s, %v", outcome, r.ShutdownLSN != 0)
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.streams("b", 1)
		s.answers("a", false)
		s.hang("b", true)
		s.insert("a")
		r = s.try("a", events.StopPostgres{Mode: events.StopFast, EscalateAfter: 3 * time.Second})
		s.note("escalated, and clean all the same: %v", r.ShutdownLSN != 0)
		s.hang("b", false)
	},
	"synchronous commits": func(s *script) {
		s.sync("a", "ANY 1 (b, d)")
		s.insert("a")
		s.hang("b", true)
		id := s.insert("a")
		s.arrives(id, "d")
		s.sync("a", "FIRST 1 (b, d)")
		answer := s.waits("a") // FIRST 1, and the first is silent
		s.arrives(s.ids, "d")
		s.has(s.ids, "a", "d")
		s.hangUp("a")
		s.note("hung up: %s", answer(patience))
		s.has(s.ids, "a")
		answer = s.waits("a")
		s.hang("b", false)
		s.note("b goes on: %s", answer(patience))
		s.sync("a", "FIRST 2 (b, d)")
		s.insert("a")
		s.sync("a", "FIRST 1 (nobody)")
		answer = s.waits("a")
		s.kill("a")
		s.down("a")
		s.note("killed: %s", answer(patience))
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.has(s.ids, "a")
	},
	"two promoted apart": func(s *script) {
		s.must("b", events.Follow{})
		s.until("b follows nobody", func() bool { o := s.see("b"); return o.Answering && o.Server.ReplicationState == "" })
		id := s.insert("a")
		s.arrives(id, "d")
		s.must("a", events.StopPostgres{Mode: events.StopImmediate})
		s.down("a")
		for _, m := range []string{"b", "d"} {
			p := s.must(m, events.Promote{})
			s.note("%s: timeline %d", m, p.Timeline)
			s.answers(m, false)
			s.must(m, events.Checkpoint{})
		}
		for range 50 {
			s.insert("b")
		}
		s.must("d", events.StopPostgres{Mode: events.StopFast})
		s.check("d", "b")
		s.try("d", events.Rewind{From: from("b")}) // pg_rewind believes the numbers
		s.check("d", "b")
		s.try("d", events.Clone{From: from("b")})
		s.try("d", events.Clone{From: from("b"), Discard: true})
		s.slots("b")
		s.must("d", events.StartPostgres{From: from("b")})
		s.streams("d", 2)
		s.has(id, "d")
		s.must("b", events.StopPostgres{Mode: events.StopFast})
		p := s.must("d", events.Promote{})
		s.note("timeline %d, %d rows", p.Timeline, len(p.History))
		s.check("b", "d")
	},
}

// TestConformance plays every script on the model and on PostgreSQL: both must tell the same. The scripts wait most of
// the time, so they play side by side, on copies of one set of data directories.
func TestConformance(t *testing.T) {
	first := newReal(t, "")
	(&script{stage: first, t: t}).trio()
	template := first.saveTemplate()
	for name, play := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told [2][]string
			for i, st := range []stage{modelled{newWorld(t)}, newReal(t, template)} {
				s := &script{stage: st, t: t}
				s.trio()
				play(s)
				told[i] = s.facts
			}
			t.Logf("%d facts", len(told[1]))
			for i := range max(len(told[0]), len(told[1])) {
				m, r := "nothing", "nothing"
				if i < len(told[0]) {
					m = told[0][i]
				}
				if i < len(told[1]) {
					r = told[1][i]
				}
				if m != r {
					t.Errorf("the model: %s\nPostgreSQL: %s", m, r)
				}
			}
		})
	}
}
