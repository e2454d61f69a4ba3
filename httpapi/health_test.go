package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// healthPaths are the columns of the table below.
var healthPaths = strings.Fields(`/ /primary /master /read-write /leader /replica /standby-leader /standby_leader /read-only
	/health /sync /synchronous /async /asynchronous /quorum /read-only-sync /read-only-quorum /liveness /readiness /patroni /unknown`)

// states are the rows: what holds, and which paths are then 200. All others are 503.
var healthStates = []struct {
	name    string
	status  *engine.Status
	healthy string
}{
	{"primary with lease", primaryStatus(),
		"/ /primary /master /read-write /leader /read-only /health /read-only-sync /read-only-quorum /liveness /readiness /patroni"},
	{"primary past its lease", with(primaryStatus(), func(s *engine.Status) { s.LeaseUntil = testNow }), "/health /liveness /patroni"},
	{"primary without lease", with(primaryStatus(), func(s *engine.Status) { s.LeaseUntil = 0 }), "/health /liveness /patroni"},
	{"lease held, promotion not finished", with(replicaStatus(), func(s *engine.Status) { s.LeaseUntil, s.Role = leaseEnd, "promoted" }),
		"/leader /replica /read-only /health /sync /synchronous /read-only-sync /liveness /readiness /patroni"},
	{"lease held, PostgreSQL stopped", with(primaryStatus(), func(s *engine.Status) {
		s.Postgres, s.PostgresState, s.Role = events.Observation{Data: events.DataPresent}, "stopped", "primary"
	}), "/leader /liveness /readiness /patroni"},
	{"lease held, PostgreSQL does not answer", with(primaryStatus(), func(s *engine.Status) {
		s.Postgres.Answering, s.Postgres.Server, s.Postgres.NoAnswerFor = false, events.Server{}, 4*time.Second
	}), "/leader /liveness /readiness /patroni"},
	{"sync replica", replicaStatus(),
		"/replica /read-only /health /sync /synchronous /read-only-sync /liveness /readiness /patroni"},
	{"async replica", with(replicaStatus(), func(s *engine.Status) { s.View.Sync.SyncStandby = "n3" }),
		"/replica /read-only /health /async /asynchronous /liveness /readiness /patroni"},
	{"replica without sync mode", with(replicaStatus(), func(s *engine.Status) { setDoc(s, `{}`) }),
		"/replica /read-only /health /async /asynchronous /liveness /readiness /patroni"},
	{"quorum replica", with(replicaStatus(), func(s *engine.Status) { setDoc(s, `{"synchronous_mode":"quorum"}`) }),
		"/replica /read-only /health /quorum /read-only-quorum /liveness /readiness /patroni"},
	{"replica with noloadbalance", with(replicaStatus(), func(s *engine.Status) { s.Member.Tags.NoLoadBalance = true }),
		"/health /liveness /readiness /patroni"},
	{"replica, not streaming", with(replicaStatus(), func(s *engine.Status) { s.Postgres.Server.ReplicationState = "" }),
		"/replica /read-only /health /sync /synchronous /read-only-sync /liveness /patroni"},
	{"replica, too far behind to be ready", with(replicaStatus(), func(s *engine.Status) { s.View.Status.Optime = 99108960 }),
		"/replica /read-only /health /sync /synchronous /read-only-sync /liveness /patroni"},
	{"replica that does not answer",
		with(replicaStatus(), func(s *engine.Status) { s.Postgres.Answering, s.Postgres.Server = false, events.Server{} }),
		"/liveness /patroni"},
	{"replica starting", with(replicaStatus(), func(s *engine.Status) {
		s.Postgres.Answering, s.Postgres.Server, s.PostgresState = false, events.Server{}, "starting"
	}), "/liveness /patroni"},
	{"replica without DCS", with(replicaStatus(), func(s *engine.Status) { s.DCSReachable = false }),
		"/replica /read-only /health /liveness /readiness /patroni"},
	{"replica without DCS or receiver",
		with(replicaStatus(), func(s *engine.Status) { s.DCSReachable, s.Postgres.Server.LatestEndLSN = false, 0 }),
		"/replica /read-only /health /liveness /patroni"},
	{"paused primary without DCS",
		with(primaryStatus(), func(s *engine.Status) {
			setDoc(s, `{"pause":true}`)
			s.DCSReachable, s.LeaseUntil = false, 0
		}),
		"/ /primary /master /read-write /leader /read-only /health /liveness /patroni"},
	{"paused replica without DCS", with(replicaStatus(), func(s *engine.Status) { setDoc(s, `{"pause":true}`); s.DCSReachable = false }),
		"/replica /read-only /health /liveness /readiness /patroni"},
	{"paused primary without DCS or answer", with(primaryStatus(), func(s *engine.Status) {
		setDoc(s, `{"pause":true}`)
		s.DCSReachable, s.LeaseUntil, s.Postgres.Answering = false, 0, false
	}), "/leader /liveness /patroni"},
	{"standby leader", with(replicaStatus(), func(s *engine.Status) {
		setDoc(s, `{"standby_cluster":{"host":"a"}}`)
		s.Role, s.LeaseUntil = "standby_leader", leaseEnd
	}), "/leader /standby-leader /standby_leader /read-only /health /read-only-sync /read-only-quorum /liveness /readiness /patroni"},
	{"replica in a standby cluster", with(replicaStatus(), func(s *engine.Status) { setDoc(s, `{"standby_cluster":{"host":"a"}}`) }),
		"/replica /read-only /health /async /asynchronous /liveness /readiness /patroni"},
	{"agent that consumes nothing", with(replicaStatus(), func(s *engine.Status) { s.At = testNow.Add(-71 * time.Second) }),
		"/replica /read-only /health /sync /synchronous /read-only-sync /readiness /patroni"},
	{"primary whose agent consumes nothing",
		with(primaryStatus(), func(s *engine.Status) { s.At, s.LeaseUntil = testNow.Add(-41*time.Second), 0 }),
		"/health /patroni"},
	{"bootstrapping", with(baseStatus("n1"), func(s *engine.Status) {
		s.PostgresState, s.Role = "initializing new cluster", "uninitialized"
	}),
		"/liveness /patroni"},
}

