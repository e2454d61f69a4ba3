package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a body, indented for reading, with a file.
func golden(t *testing.T, name, body string) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(body), "", "  "); err != nil {
		t.Fatalf("not JSON: %v: %s", err, body)
	}
	b.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s differs; run with -update and review.\ngot:\n%s\nwant:\n%s", file, b.String(), want)
	}
}

func TestNodeStatusShapes(t *testing.T) {
	for name, st := range map[string]*engine.Status{
		"patroni_primary": primaryStatus(),
		"patroni_replica": with(replicaStatus(), func(s *engine.Status) {
			s.Postgres.Server.ReplayedAt = "2026-01-02 03:04:05+00"
			s.ScheduledRestart = &events.ScheduledRestart{Schedule: "2026-02-01T00:00:00+00:00", PostmasterStartTime: "x", Role: "replica"}
		}),
		"patroni_quorum": with(replicaStatus(), func(s *engine.Status) {
			setDoc(s, `{"synchronous_mode":"quorum","pause":true}`)
			s.Postgres.Server.Timeline = 0
			s.Postgres.Server.PendingRestart = nil
		}),
		"patroni_promoting": with(replicaStatus(), func(s *engine.Status) {
			s.LeaseUntil, s.Role, s.View.Leader = leaseEnd, "promoted", "n2"
		}),
		"patroni_stopped": with(primaryStatus(), func(s *engine.Status) {
			s.Postgres, s.PostgresState, s.Role = events.Observation{}, "stopped", "demoted"
			s.Member.GuardPolicy, s.Guard.Alive, s.DCSReachable = "required", false, false
		}),
		"patroni_no_answer": with(primaryStatus(), func(s *engine.Status) { s.Postgres.Answering = false }),
	} {
		code, body := call(t, newServer(t, Config{}, newDoors(t, st)), "GET", "/patroni", "")
		if code != 200 {
			t.Errorf("%s: %d", name, code)
		}
		golden(t, name, body)
	}
}

func TestClusterShapes(t *testing.T) {
	plain := demoView()
	quorum := demoView()
	quorum.Config = json.RawMessage(`{"synchronous_mode":"quorum","pause":true}`)
	quorum.Failover = events.FailoverRecord{Leader: "n1", Candidate: "n2", ScheduledAt: "2026-01-02T04:00:00+00:00"}
	standby := demoView()
	standby.Config = json.RawMessage(`{"standby_cluster":{"port":5432},"synchronous_mode":true}`)
	for name, v := range map[string]events.View{
		"cluster": plain, "cluster_quorum": quorum, "cluster_standby": standby, "cluster_empty": {},
	} {
		s := with(primaryStatus(), func(s *engine.Status) { s.View = v })
		code, body := call(t, newServer(t, Config{}, newDoors(t, s)), "GET", "/cluster", "")
		if code != 200 {
			t.Errorf("%s: %d", name, code)
		}
		golden(t, name, body)
		var back Cluster
		if err := json.Unmarshal([]byte(body), &back); err != nil {
			t.Fatal(err)
		}
		again, err := encode(back)
		if err != nil || string(spaced(again)) != body {
			t.Errorf("%s does not survive decoding: %v\n%s\n%s", name, err, spaced(again), body)
		}
	}
}

func TestRegentStatusShape(t *testing.T) {
	st := with(primaryStatus(), func(s *engine.Status) {
		s.Refusals = []events.Refusal{{Rule: "FO-30", Candidate: "n3", Why: "n3 is 96 bytes behind"}}
		s.InFlight = []events.Effect{{ID: 7, Epoch: 15, Deadline: testNow + 1_500_000_000, Action: events.Checkpoint{}}, {ID: 8}}
		s.Recent = []engine.Decided{{Seq: 41, From: "promoting", To: "leading", Rule: "LE-01", Why: "promoted"}}
		s.Guard = events.GuardTick{Alive: true, Deadline: leaseEnd}
		s.Dropped = 3
	})
	s := newServer(t, Config{}, newDoors(t, st))
	code, body := call(t, s, "GET", "/regent/status", "")
	if code != 200 {
		t.Fatal(code, body)
	}
	golden(t, "regent_status", body)
	if code, _ := call(t, s, "GET", "/regent/other", ""); code != 404 {
		t.Errorf("/regent/other: %d", code)
	}
}

