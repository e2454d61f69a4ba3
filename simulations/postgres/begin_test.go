package postgres

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// A cluster that is found in the middle of its life goes on: replicas stream, a crashed former primary with WAL of its own has
// diverged, and one without has not.
func TestServersBeginInTheMiddle(t *testing.T) {
	w := newWorld(t)
	c := w.c
	w.c.Add("c")
	w.c.Add("e")
	seen := func(running, recovery bool, tl events.Timeline, at events.LSN, state string) events.Observation {
		o := events.Observation{Data: events.DataPresent, Running: running, Answering: running,
			Control: events.Control{SystemID: "42", State: state, Timeline: tl, CheckpointLSN: 0x3000000, CanRewind: true, StandbySignal: recovery}}
		if running {
			o.PID = 500
			o.Server = events.Server{InRecovery: recovery, Timeline: tl}
			if recovery {
				o.Server.ReceivedLSN, o.Server.ReplayedLSN = at, at
			} else {
				o.Server.FlushLSN = at
				o.Server.Slots = []events.Slot{{Name: "b", Physical: true, RestartLSN: at}, {Name: "c", Physical: true, RestartLSN: at}}
			}
		}
		return o
	}
	standings := []Standing{
		{Name: "a", ConnURL: "postgres://10.0.0.1:5432/postgres", Seen: seen(true, false, 2, 0x4000100, inProduction)},
		{Name: "b", ConnURL: "postgres://10.0.0.2:5432/postgres", Seen: seen(true, true, 2, 0x4000180, inArchiveRecovery), Upstream: "a"}, // seen later than a
		{Name: "c", Seen: seen(false, false, 1, 0, inProduction), Last: events.Server{FlushLSN: 0x3ff0000, Timeline: 1}},
		{Name: "d", Seen: seen(false, true, 1, 0, shutDownInRecovery), Last: events.Server{InRecovery: true, ReceivedLSN: 0x3ffff00, Timeline: 1}},
		{Name: "e", Seen: seen(false, true, 1, 0, shutDownInRecovery), Last: events.Server{InRecovery: true, ReceivedLSN: 0x4000080, Timeline: 1}},
	}
	if left := c.Begin(standings, []events.TimelineSwitch{{Parent: 1, Switch: 0x4000000}}); len(left) > 0 {
		t.Errorf("left out: %v", left)
	}
	a, b := c.Server("a"), c.Server("b")
	if a.LSN() != 0x4000180 || a.Timeline() != 2 || !a.Writable() {
		t.Errorf("a at %v on %d, writable %v", a.LSN(), a.Timeline(), a.Writable())
	}
	w.k.Run(time.Second)
	if !b.Streaming() || b.Upstream() != "a" {
		t.Errorf("b does not stream: %s", b.Refusal())
	}
	ledger := &Ledger{}
	id := ledger.Write(a, nil)
	w.k.Run(time.Second)
	if !b.Has(id) {
		t.Error("b does not get what is written")
	}
	if !c.Server("c").Diverged(a) || c.Server("d").Diverged(a) {
		t.Errorf("diverged: c %v, d %v", c.Server("c").Diverged(a), c.Server("d").Diverged(a))
	}
	if got := c.of(events.Upstream{ConnURL: "postgres://10.0.0.1:5432/postgres"}); got != a {
		t.Errorf("10.0.0.1:5432 leads to %v", got)
	}
	if at := c.Server("c").LSN(); at < 0x4000080 {
		t.Errorf("c, which wrote timeline 1, has less of it than was received: %v", at)
	}
	if o := a.Observe(); o.PID != 500 || o.Control.SystemID != "42" {
		t.Errorf("a looks as %+v", o)
	}
}
