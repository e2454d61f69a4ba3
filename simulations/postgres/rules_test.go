package postgres

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestReleaseRule(t *testing.T) {
	for _, c := range []struct {
		rule     string
		a, b, d  events.LSN // flushed, zero: not there
		released events.LSN
		ok       bool
	}{
		{"FIRST 1 (a, b)", 10, 20, 30, 10, true},
		{"FIRST 1 (b, a)", 10, 20, 30, 20, true},
		{"a, b", 10, 20, 30, 10, true},
		{"a, b", 0, 20, 30, 20, true},
		{"first 2 (a, b, d)", 30, 20, 10, 20, true},
		{"2 (a, b, d)", 30, 0, 10, 10, true},
		{"FIRST 2 (a, b)", 30, 0, 10, 0, false},
		{"ANY 1 (a, b, d)", 10, 20, 30, 30, true},
		{"ANY 2 (a, b, d)", 10, 20, 30, 20, true},
		{"any 3 (a, b, d)", 10, 20, 30, 10, true},
		{"ANY 2 (a, b)", 10, 0, 30, 0, false},
		{"*", 10, 20, 30, 10, true},
		{"ANY 1 (*)", 10, 20, 30, 30, true},
		{`FIRST 1 ("D")`, 10, 20, 30, 30, true},
		{"x", 10, 20, 30, 0, false},
		{"", 10, 20, 30, 0, false},
	} {
		r, err := parseSync(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		var list []standby
		for i, at := range []events.LSN{c.a, c.b, c.d} {
			if p := r.priority([]string{"a", "b", "d"}[i]); p > 0 && at > 0 {
				list = append(list, standby{p, at, i})
			}
		}
		if at, ok := r.released(list); at != c.released || ok != c.ok {
			t.Errorf("%s with %d, %d, %d: %d, %v", c.rule, c.a, c.b, c.d, at, ok)
		}
	}
	for _, bad := range []string{"FIRST (a)", "ANY 0 (a)", "SOME 1 (a)", "FIRST 1 (a", "a,,b", "FIRST 1 ()"} {
		if _, err := parseSync(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSynchronousCommits(t *testing.T) {
	w := trio(t)
	set := func(names string) {
		w.must(w.a, events.ApplyConfig{Document: []byte(`{"postgresql":{"parameters":{"synchronous_standby_names":"` + names + `"}}}`)})
	}
	var l Ledger
	set("ANY 1 (b, d)")
	id, a := w.write(&l, w.a)
	if a != Acknowledged || !w.b.Has(id) && !w.d.Has(id) {
		t.Fatalf("ANY 1: %d, on b %v, on d %v", a, w.b.Has(id), w.d.Has(id))
	}
	w.both(w.a, w.b, true)
	if _, a := w.write(&l, w.a); a != Acknowledged {
		t.Fatal("ANY 1 does not go on with one of two")
	}
	set("FIRST 1 (b, d)")
	told := 0
	id = l.Write(w.a, func(_ uint64, a Answer) {
		if told++; a != Acknowledged {
			t.Errorf("answer %d", a)
		}
	})
	w.k.Run(20 * time.Second) // b is silent, but its sender waits
	if told != 0 || w.a.Waiting() != 1 || w.a.Visible(id) || !w.a.Has(id) || !w.d.Visible(id) {
		t.Fatalf("told %d, waiting %d, visible %v", told, w.a.Waiting(), w.a.Visible(id))
	}
	if o := w.a.Observe().Server; len(o.Walsenders) != 2 || o.Walsenders[0].SyncState != "sync" || o.Walsenders[1].SyncState != "potential" {
		t.Fatalf("senders %+v", o.Walsenders)
	}
	w.k.Run(45 * time.Second) // its sender has given up: d counts now
	if told != 1 || !w.a.Visible(id) {
		t.Fatalf("told %d after the sender gave up", told)
	}
	set("b")
	id = l.Write(w.a, nil)
	w.k.Run(time.Second)
	w.a.CancelWaits()
	if !w.a.Visible(id) || l.Acknowledged().Has(id) || !l.Unanswered().Has(id) {
		t.Fatal("a cancelled wait is not visible, or was acknowledged")
	}
	id = l.Write(w.a, nil)
	w.k.Run(time.Second)
	w.both(w.a, w.b, false)
	w.until("a release by the replica that is back", func() bool { return l.Acknowledged().Has(id) })
	w.both(w.a, w.b, true)
	id = l.Write(w.a, nil)
	w.k.Run(time.Second)
	set("")
	if !l.Acknowledged().Has(id) {
		t.Fatal("a rule that is gone still holds commits")
	}
	set("b")
	id = l.Write(w.a, nil)
	w.k.Run(time.Second)
	w.must(w.a, events.StopPostgres{Mode: events.StopFast, EscalateAfter: time.Second})
	if !l.Unanswered().Has(id) || !w.a.Has(id) {
		t.Fatal("a stop does not end the wait")
	}
}

func TestDivergenceRows(t *testing.T) {
	rows := []events.TimelineSwitch{{Parent: 1, Switch: 100}, {Parent: 3, Switch: 200}}
	for i, c := range []struct {
		end  localEnd
		want bool
	}{
		{localEnd{timeline: 1, at: 100}, false},
		{localEnd{timeline: 1, at: 101}, true},
		{localEnd{timeline: 1, at: 80, recordEnd: 100, primary: true}, false},
		{localEnd{timeline: 1, at: 80, recordEnd: 90, primary: true}, true},
		{localEnd{timeline: 1, at: 100, recordEnd: 120, primary: true}, true},
		{localEnd{timeline: 2, at: 50}, true},
		{localEnd{timeline: 3, at: 150}, false},
		{localEnd{timeline: 3, at: 250}, true},
		{localEnd{timeline: 4, at: 50}, true},
	} {
		if got := diverged(c.end, rows); got != c.want {
			t.Errorf("%d: %+v: %v", i, c.end, got)
		}
	}
	w := trio(t)
	w.must(w.b, events.Promote{}) // a goes on as well
	leader := w.b
	s := w.d
	for i, c := range []struct {
		end  localEnd
		want bool
	}{
		{localEnd{timeline: 3, at: 1}, true},
		{localEnd{timeline: 2, at: leader.flushed + 1}, true},
		{localEnd{timeline: 2, at: leader.flushed - 8, recordEnd: leader.flushed + 8, primary: true}, true},
		{localEnd{timeline: 2, at: leader.flushed}, false},
		{localEnd{timeline: 1, at: leader.wal.b.fork}, false},
		{localEnd{timeline: 1, at: leader.wal.b.fork + 8}, true},
	} {
		if got, why := s.compare(leader, c.end); got != c.want || why != "" {
			t.Errorf("%d: %+v: %v %s", i, c.end, got, why)
		}
	}
	s.histories = []historyFile{{2, []events.TimelineSwitch{{Parent: 1, Switch: 5}}}}
	if found, _ := s.compare(leader, localEnd{timeline: 2, at: leader.flushed}); !found {
		t.Error("another timeline of the same number is taken for the leader's")
	}
	s.histories = nil
	s.half = true
	if found, _ := s.compare(leader, localEnd{}); !found {
		t.Error("half rewound")
	}
	s.half = false
	w.fails(w.d, events.CheckDivergence{Leader: of(w.d)}, "the server is in recovery, not a primary")
	w.a.Restore()
	w.fails(w.d, events.CheckDivergence{Leader: of(w.a)}, "connection refused")
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	if o := w.do(w.d, events.CheckDivergence{Leader: of(w.a)}); o.Outcome != events.Failed || o.why[:22] != "the system identifiers" {
		t.Errorf("another cluster: %+v", o)
	}
}

func TestTwoPromotedApart(t *testing.T) {
	w := trio(t)
	var l Ledger
	w.both(w.a, w.b, true)
	w.write(&l, w.a)
	w.k.Run(time.Second)
	w.a.KillAll()
	w.must(w.b, events.Promote{})
	w.must(w.d, events.Promote{}) // both take timeline 2
	if w.b.Timeline() != 2 || w.d.Timeline() != 2 || !w.b.Diverged(w.d) || !w.d.Diverged(w.b) {
		t.Fatalf("timelines %d, %d", w.b.Timeline(), w.d.Timeline())
	}
	for range 20 {
		w.write(&l, w.b)
	}
	w.must(w.d, events.StopPostgres{Mode: events.StopFast})
	if w.divergence(w.d, w.b) != events.DivergenceFound {
		t.Error("not found")
	}
	w.must(w.d, events.Rewind{From: of(w.b)}) // pg_rewind believes the numbers: nothing to do
	if !w.d.Diverged(w.b) || w.divergence(w.d, w.b) != events.DivergenceFound {
		t.Error("a rewind between timelines of one number has worked")
	}
	w.must(w.d, events.Clone{From: of(w.b), Discard: true})
	w.must(w.d, events.StartPostgres{From: of(w.b)})
	w.until("streaming", w.d.Streaming)
}

func TestSlotsAndRemovedWAL(t *testing.T) {
	w := trio(t)
	for _, s := range w.c.servers {
		s.walKeep = 32 << 20
	}
	w.both(w.a, w.b, true)
	w.both(w.a, w.d, true)
	w.k.Run(2 * time.Minute)
	w.a.DropSlot("d")
	for range 10 {
		w.a.WriteWAL(16 << 20)
		w.must(w.a, events.Checkpoint{})
	}
	if w.a.Oldest() > w.b.LSN() {
		t.Fatalf("the slot does not keep WAL: %v, %v", w.a.Oldest(), w.b.LSN())
	}
	w.a.DropSlot("b")
	w.must(w.a, events.Checkpoint{})
	w.must(w.a, events.SyncSlots{Members: []string{"b", "d"}})
	w.both(w.a, w.b, false)
	w.k.Run(10 * time.Second)
	if w.b.Streaming() || w.b.Refusal() != "requested WAL segment has already been removed" {
		t.Fatalf("refusal %q", w.b.Refusal())
	}
	w.c.Archive = true
	w.c.Changed()
	w.until("WAL from the archive", w.b.Streaming)
	if w.fails(w.a, events.SyncSlots{Drop: []string{"b"}}, "drop slot b: it is in use"); w.a.slot("b") == nil {
		t.Error("dropped all the same")
	}
	w.must(w.a, events.SyncSlots{Drop: []string{"d"}})
	w.both(w.a, w.d, false)
	w.k.Run(10 * time.Second)
	if w.d.Refusal() != "replication slot does not exist" {
		t.Errorf("refusal %q", w.d.Refusal())
	}
}

func TestCascadeAndOneWayCut(t *testing.T) {
	w := trio(t)
	var l Ledger
	w.must(w.b, events.SyncSlots{Members: []string{"d"}})
	w.must(w.d, events.Follow{From: of(w.b)})
	w.until("a cascade", w.d.Streaming)
	id, _ := w.write(&l, w.a)
	w.k.Run(time.Second)
	if !w.d.Has(id) {
		t.Fatal("nothing comes through the cascade")
	}
	w.cut[[2]string{"b", "a"}] = true // data could flow, answers cannot
	w.c.Changed()
	w.k.Run(time.Second)
	id, _ = w.write(&l, w.a)
	w.k.Run(time.Second)
	if w.b.Has(id) || w.d.Has(id) || w.b.Streaming() {
		t.Fatal("a one-way cut lets WAL through")
	}
	w.must(w.b, events.Promote{})
	id, _ = w.write(&l, w.b)
	w.until("the cascade goes on with the new timeline", func() bool { return w.d.Has(id) && w.d.Timeline() == 2 })
}

func TestCatchingUpIsLimited(t *testing.T) {
	w := trio(t)
	w.both(w.a, w.b, true)
	w.k.Run(2 * time.Minute)
	w.a.WriteWAL(500e6)
	w.k.Run(time.Second)
	w.both(w.a, w.b, false)
	w.k.Run(2 * time.Second)
	if w.b.LSN() == w.a.LSN() || w.a.Observe().Server.Walsenders[0].State != "catchup" {
		t.Fatal("500 MB in no time")
	}
	w.until("all of it", func() bool { return w.b.LSN() == w.a.LSN() })
	w.b.PauseReplay(true)
	var l Ledger
	id, _ := w.write(&l, w.a)
	w.k.Run(time.Minute)
	if !w.b.Has(id) || w.b.Visible(id) || !w.b.Observe().Server.ReplayPaused {
		t.Fatal("replay is not paused")
	}
	w.b.PauseReplay(false)
	w.b.SetApplyDelay(time.Minute)
	id, _ = w.write(&l, w.a)
	w.k.Run(30 * time.Second)
	if w.b.Visible(id) {
		t.Fatal("replay is not delayed")
	}
	w.k.Run(40 * time.Second)
	if !w.b.Visible(id) {
		t.Fatal("replay is delayed for ever")
	}
}

func TestRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var a, b Ranges
		ha, hb := map[uint64]bool{}, map[uint64]bool{}
		for range 40 {
			first := uint64(r.IntN(100) + 1)
			last := first + uint64(r.IntN(4))
			set, h := &a, ha
			if r.IntN(2) == 0 {
				set, h = &b, hb
			}
			set.AddRange(first, last)
			for i := first; i <= last; i++ {
				h[i] = true
			}
		}
		left := a.Without(b)
		for i := uint64(0); i < 120; i++ {
			if a.Has(i) != ha[i] || left.Has(i) != (ha[i] && !hb[i]) {
				t.Fatalf("%d: %v without %v is %v", i, a, b, left)
			}
		}
		if a.Len() != uint64(len(ha)) {
			t.Fatalf("%v has %d", a, a.Len())
		}
	}
}

func TestLostFlushes(t *testing.T) {
	w := trio(t)
	var l Ledger
	for range 10 {
		w.write(&l, w.a)
	}
	w.k.Run(time.Second)
	w.a.CrashHost()
	w.a.LoseFlushed(5 * w.c.Timing.WriteBytes)
	w.a.BootHost()
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	if lost := l.Lost(w.a); lost.Len() != 5 || l.Lost(w.b).Len() != 0 {
		t.Fatalf("lost %v", lost)
	}
	w.write(&l, w.a)
	w.k.Run(2 * time.Second)
	if w.b.Streaming() || !w.b.Diverged(w.a) {
		t.Fatal("a replica goes on from what its primary has lost")
	}
}

func TestTimelinesOfAnArchive(t *testing.T) {
	w := trio(t)
	w.c.Archive = true
	w.a.KillAll()
	if p, q := w.must(w.b, events.Promote{}), w.must(w.d, events.Promote{}); p.Timeline != 2 || q.Timeline != 3 {
		t.Fatalf("timelines %d and %d", p.Timeline, q.Timeline)
	}
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.must(w.a, events.StopPostgres{Mode: events.StopFast})
	// The archive has a timeline that is not a child of this server's.
	w.fails(w.a, events.StartPostgres{From: of(w.b)}, "requested timeline is not a child of this server's history")
}