func TestHistoryAndConfig(t *testing.T) {
	s := newServer(t, Config{}, newDoors(t, primaryStatus()))
	for path, want := range map[string]string{
		"/history": `[[1, 25165984, "no recovery target specified", "2026-01-01T00:00:00+00:00", "n1"]]`,
		"/config":  `{"ttl": 30, "synchronous_mode": true}`,
	} {
		if code, body := call(t, s, "GET", path, ""); code != 200 || body != want {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
	empty := newServer(t, Config{}, newDoors(t, with(primaryStatus(), func(s *engine.Status) { s.View = events.View{} })))
	if code, body := call(t, empty, "GET", "/history", ""); code != 200 || body != "[]" {
		t.Errorf("empty history: %d %s", code, body)
	}
	if code, body := call(t, empty, "GET", "/config", ""); code != 502 || !strings.Contains(body, "Error code: 502") {
		t.Errorf("no config: %d %s", code, body)
	}
	cut := newServer(t, Config{}, newDoors(t, with(primaryStatus(), func(s *engine.Status) { s.DCSReachable = false })))
	for _, path := range []string{"/cluster", "/history"} {
		if code, body := call(t, cut, "GET", path, ""); code != 503 || !strings.Contains(body, "n1") {
			t.Errorf("GET %s without DCS: %d %s", path, code, body)
		}
	}
}

func TestFailsafeNeverAccepts(t *testing.T) {
	off := newServer(t, Config{}, newDoors(t, replicaStatus()))
	on := func(s *engine.Status) {
		setDoc(s, `{"failsafe_mode":true}`)
		s.View.Failsafe = map[string]string{"n1": "http://10.0.0.1:8008/patroni"}
	}
	replica := newServer(t, Config{}, newDoors(t, with(replicaStatus(), on)))
	primary := newServer(t, Config{}, newDoors(t, with(primaryStatus(), on)))
	for _, c := range []struct {
		s      *Server
		method string
		code   int
		body   string
	}{
		{off, "GET", 502, "502"}, {replica, "GET", 200, `{"n1": "http://10.0.0.1:8008/patroni"}`},
		{off, "POST", 502, "502"}, {replica, "POST", 502, "502"}, {primary, "POST", 500, "Running as a leader"},
	} {
		code, body := call(t, c.s, c.method, "/failsafe", `{"name":"n1"}`)
		if code != c.code || !strings.Contains(body, c.body) || body == "Accepted" {
			t.Errorf("%s /failsafe: %d %s", c.method, code, body)
		}
	}
}

func TestMetrics(t *testing.T) {
	st := with(primaryStatus(), func(s *engine.Status) {
		s.Member.Name, s.Dropped = "n\"1\n", 3
		s.InFlight = []events.Effect{{ID: 1}}
	})
	code, body := call(t, newServer(t, Config{}, newDoors(t, st)), "GET", "/metrics", "")
	if code != 200 {
		t.Fatal(code, body)
	}
	const labels = `{name="n\"1\n",scope="demo"} `
	for _, want := range []string{
		"patroni_version" + labels + "40104", "patroni_postgres_running" + labels + "1",
		"patroni_postmaster_start_time" + labels + "1.767323045678901e+09",
		"patroni_primary" + labels + "1", "patroni_replica" + labels + "0",
		"# TYPE patroni_xlog_location counter", "patroni_xlog_location" + labels + "6.710896e+07",
		"patroni_postgres_server_version" + labels + "160004", "patroni_cluster_unlocked" + labels + "0",
		"patroni_postgres_timeline" + labels + "2", "patroni_dcs_last_seen" + labels + "1.767323045e+09",
		"patroni_postgres_state" + labels + "5", "patroni_is_paused" + labels + "0",
		"regent_lease_seconds_left" + labels + "20", "regent_lease_held" + labels + "1", "regent_guard_alive" + labels + "1",
		"regent_effects_in_flight" + labels + "1", "regent_event_log_dropped_total" + labels + "3",
		`regent_lifecycle{name="n\"1\n",rule="LE-01",scope="demo",state="leading"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
	types := map[string]bool{}
	for _, line := range strings.Split(body, "\n") {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if types[name] {
				t.Errorf("%s is there twice", name)
			}
			types[name] = true
		}
	}
	if want := len(patroniMetrics) + len(regentMetrics) + 2; len(types) != want {
		t.Errorf("%d metrics, want %d", len(types), want)
	}
	down := with(replicaStatus(), func(s *engine.Status) { s.Postgres.Answering, s.PostgresState = false, "no such state" })
	_, body = call(t, newServer(t, Config{}, newDoors(t, down)), "GET", "/metrics", "")
	for _, want := range []string{
		`patroni_postgres_state{name="n2",scope="demo"} -1`,
		`patroni_xlog_replayed_location{name="n2",scope="demo"} 0`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no line %q", want)
		}
	}
}

// TestBeforeTheFirstPicture shows that a member of which nothing is known is not healthy.
func TestBeforeTheFirstPicture(t *testing.T) {
	s := newServer(t, Config{}, newDoors(t, nil))
	for _, path := range append([]string{"/metrics", "/cluster", "/config"}, healthPaths...) {
		if code, _ := call(t, s, "GET", path, ""); code != 503 {
			t.Errorf("GET %s: %d", path, code)
		}
	}
	if code, _ := call(t, s, "POST", "/restart", `{}`); code != 503 {
		t.Errorf("POST /restart: %d", code)
	}
}
