package postgres

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestBootstrapCloneStream(t *testing.T) {
	w := trio(t)
	var l Ledger
	id, got := w.write(&l, w.a)
	if got != Acknowledged || !w.a.Has(id) {
		t.Fatalf("answer %d", got)
	}
	w.until("replication", func() bool { return w.b.Has(id) && w.d.Has(id) && w.b.Visible(id) })
	if _, got := w.write(&l, w.b); got != Refused {
		t.Fatalf("a replica answers %d", got)
	}
	o := w.a.Observe()
	if !o.Answering || o.Server.InRecovery || o.Server.Timeline != 1 || o.Server.FlushLSN != w.a.LSN() || len(o.Server.Walsenders) != 2 ||
		len(o.Server.Slots) != 2 || !o.Server.Slots[0].Active || o.Control.State != inProduction || !o.Control.CanRewind {
		t.Fatalf("primary: %+v", o)
	}
	o = w.b.Observe()
	if !o.Server.InRecovery || o.Server.ReplicationState != "streaming" || o.Server.ReceivedLSN != w.a.LSN() || !o.Control.StandbySignal ||
		o.Server.ReplayedLSN != w.a.LSN() || o.Control.State != inArchiveRecovery || o.Server.Upstream != "a:5432" {
		t.Fatalf("replica: %+v", o)
	}
	if n := testing.AllocsPerRun(10, func() { w.a.Observe(); w.b.Observe() }); n > 0 {
		t.Errorf("a look at nothing new allocates %v times", n)
	}
}

func TestSwitchover(t *testing.T) {
	w := trio(t)
	var l Ledger
	w.write(&l, w.a)
	r := w.must(w.a, events.StopPostgres{Mode: events.StopFast})
	if r.ShutdownLSN == 0 || w.b.LSN() <= r.ShutdownLSN || w.d.LSN() != w.a.LSN() {
		t.Fatalf("stopped at %v, replicas at %v and %v", r.ShutdownLSN, w.b.LSN(), w.d.LSN())
	}
	p := w.must(w.b, events.Promote{})
	if p.Timeline != 2 || len(p.History) != 1 || p.History[0].Parent != 1 || p.History[0].Switch != w.a.LSN() {
		t.Fatalf("promoted: %+v", p)
	}
	if again := w.must(w.b, events.Promote{}); again.Timeline != 2 {
		t.Fatalf("again: %+v", again)
	}
	w.must(w.b, events.SyncSlots{Members: []string{"a", "b", "d"}})
	w.must(w.d, events.Follow{From: of(w.b)})
	if d := w.divergence(w.a, w.b); d != events.DivergenceNone || w.a.Diverged(w.b) {
		t.Fatalf("after a clean stop: %s, truth %v", d, w.a.Diverged(w.b))
	}
	w.must(w.a, events.StartPostgres{From: of(w.b)})
	id, _ := w.write(&l, w.b)
	w.until("replication", func() bool { return w.a.Has(id) && w.d.Has(id) })
	if o := w.d.Observe(); o.Server.Timeline != 2 || o.Server.ReplicationState != "streaming" {
		t.Fatalf("follower: %+v", o.Server)
	}
	w.fails(w.a, events.StartPostgres{AsPrimary: true}, "the server is running in the other role")
	w.must(w.a, events.StopPostgres{Mode: events.StopFast})
	w.fails(w.a, events.StartPostgres{AsPrimary: true}, "it was a replica: pg_control says shut down in recovery")
	if lost := l.Lost(w.b); len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
}

func TestCrashDivergeRecoverRewind(t *testing.T) {
	w := trio(t)
	var l Ledger
	w.both(w.a, w.b, true)
	id, got := w.write(&l, w.a) // only a and d have it
	if got != Acknowledged {
		t.Fatal(got)
	}
	w.k.Run(time.Second)
	w.a.Kill()
	w.until("the end of its children", func() bool { return w.a.phase == down })
	if len(w.exits) != 2 || w.exits[0].Gone || !w.exits[1].Gone || w.exits[0].PID != w.exits[1].PID {
		t.Fatalf("exits %+v", w.exits)
	}
	w.both(w.a, w.b, false)
	w.must(w.b, events.Promote{})
	w.must(w.b, events.SyncSlots{Members: []string{"a", "b", "d"}})
	if lost := l.Lost(w.b); lost.Len() != 1 || !lost.Has(id) {
		t.Fatalf("lost %v", lost)
	}
	w.fails(w.a, events.CheckDivergence{Leader: of(w.b)}, "the server was not shut down cleanly: pg_control says in production")
	w.must(w.a, events.CrashRecover{})
	if d := w.divergence(w.a, w.b); d != events.DivergenceFound || !w.a.Diverged(w.b) {
		t.Fatalf("divergence %s", d)
	}
	// The replica that was ahead is refused, and says so.
	w.must(w.d, events.Follow{From: of(w.b)})
	w.k.Run(3 * time.Second)
	if w.d.Streaming() || w.d.Refusal() != "requested starting point is not in this server's history" || w.divergence(w.d, w.b) != events.DivergenceFound {
		t.Fatalf("the replica that was ahead: refusal %q", w.d.Refusal())
	}
	for _, s := range []*Server{w.a, w.d} {
		w.must(s, events.StopPostgres{Mode: events.StopFast})
		w.must(s, events.Rewind{From: of(w.b)})
		w.must(s, events.StartPostgres{From: of(w.b)})
		w.until("streaming", s.Streaming)
		if s.Has(id) {
			t.Errorf("%s has what was rewound", s.name)
		}
	}
}

