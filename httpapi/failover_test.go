package httpapi

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

var goodPeers = peersFake{"n2": {Reachable: true}, "n3": {Reachable: true}}

// change of the leader in the views of the checks.
func noSync(s *engine.Status) { setDoc(s, `{"ttl":30}`) }
func quorum(s *engine.Status) { setDoc(s, `{"synchronous_mode":"quorum"}`) }
func paused(s *engine.Status) { s.Settings.Pause = true }
func alone(s *engine.Status)  { s.View.Members = s.View.Members[:1]; noSync(s) }
func nobody(s *engine.Status) { s.View.Sync = events.SyncRecord{} }

func TestChangeOfLeaderIsRefused(t *testing.T) {
	prio := 0
	unfit := peersFake{
		"n2": {Reachable: true, Tags: events.Tags{NoFailover: true}},
		"n3": {Reachable: true, WatchdogFailed: true},
	}
	for _, c := range []struct {
		row        int // of the table in the specification of the doors
		path, body string
		change     func(*engine.Status)
		peers      peersFake
		code       int
		want       string
	}{
		{1, "/failover", `{"leader":"n1"}`, nil, nil, 400, "Failover could be performed only to a specific candidate"},
		{2, "/switchover", `{"candidate":"n2"}`, nil, nil, 400, "Switchover could be performed only from a specific leader"},
		{3, "/failover", `{"candidate":"n2","scheduled_at":"x"}`, nil, nil, 400, "Failover can't be scheduled"},
		{4, "/switchover", `{"leader":"n1","scheduled_at":"x"}`, paused, nil, 400, "Can't schedule switchover in the paused state"},
		{5, "/switchover", `{"leader":"n1","scheduled_at":"x"}`, nil, nil, 422,
			"Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{5, "/switchover", `{"leader":"n1","scheduled_at":"2026-01-03T00:00"}`, nil, nil, 400,
			"Timezone information is mandatory for the scheduled switchover"},
		{5, "/switchover", `{"leader":"n1","scheduled_at":"2025-01-03T00:00Z"}`, nil, nil, 422, "Cannot schedule switchover in the past"},
		{6, "/switchover", `{"leader":"n1"}`, paused, nil, 400, "Switchover is possible only to a specific candidate in a paused state"},
		{7, "/switchover", `{"leader":"n1","candidate":"n1"}`, nil, nil, 400, "Switchover target and source are the same"},
		{7, "/switchover", `{"leader":"n1","member":"n1","scheduled_at":"2026-01-03T00:00Z"}`, nil, nil, 400,
			"Switchover target and source are the same"},
		{8, "/switchover", `{"leader":"n3"}`, nil, nil, 412, "leader name does not match"},
		{8, "/failover", `{"leader":"n3","candidate":"n2"}`, nil, nil, 412, "leader name does not match"},
		{8, "/switchover", `{"leader":"n1"}`, func(s *engine.Status) { s.View.Leader = "" }, nil, 412, "leader name does not match"},
		{9, "/switchover", `{"leader":"n1","candidate":"n3"}`, nil, nil, 412, "candidate name does not match with sync_standby"},
		{9, "/failover", `{"leader":"n1","candidate":"n3"}`, nil, nil, 412, "candidate name does not match with sync_standby"},
		{10, "/switchover", `{"leader":"n1","candidate":"n9"}`, noSync, nil, 412, "candidate does not exists"},
		{10, "/switchover", `{"leader":"n1","candidate":"n9"}`, quorum, nil, 412, "candidate does not exists"},
		{10, "/failover", `{"candidate":"n9"}`, nil, nil, 412, "candidate does not exists"},
		{11, "/switchover", `{"leader":"n1"}`, nobody, nil, 412, "switchover is not possible: can not find sync_standby"},
		{12, "/switchover", `{"leader":"n1"}`, alone, nil, 412, "switchover is not possible: cluster does not have members except leader"},
		{13, "/switchover", `{"leader":"n1"}`, noSync, peersFake{}, 412, "switchover is not possible: no good candidates have been found"},
		{13, "/switchover", `{"leader":"n1"}`, noSync, unfit, 412, "switchover is not possible: no good candidates have been found"},
		{13, "/switchover", `{"leader":"n1"}`, nil, peersFake{"n3": {Reachable: true}}, 412,
			"switchover is not possible: no good candidates have been found"},
		{13, "/failover", `{"candidate":"n2"}`, nil, peersFake{"n2": {Reachable: true, Tags: events.Tags{FailoverPriority: &prio}}}, 412,
			"failover is not possible: no good candidates have been found"},
	} {
		st := primaryStatus()
		if c.change != nil {
			c.change(st)
		}
		peers := c.peers
		if peers == nil {
			peers = goodPeers
		}
		s := newServer(t, Config{Peers: peers}, newDoors(t, st)) // a write would fail the test
		if code, body := call(t, s, "POST", c.path, c.body); code != c.code || body != c.want {
			t.Errorf("row %d, %s %s: %d %q, want %d %q", c.row, c.path, c.body, code, body, c.code, c.want)
		}
	}
}

