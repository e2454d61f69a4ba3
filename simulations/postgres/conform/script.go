package conform

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// Stage is where a script plays: on the model, or on real servers. Its methods fail the test when what has to work does not.
type Stage interface {
	// Prepared tells whether the members have the data directories of a trio; CreateTable makes the table t where they have not.
	Prepared() bool
	CreateTable(m string)

	Do(m string, a events.Action, within time.Duration) (events.Outcome, events.Result)
	Begin(m string, a events.Action, within time.Duration) (ended func() (events.Outcome, events.Result))
	See(m string) events.Observation
	Until(what string, ok func() bool)
	Write(m string, id int) (answer func(within time.Duration) string) // acknowledged, refused, unanswered, or waiting
	Visible(m string, id int) bool
	Sync(m, names string)
	Kill(m string)
	Hang(m string, hung bool)
	HangUp(m string)      // ends the connections of those that wait for replicas
	LoseWAL(m, of string) // drops a member's slot and writes so much that WAL is removed
	Knows(m string, t events.Timeline) bool
	Pass(d time.Duration) // for what must not happen; Until is for what must
}

// Members are the servers of a stage.
var Members = []string{"a", "b", "d"}

// Script plays on a stage and notes what it finds there, in words that do not depend on positions.
type Script struct {
	Stage
	t     testing.TB
	facts []string
	ids   int
}

func (s *Script) note(format string, args ...any) {
	s.facts = append(s.facts, fmt.Sprintf(format, args...))
}

func from(name string) events.Upstream {
	return events.Upstream{Name: name, ConnURL: "postgres://" + name + ":5432/postgres"}
}

// Patience bounds what has to happen, on a loaded machine. Nothing is proved by its end.
const Patience = 40 * time.Second

// silence is how long a script looks at what must not happen.
const silence = 1500 * time.Millisecond

// must performs what works on both stages.
func (s *Script) must(m string, a events.Action) events.Result {
	s.t.Helper()
	o, r := s.Do(m, a, Patience)
	if o != events.Done {
		s.t.Fatalf("%s of %s: %s", a.ActionKind(), m, o)
	}
	return r
}

// try performs what may fail, and notes it.
func (s *Script) try(m string, a events.Action) events.Result {
	o, r := s.Do(m, a, Patience)
	s.note("%s of %s: %s", a.ActionKind(), m, o)
	return r
}

func (s *Script) check(m, leader string) {
	r := s.try(m, events.CheckDivergence{Leader: from(leader)})
	s.note("%s against %s: %s", m, leader, r.Divergence)
}

func (s *Script) streams(m string, timeline events.Timeline) {
	s.t.Helper()
	s.Until(m+" streams", func() bool {
		o := s.See(m)
		return o.Answering && o.Server.ReplicationState == "streaming" && o.Server.Timeline == timeline
	})
}

func (s *Script) insert(m string) int {
	s.ids++
	s.note("commit %d on %s: %s", s.ids, m, s.Write(m, s.ids)(Patience))
	return s.ids
}

func (s *Script) has(id int, members ...string) {
	for _, m := range members {
		s.note("%s shows %d: %v", m, id, s.Visible(m, id))
	}
}

func (s *Script) arrives(id int, m string) {
	s.t.Helper()
	s.Until(fmt.Sprintf("%d on %s", id, m), func() bool { return s.Visible(m, id) })
}

func (s *Script) answers(m string, recovery bool) {
	s.t.Helper()
	s.Until(m+" answers", func() bool { o := s.See(m); return o.Answering && o.Server.InRecovery == recovery })
}

// waits begins a commit that no replica releases.
func (s *Script) waits(m string) (answer func(time.Duration) string) {
	s.ids++
	answer = s.Write(m, s.ids)
	s.note("commit %d on %s: %s", s.ids, m, answer(silence))
	return answer
}

// throughout looks for a while at what must stay true, and notes whether it did.
func (s *Script) throughout(what string, ok func() bool) {
	held := ok()
	for range 30 {
		s.Pass(silence / 30)
		held = held && ok()
	}
	s.note("%s: %v", what, held)
}

// receivesNothing notes that a replica gets no further. Whether it is streaming is no fact: PostgreSQL tries again every five seconds, and a
// stream that cannot go on may have begun.
func (s *Script) receivesNothing(m string) {
	s.answers(m, true)
	at, timeline := s.See(m).Server.ReplayedLSN, s.See(m).Server.Timeline
	s.throughout(m+" stays where it is", func() bool {
		o := s.See(m)
		return !o.Answering || o.Server.ReplayedLSN == at && o.Server.Timeline == timeline
	})
	s.answers(m, true)
	s.note("timeline %d", timeline)
}

func (s *Script) down(m string) {
	s.t.Helper()
	s.Until(m+" is down", func() bool { return !s.See(m).Running })
}

// Play sets the stage with Begin and plays a script on it. What it noted is returned.
func Play(t testing.TB, st Stage, script Named) []string {
	t.Helper()
	s := &Script{Stage: st, t: t}
	Begin(t, st)
	script.play(s)
	return s.facts
}

// Begin makes a primary a with streaming replicas b and d, and a table, from what the stage has: data directories or none.
func Begin(t testing.TB, st Stage) {
	t.Helper()
	s := &Script{Stage: st, t: t}
	if st.Prepared() {
		s.must("a", events.StartPostgres{AsPrimary: true})
	} else {
		s.must("a", events.Bootstrap{})
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.answers("a", false)
		st.CreateTable("a")
		for _, m := range []string{"b", "d"} {
			s.must(m, events.Clone{From: from("a")})
		}
	}
	for _, m := range []string{"b", "d"} {
		s.must(m, events.StartPostgres{From: from("a")})
		s.streams(m, 1)
	}
	s.Until("slots in use", func() bool {
		return !slices.ContainsFunc(s.See("a").Server.Slots, func(x events.Slot) bool { return !x.Active })
	})
}

func (s *Script) slots(m string) { s.must(m, events.SyncSlots{Members: []string{"a", "b", "d"}}) }