func TestHostCrashLosesWhatIsNotFlushed(t *testing.T) {
	w := trio(t)
	var l Ledger
	told := 0
	id := l.Write(w.a, func(_ uint64, a Answer) {
		if told++; a != NoAnswer {
			t.Errorf("answer %d", a)
		}
	})
	w.a.CrashHost()
	if w.a.Has(id) || told != 1 || len(w.exits) != 0 {
		t.Errorf("has %v, told %d, exits %v", w.a.Has(id), told, w.exits)
	}
	w.k.Run(time.Second)
	if w.b.Observe().Server.ReplicationState != "streaming" {
		t.Error("a replica notices the silence at once")
	}
	w.k.Run(time.Minute)
	if w.b.Observe().Server.ReplicationState != "" {
		t.Error("a replica never notices the silence")
	}
	w.a.BootHost()
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.until("streaming again", func() bool { return w.b.Streaming() && w.d.Streaming() })
	// The death of PostgreSQL alone loses nothing.
	kept := l.Write(w.a, nil)
	w.a.Kill()
	w.k.Run(time.Second)
	if !w.a.Has(kept) {
		t.Error("the death of the postmaster has lost a commit")
	}
}

func TestStopWaitsForReplicasAndEscalates(t *testing.T) {
	w := trio(t)
	w.both(w.a, w.b, true)
	o := w.perform(w.a, events.StopPostgres{Mode: events.StopFast}, 5*time.Minute)
	w.k.Run(30 * time.Second)
	if o.Outcome != "" || !w.a.Running() || w.a.Observe().Control.State != shutDown {
		t.Fatalf("a stop that waits for a silent replica: %+v, %+v", o, w.a.Observe())
	}
	w.both(w.a, w.b, false)
	w.k.Run(time.Second)
	if o.Outcome != events.Done || w.b.LSN() != w.a.LSN() {
		t.Fatalf("after the network is back: %+v, %v of %v", o, w.b.LSN(), w.a.LSN())
	}
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.until("streaming", w.b.Streaming)
	w.both(w.a, w.b, true)
	o = w.perform(w.a, events.StopPostgres{Mode: events.StopFast, EscalateAfter: time.Second}, time.Minute)
	w.k.Run(1200 * time.Millisecond)
	if o.Outcome != events.Done || o.ShutdownLSN == 0 {
		t.Fatalf("escalated: %+v", o)
	}
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.a.Hang()
	o = w.perform(w.a, events.StopPostgres{Mode: events.StopFast}, time.Second)
	w.k.Run(1100 * time.Millisecond)
	if o.Outcome != events.Done || o.ShutdownLSN != 0 || w.a.Running() {
		t.Fatalf("a stop of a server that hangs: %+v", o)
	}
}

func TestStopEndsWhenTheHostOfASilentReplicaCrashes(t *testing.T) {
	w := trio(t)
	w.both(w.a, w.b, true)
	o := w.perform(w.a, events.StopPostgres{Mode: events.StopFast}, 5*time.Minute)
	w.k.Run(2 * time.Second)
	w.b.CrashHost()
	w.k.Run(30 * time.Second)
	if o.Outcome != "" {
		t.Fatalf("a primary knows of a crash elsewhere: %+v", o)
	}
	w.k.Run(31 * time.Second)
	if o.Outcome != events.Done {
		t.Fatalf("the stop has not ended when the sender gave up: %+v", w.a.Observe())
	}
}

func TestCopyGivesUpADeadHost(t *testing.T) {
	w := trio(t)
	w.must(w.b, events.StopPostgres{Mode: events.StopFast})
	o := w.perform(w.b, events.Clone{From: of(w.a), Discard: true}, time.Hour)
	w.k.Run(time.Second)
	w.a.CrashHost()
	w.k.Run(20 * time.Second)
	if o.Outcome != "" {
		t.Fatalf("a copy knows of a crash elsewhere: %+v", o)
	}
	w.k.Run(15 * time.Second)
	if o.Outcome != events.Failed || w.b.Observe().Data != events.DataPresent {
		t.Fatalf("a copy of a dead host: %+v, %+v", o, w.b.Observe())
	}
}

