package runner

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

// What a runner recorded is decided again, from what was written, byte for byte and with the same states.
func TestRecordedRunReplaysEqual(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t)
	tries := 0
	r.do = func(e events.Effect) {
		switch e.Action.(type) {
		case events.AcquireLease:
			if tries++; tries < 3 {
				r.refuse(e)
				return
			}
			r.Post(events.LeaseOutcome{Effect: e.ID, Op: events.LeaseAcquire, Outcome: events.Done, Epoch: 40, SentAt: r.now(), TTL: 30 * time.Second})
			r.Post(events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyLeader, Value: "n1", Revision: 40}})
		case events.Promote:
			f := answer(e, r.now())
			f.Result = events.Result{Timeline: 2, History: []events.TimelineSwitch{{Parent: 1, Switch: 1000, Reason: "no recovery target specified"}}}
			r.Post(f)
		default:
			r.refuse(e)
		}
	}
	_, end := r.record(dir, eventlog.Options{Version: "test"})
	r.start()
	r.post(started(), events.GuardTick{Alive: true, Reason: "a test"}, snapshot(10, "n2"),
		events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyMembers + "n3", Revision: 11,
			Value: `{"api_url":"http://127.0.0.1:8009/patroni","tags":{"zone":"b","nofailover":true,"password":"hidden"},"xlog_location":4711}`}},
		replica(r.now()))
	r.await("it follows", in(engine.Following))
	for i := range 200 {
		o := replica(r.now())
		o.Observation.Server.ReplayedLSN = events.LSN(1000 + i)
		o.Observation.Server.ReplayedAt = fmt.Sprintf("2026-01-01 00:00:%02d\xff", i%60) // not even text
		r.post(o)
	}
	r.post(events.OperatorAsked{Request: events.OperatorRequest{ID: "r1", Verb: events.AskRestart, Role: "primary"}}, leaderGone(12))
	eventually(t, "it is promoted", func() bool { return len(r.saw(events.ActPromote)) > 0 })
	r.stop()
	end()

	replay := engine.NewReplayer()
	for p, err := range eventlog.Pairs(eventlog.Read(dir).All()) {
		switch {
		case err != nil:
			t.Fatal(err)
		case p.Input == nil || p.Decision == nil || p.Gap != nil:
			t.Fatalf("the log is not whole: %+v", p)
		}
		if err := replay.Step(*p.Input, *p.Decision); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.consumed()); replay.Steps != n {
		t.Fatalf("%d of %d steps were replayed", replay.Steps, n)
	}
	t.Logf("%d steps, the last in %s", replay.Steps, replay.Status().State)
}