func TestHealthOfEveryPathInEveryState(t *testing.T) {
	for _, st := range healthStates {
		t.Run(st.name, func(t *testing.T) {
			s := newServer(t, Config{}, newDoors(t, st.status))
			healthy := map[string]bool{}
			for _, path := range strings.Fields(st.healthy) {
				healthy[path] = true
			}
			for _, path := range healthPaths {
				want := http.StatusServiceUnavailable
				if healthy[path] {
					want = http.StatusOK
				}
				for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
					if code, _ := call(t, s, method, path, ""); code != want {
						t.Errorf("%s %s: %d, want %d", method, path, code, want)
					}
				}
			}
		})
	}
}

func TestHealthParameters(t *testing.T) {
	replica, primary := replicaStatus(), primaryStatus()
	for _, c := range []struct {
		status *engine.Status
		target string
		want   int
	}{
		{replica, "/replica?lag=95", 503}, // the replica is 96 bytes behind
		{replica, "/replica?lag=96", 200},
		{replica, "/replica?lag=1kB", 200},
		{replica, "/replica?lag=1MB", 200},
		{replica, "/replica?lag=nonsense", 200},
		{replica, "/read-only?lag=0", 503},
		{replica, "/sync?lag=0", 503},
		{primary, "/read-only?lag=0", 200},
		{primary, "/primary?lag=0", 200},
		{replica, "/replica?replication_state=streaming", 200},
		{replica, "/replica?replication_state=in%20archive%20recovery", 503},
		{replica, "/replica?tag_clonefrom=true", 200},
		{replica, "/replica?tag_clonefrom=false", 503},
		{replica, "/replica?tag_zone=east", 200},
		{replica, "/replica?tag_zone=East", 503},
		{replica, "/replica?tag_rank=1.4&tag_spot=true", 200},
		{replica, "/replica?tag_absent=x", 503},
		{primary, "/primary?tag_absent=x", 200}, // no tag filter on the primary
		{replica, "/health?tag_zone=west", 503},
		{replica, "/readiness?lag=95", 503},
		{replica, "/readiness?lag=95&mode=write", 200},
		{replica, "/readiness?lag=95&mode=apply", 503},
		{replica, "/some/replica/path", 200},
		{replica, "/health/x", 200},
		{primary, "/pgbouncer-leader", 200},
		{primary, "/standby-leader-or-primary", 503},
		{replica, "//replica", 200},
		{replica, "/sync/x", 503},
		{replica, "/liveness/x", 200},
	} {
		s := newServer(t, Config{}, newDoors(t, c.status))
		if code, body := call(t, s, "GET", c.target, ""); code != c.want {
			t.Errorf("%s of %s: %d, want %d: %s", c.target, c.status.Member.Name, code, c.want, body)
		}
	}
}

func BenchmarkGetPrimary(b *testing.B) {
	s := newServer(b, Config{}, newDoors(b, primaryStatus()))
	b.ReportAllocs()
	for b.Loop() {
		if w := send(s, "GET", "/primary", "", nil); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