func TestInterruptedEffects(t *testing.T) {
	w := trio(t)
	// A clone whose source dies puts back what was there.
	w.must(w.b, events.StopPostgres{Mode: events.StopFast})
	o := w.perform(w.b, events.Clone{From: of(w.a), Discard: true}, time.Minute)
	w.k.Run(time.Second)
	if w.b.Observe().Data != events.DataEmpty {
		t.Fatalf("while it clones: %+v", w.b.Observe())
	}
	w.a.KillAll()
	w.k.Run(time.Second)
	if o.Outcome != events.Failed || w.b.Observe().Data != events.DataPresent {
		t.Fatalf("a clone of a dead source: %+v, %+v", o, w.b.Observe())
	}
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	// One whose agent dies does not.
	w.perform(w.b, events.Clone{From: of(w.a), Discard: true}, time.Minute)
	w.k.Run(time.Second)
	w.b.AgentDied()
	if o := w.b.Observe(); o.Data != events.DataEmpty || o.Problem == "" {
		t.Fatalf("an unfinished clone: %+v", o)
	}
	w.must(w.b, events.Clone{From: of(w.a)})
	w.must(w.b, events.StartPostgres{From: of(w.a)})
	// A promotion outlives the agent that asked.
	w.until("streaming", w.b.Streaming)
	w.perform(w.b, events.Promote{}, time.Minute)
	w.k.Run(2 * time.Millisecond)
	w.b.AgentDied()
	w.until("promoted", func() bool { return w.b.Writable() })
	// A rewind that is interrupted leaves what only a rewind can use.
	var l Ledger
	w.write(&l, w.a)
	w.must(w.a, events.StopPostgres{Mode: events.StopFast})
	w.perform(w.a, events.Rewind{From: of(w.b)}, time.Minute)
	w.until("a rewind under way", func() bool { return w.a.half })
	w.k.Run(300 * time.Millisecond)
	w.a.AgentDied()
	w.fails(w.a, events.StartPostgres{From: of(w.b)}, "a rewind did not end")
	if w.divergence(w.a, w.b) != events.DivergenceFound {
		t.Error("half rewound and not diverged")
	}
	w.must(w.a, events.Rewind{From: of(w.b)})
	w.must(w.b, events.SyncSlots{Members: []string{"a"}})
	w.must(w.a, events.StartPostgres{From: of(w.b)})
	w.until("streaming", w.a.Streaming)
}

func TestHangsAndDisks(t *testing.T) {
	w := trio(t)
	var l Ledger
	w.a.Hang()
	w.k.Run(3 * time.Second)
	if o := w.a.Observe(); o.Answering || o.Starting || !o.Running || o.NoAnswerFor < 2*time.Second || o.Data != events.DataPresent {
		t.Fatalf("hung: %+v", o)
	}
	w.a.Resume()
	w.write(&l, w.a)
	told := false
	w.a.SetDisk(DiskStalled)
	l.Write(w.a, func(uint64, Answer) { told = true })
	w.k.Run(10 * time.Second)
	if o := w.a.Observe(); told || o.Data != events.DataUnknown || !o.Running || o.Sampled > w.k.Now().Add(-9*time.Second) {
		t.Fatalf("stalled: told %v, %+v", told, o)
	}
	w.a.SetDisk(DiskWell)
	w.k.Run(time.Second)
	if !told || w.a.Observe().Data != events.DataPresent {
		t.Fatal("after the stall")
	}
	w.a.SetDisk(DiskFull)
	if _, a := w.write(&l, w.a); a != Refused || !w.a.Running() {
		t.Fatalf("full: %d", a)
	}
	w.a.SetDisk(WALFull)
	if _, a := w.write(&l, w.a); a != NoAnswer || w.a.Running() {
		t.Fatalf("no room for WAL: %d", a)
	}
	w.fails(w.a, events.StartPostgres{AsPrimary: true}, "could not write: no space left on device")
	w.a.SetDisk(DiskWell)
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.a.FillConnections(true)
	if o := w.a.Observe(); o.Answering || o.Starting || o.Problem == "" {
		t.Fatalf("too many connections: %+v", o)
	}
	w.a.FillConnections(false)
	pid := w.a.PID()
	w.a.CrashBackend()
	if o := w.a.Observe(); !o.Starting || o.PID != pid {
		t.Fatalf("a dead backend: %+v", o)
	}
	w.until("recovered", w.a.Writable)
	if pid != w.a.PID() {
		t.Error("the postmaster is another")
	}
}

// A shutdown that waits for a replica does not wait for ever when the replica's host is gone: the sender gives up.
func TestShutdownEndsWithoutACrashedReplica(t *testing.T) {
	w := trio(t)
	w.both(w.a, w.b, true)
	w.a.WriteWAL(1 << 16)
	w.k.Run(time.Second)
	w.a.Stop(events.StopFast)
	w.k.Run(time.Second)
	if !w.a.Running() {
		t.Fatal("it did not wait for its replica")
	}
	w.b.CrashHost()
	w.k.Run(w.c.Timing.SenderTimeout + time.Second)
	if w.a.Running() {
		t.Error("it still waits for a replica whose host is gone")
	}
}
