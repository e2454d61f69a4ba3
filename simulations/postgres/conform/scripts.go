package conform

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Named is a script and what it tells.
type Named struct {
	Name string
	play func(*Script)
}

// Scripts are all scripts.
var Scripts = []Named{
	{"a clean stop, a promotion, a return", func(s *Script) {
		id := s.insert("a")
		s.arrives(id, "b")
		s.insert("b")
		stopped := s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.Until("the shutdown checkpoint", func() bool { return s.See("b").Server.ReceivedLSN > stopped.ShutdownLSN })
		end := s.See("b").Server.ReceivedLSN
		s.Until("a clean end where the stop says", func() bool {
			c := s.See("a").Control
			return c.State == "shut down" && c.CheckpointLSN == stopped.ShutdownLSN
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
		s.Until("a clean end", func() bool { return s.See("a").Control.State == "shut down in recovery" })
		s.check("a", "b")
		s.try("a", events.StartPostgres{AsPrimary: true})
	}},
	{"kill -9, and a replica that is ahead", func(s *Script) {
		first := s.insert("a")
		s.arrives(first, "b")
		s.Kill("a")
		s.down("a")
		s.note("killed: %s", s.See("a").Control.State)
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.has(first, "a")
		s.answers("a", false)
		s.streams("b", 1)
		s.streams("d", 1)
		s.must("b", events.Follow{})
		s.Until("b follows nobody", func() bool { o := s.See("b"); return o.Answering && o.Server.ReplicationState == "" })
		ahead := s.insert("a")
		s.arrives(ahead, "d")
		s.Kill("a")
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
		s.Until("a clean end", func() bool { return s.See("a").Control.State == "shut down" })
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
	}},
	{"a replica whose WAL was removed", func(s *Script) {
		s.must("b", events.Follow{})
		s.Until("b follows nobody", func() bool { o := s.See("b"); return o.Answering && o.Server.ReplicationState == "" })
		s.Until("the slot is free", func() bool { return !s.See("a").Server.Slots[0].Active })
		s.LoseWAL("a", "b")
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
		s.Until("a look at the copy", func() bool { return s.See("b").Control.State != "" })
		s.note("a copy: %s, %v", s.See("b").Control.State, s.See("b").Control.BackupLabelSeen)
		s.check("b", "a")
		s.must("b", events.StartPostgres{From: from("a")})
		s.streams("b", 1)
		s.has(id, "b")
	}},
	{"a promoted server dies before its checkpoint", func(s *Script) {
		id := s.insert("a")
		s.arrives(id, "b")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.must("b", events.StopPostgres{Mode: events.StopImmediate})
		s.down("b")
		s.note("%s", s.See("b").Control.State)
		s.must("b", events.StartPostgres{})
		s.answers("b", true)
		s.must("b", events.Promote{})
		s.answers("b", false)
		id = s.insert("b")
		s.Kill("b")
		s.down("b")
		s.must("b", events.StartPostgres{AsPrimary: true})
		s.answers("b", false)
		s.has(id, "b")
		s.note("timeline %d", s.See("b").Server.Timeline)
		s.check("a", "b")
		s.check("d", "b")
	}},
	{"a cascade, and the return of a replica that diverged", func(s *Script) {
		s.slots("b")
		s.must("d", events.Follow{From: from("b")})
		s.Until("a cascade", func() bool { return len(s.See("b").Server.Walsenders) == 1 })
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
		s.Until("a has the history of timeline 2", func() bool { return s.Knows("a", 2) })
		s.receivesNothing("a")
		s.has(id, "a")
		s.check("a", "b")
		s.must("a", events.StopPostgres{Mode: events.StopFast})
		s.down("a")
		s.try("a", events.StartPostgres{From: from("b")}) // now it does
		s.down("a")
		s.note("%s", s.See("a").Control.State)
		s.check("a", "b")
		s.try("a", events.Rewind{From: from("b")})
		s.slots("b")
		s.must("a", events.StartPostgres{From: from("b")})
		s.streams("a", 2)
		s.has(id, "a")
	}},
	{"a stop waits for a replica", func(s *Script) {
		s.Hang("b", true)
		s.insert("a")
		ended := s.Begin("a", events.StopPostgres{Mode: events.StopFast}, Patience)
		s.Until("the shutdown checkpoint", func() bool { o := s.See("a"); return !o.Answering && o.Control.State == "shut down" })
		s.throughout("a runs, answers nobody and has its checkpoint", func() bool {
			o := s.See("a")
			return o.Running && !o.Answering && o.Control.State == "shut down"
		})
		s.Hang("b", false)
		outcome, r := ended()
		s.down("a")
		s.Until("b has it", func() bool { return s.See("b").Server.ReceivedLSN > r.ShutdownLSN })
		s.note("%s, %v", outcome, r.ShutdownLSN != 0)
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.streams("b", 1)
		s.answers("a", false)
		s.Hang("b", true)
		s.insert("a")
		r = s.try("a", events.StopPostgres{Mode: events.StopFast, EscalateAfter: 3 * time.Second})
		s.note("escalated, and clean all the same: %v", r.ShutdownLSN != 0)
		s.Hang("b", false)
	}},
	{"synchronous commits", func(s *Script) {
		s.Sync("a", "ANY 1 (b, d)")
		s.insert("a")
		s.Hang("b", true)
		id := s.insert("a")
		s.arrives(id, "d")
		s.Sync("a", "FIRST 1 (b, d)")
		answer := s.waits("a") // FIRST 1, and the first is silent
		s.arrives(s.ids, "d")
		s.has(s.ids, "a", "d")
		s.HangUp("a")
		s.note("hung up: %s", answer(Patience))
		s.has(s.ids, "a")
		answer = s.waits("a")
		s.Hang("b", false)
		s.note("b goes on: %s", answer(Patience))
		s.Sync("a", "FIRST 2 (b, d)")
		s.insert("a")
		s.Sync("a", "FIRST 1 (nobody)")
		answer = s.waits("a")
		s.Kill("a")
		s.down("a")
		s.note("killed: %s", answer(Patience))
		s.must("a", events.StartPostgres{AsPrimary: true})
		s.has(s.ids, "a")
	}},
	{"two promoted apart", func(s *Script) {
		s.must("b", events.Follow{})
		s.Until("b follows nobody", func() bool { o := s.See("b"); return o.Answering && o.Server.ReplicationState == "" })
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
	}},
}