func TestChangeOfLeaderIsWritten(t *testing.T) {
	// appears is what the view shows right after the write.
	appears := func(d *fakeDoors, rev uint64, then ...func(*engine.Status)) {
		d.publish(func(s *engine.Status) {
			s.View.Revision, s.View.Failover = rev, events.FailoverRecord{Candidate: "n2", Revision: rev}
		})
		for i, change := range then {
			d.publish(func(s *engine.Status) { s.View.Revision = rev + 1 + uint64(i); change(s) })
		}
	}
	leads := func(name string) func(*engine.Status) { return func(s *engine.Status) { s.View.Leader = name } }
	cleared := func(s *engine.Status) { s.View.Failover = events.FailoverRecord{} }
	for _, c := range []struct {
		name, path, body string
		change           func(*engine.Status)
		then             []func(*engine.Status)
		code             int
		want, written    string
	}{
		{"switchover", "/switchover", `{"leader":"n1","candidate":"n2"}`, nil, []func(*engine.Status){leads(""), leads("n2"), cleared}, 200,
			`Successfully switched over to "n2"`, `{"leader":"n1","member":"n2"}`},
		{"to anybody", "/switchover", `{"leader":"n1"}`, noSync, []func(*engine.Status){leads("n3")}, 200,
			`Successfully switched over to "n3"`, `{"leader":"n1"}`},
		{"to another", "/switchover", `{"leader":"n1","member":"n2"}`, nil, []func(*engine.Status){leads("n3")}, 200,
			`Switched over to "n3" instead of "n2"`, `{"leader":"n1","member":"n2"}`},
		{"failover", "/failover", `{"candidate":"n2"}`, nil, []func(*engine.Status){leads("n2")}, 200,
			`Successfully failed over to "n2"`, `{"member":"n2"}`},
		{"failover to another", "/failover", `{"candidate":"n2"}`, nil, []func(*engine.Status){leads("n3")}, 200,
			`Failed over to "n3" instead of "n2"`, `{"member":"n2"}`},
		{"failover without a leader", "/failover", `{"candidate":"n2"}`, leads(""), []func(*engine.Status){leads("n2")}, 200,
			`Successfully failed over to "n2"`, `{"member":"n2"}`},
		{"failover outside of sync", "/failover", `{"candidate":"n3"}`, nil, []func(*engine.Status){leads("n3")}, 200,
			`Successfully failed over to "n3"`, `{"member":"n3"}`},
		{"failover with leader", "/failover", `{"leader":"n1","candidate":"n2"}`, nil, []func(*engine.Status){leads("n2")}, 200,
			`Successfully switched over to "n2"`, `{"leader":"n1","member":"n2"}`},
		{"given up", "/switchover", `{"leader":"n1","candidate":"n2"}`, nil, []func(*engine.Status){cleared}, 503,
			"Switchover failed", `{"leader":"n1","member":"n2"}`},
		{"cleared in between", "/switchover", `{"leader":"n1","candidate":"n2"}`, nil,
			[]func(*engine.Status){leads(""), cleared, leads("n2")}, 200,
			`Successfully switched over to "n2"`, `{"leader":"n1","member":"n2"}`},
		{"failover given up", "/failover", `{"candidate":"n2"}`, nil, []func(*engine.Status){leads(""), cleared, leads("n1")}, 503,
			"Failover failed", `{"member":"n2"}`},
		{"scheduled", "/switchover", `{"leader":"n9","candidate":"n8","scheduled_at":"2026-01-02 05:00:00+01"}`, nil, nil, 202,
			"Switchover scheduled", `{"leader":"n9","member":"n8","scheduled_at":"2026-01-02T05:00:00+01:00"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := primaryStatus()
			if c.change != nil {
				c.change(st)
			}
			d := newDoors(t, st)
			written := make(chan struct{})
			d.onPut = func(*fakeDoors, events.PutKey) (uint64, error) { close(written); return 200, nil }
			s := newServer(t, Config{Peers: goodPeers}, d)
			joined := make(chan struct{})
			go func() { // the view follows the write when it likes
				defer close(joined)
				<-written
				appears(d, 200, c.then...)
			}()
			code, body := call(t, s, "POST", c.path, c.body)
			<-joined
			if code != c.code || body != c.want {
				t.Errorf("%d %q, want %d %q", code, body, c.code, c.want)
			}
			if p := d.puts[0]; p.Key != "failover" || p.Expect != events.Any || p.Value != c.written {
				t.Errorf("wrote %+v, want %s", p, c.written)
			}
		})
	}
}

func TestFailoverKeyNotWritten(t *testing.T) {
	d := newDoors(t, primaryStatus())
	d.onPut = func(*fakeDoors, events.PutKey) (uint64, error) { return 0, errors.New("timeout") }
	s := newServer(t, Config{Peers: goodPeers}, d)
	if code, body := call(t, s, "POST", "/failover", `{"candidate":"n2"}`); code != 503 || body != "failed to write failover key into DCS" {
		t.Errorf("%d %s", code, body)
	}
}

// TestCandidateIsThisMember shows that a member does not ask itself through its own doors.
func TestCandidateIsThisMember(t *testing.T) {
	d := newDoors(t, replicaStatus())
	d.onPut = func(d *fakeDoors, _ events.PutKey) (uint64, error) {
		d.publish(func(s *engine.Status) { s.View.Revision, s.View.Leader = 200, "n2" })
		return 200, nil
	}
	s := newServer(t, Config{Peers: peersFake{}}, d)
	if code, body := call(t, s, "POST", "/switchover", `{"leader":"n1"}`); code != 200 || body != `Successfully switched over to "n2"` {
		t.Errorf("%d %s", code, body)
	}
	d.publish(func(s *engine.Status) {
		s.View.Leader, s.Member.GuardPolicy, s.Guard.Alive = "n1", "required", false
	})
	if code, body := call(t, s, "POST", "/switchover", `{"leader":"n1"}`); code != 412 {
		t.Errorf("with a dead guard: %d %s", code, body)
	}
}

// TestOldViewsTellNothing shows that a view from before the write is not taken for its result.
func TestOldViewsTellNothing(t *testing.T) {
	for _, c := range []struct {
		view        events.View
		moved, gone bool
	}{
		{events.View{Revision: 199, Leader: "n1"}, false, false},
		{events.View{Revision: 199, Leader: "n2"}, false, false},
		{events.View{Revision: 200, Leader: "n1", Failover: events.FailoverRecord{Candidate: "n2"}}, false, false},
		{events.View{Revision: 200, Leader: "n1"}, false, true},
		{events.View{Revision: 201, Leader: "n2"}, true, true},
		{events.View{Revision: 201, Failover: events.FailoverRecord{Candidate: "n2"}}, false, false},
	} {
		if moved, gone := outcome(&c.view, "n1", 200); moved != c.moved || gone != c.gone {
			t.Errorf("%+v: moved %v, gone %v", c.view, moved, gone)
		}
	}
}

func TestDeleteSwitchover(t *testing.T) {
	const scheduled = `{"leader":"n1","scheduled_at":"2026-01-03T00:00:00+00:00"}`
	for _, c := range []struct {
		failover string
		putErr   error
		code     int
		want     string
	}{
		{scheduled, nil, 200, "scheduled switchover deleted"},
		{`{}`, nil, 404, "no switchover is scheduled"},
		{`{"leader":"n1"}`, nil, 404, "no switchover is scheduled"},
		{scheduled, ErrConflict, 409, ""},
		{scheduled, errors.New("timeout"), 503, ""},
	} {
		d := newDoors(t, primaryStatus())
		d.snapshot = func() (events.DCSSnapshot, error) { return keysOf("failover", c.failover), nil }
		if c.code != 404 {
			d.onPut = func(_ *fakeDoors, p events.PutKey) (uint64, error) {
				if p.Key != "failover" || p.Value != "{}" || p.Expect != 11 {
					t.Errorf("wrote %+v", p)
				}
				return 101, c.putErr
			}
		}
		code, body := call(t, newServer(t, Config{}, d), "DELETE", "/switchover", "")
		if code != c.code || c.want != "" && body != c.want {
			t.Errorf("%s, %v: %d %s", c.failover, c.putErr, code, body)
		}
	}
}

func TestChangeOfLeaderRunsOutOfTime(t *testing.T) {
	for want, failover := range map[string]events.FailoverRecord{
		"Switchover status unknown": {Leader: "n1"},
		"Switchover failed":         {}, // the order is gone and nobody leads
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoors(t, primaryStatus())
			d.onPut = func(d *fakeDoors, _ events.PutKey) (uint64, error) {
				d.publish(func(s *engine.Status) { s.View.Revision, s.View.Leader, s.View.Failover = 200, "", failover })
				return 200, nil
			}
			s := newServer(t, Config{Peers: goodPeers}, d)
			start := time.Now()
			code, body := call(t, s, "POST", "/switchover", `{"leader":"n1"}`)
			if code != 503 || body != want || time.Since(start) != 20*time.Second {
				t.Errorf("%d %s after %v, want %s", code, body, time.Since(start), want)
			}
		})
	}
}
