package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

const (
	testNow  = events.Instant(1_000_000_000_000)
	leaseEnd = testNow + events.Instant(20*time.Second)
)

var testWall = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fakeDoors is a member that is nothing but its status. A method that was not set fails the test: no GET may need it.
type fakeDoors struct {
	t        testing.TB
	mu       sync.Mutex
	status   *engine.Status
	changed  chan struct{}
	puts     []events.PutKey
	asked    []events.OperatorRequest
	onAsk    func(ctx context.Context, r events.OperatorRequest) (events.AnswerOperator, error)
	onPut    func(d *fakeDoors, p events.PutKey) (uint64, error)
	snapshot func() (events.DCSSnapshot, error)
	onReload func() error
}

func newDoors(t testing.TB, s *engine.Status) *fakeDoors {
	return &fakeDoors{t: t, status: s, changed: make(chan struct{})}
}

func (d *fakeDoors) Status() *engine.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// publish replaces the picture by a changed copy.
func (d *fakeDoors) publish(change func(*engine.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := *d.status
	change(&s)
	d.status = &s
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *fakeDoors) Now() events.Instant { return testNow }
func (d *fakeDoors) WallNow() time.Time  { return testWall }

func (d *fakeDoors) Wait(ctx context.Context, satisfies func(*engine.Status) bool) (*engine.Status, error) {
	for {
		d.mu.Lock()
		s, changed := d.status, d.changed
		d.mu.Unlock()
		if satisfies(s) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

func (d *fakeDoors) Ask(ctx context.Context, r events.OperatorRequest) (events.AnswerOperator, error) {
	d.mu.Lock()
	d.asked = append(d.asked, r)
	d.mu.Unlock()
	if d.onAsk == nil {
		d.t.Errorf("unexpected order %+v", r)
		return events.AnswerOperator{}, errors.New("unexpected")
	}
	return d.onAsk(ctx, r)
}

func (d *fakeDoors) Put(_ context.Context, key, value string, expect int64) (uint64, error) {
	p := events.PutKey{Key: key, Value: value, Expect: expect}
	d.mu.Lock()
	d.puts = append(d.puts, p)
	d.mu.Unlock()
	if d.onPut == nil {
		d.t.Errorf("unexpected write %+v", p)
		return 0, errors.New("unexpected")
	}
	return d.onPut(d, p)
}

func (d *fakeDoors) Snapshot(context.Context) (events.DCSSnapshot, error) {
	if d.snapshot == nil {
		d.t.Error("unexpected read of the DCS")
		return events.DCSSnapshot{}, errors.New("unexpected")
	}
	return d.snapshot()
}

func (d *fakeDoors) Reload() error {
	if d.onReload == nil {
		d.t.Error("unexpected reload")
		return errors.New("unexpected")
	}
	return d.onReload()
}

// keysOf is a snapshot at revision 100 with keys at revisions 11, 12, …
func keysOf(pairs ...string) events.DCSSnapshot {
	s := events.DCSSnapshot{Revision: 100}
	for i := 0; i < len(pairs); i += 2 {
		s.Keys = append(s.Keys, events.KeyValue{Key: pairs[i], Value: pairs[i+1], Revision: uint64(11 + i/2)})
	}
	return s
}

func demoView() events.View {
	return events.ParseView(keysOf(
		"config", `{"ttl":30,"synchronous_mode":true}`,
		"failover", `{}`,
		"history", `[[1,25165984,"no recovery target specified","2026-01-01T00:00:00+00:00","n1"]]`,
		"initialize", "7408277255830290455",
		"leader", "n1",
		"members/n1", `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni",
			"state":"running","role":"primary","version":"4.1.4","xlog_location":67108960,"timeline":2}`,
		"members/n2", `{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni",
			"state":"running","role":"replica","version":"4.1.4","xlog_location":67108864,"receive_lsn":67108960,"replay_lsn":67108864,
			"replication_state":"streaming","timeline":2,"tags":{"clonefrom":true},"pending_restart":true,
			"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"}}}`,
		"members/n3", `{"conn_url":"postgres://10.0.0.3/postgres","api_url":"http://10.0.0.3:8008/patroni",
			"state":"stopped","role":"replica","version":"4.1.4",
			"scheduled_restart":{"schedule":"2026-02-01T00:00:00+00:00","postmaster_start_time":"x"}}`,
		"status", `{"optime":67108960}`,
		"sync", `{"leader":"n1","quorum":0,"sync_standby":"n2"}`,
	))
}

func baseStatus(name string) *engine.Status {
	s := &engine.Status{
		Member: events.MemberConfig{Name: name, Scope: "demo", GuardPolicy: "preferred",
			Tags: events.Tags{CloneFrom: true, Extra: map[string]any{"zone": "east", "rank": 1.4, "spot": true}}},
		Version: "0.1.0", At: testNow, Wall: testWall.UnixNano(), State: "following", Rule: "FO-01", Why: "n1 leads",
		View: demoView(), DCSReachable: true, DCSLastSeen: 1767323045_000000000,
		Settings:    events.DefaultSettings(),
		SettingsDoc: []byte(`{"ttl":30,"synchronous_mode":true}`),
		Guard:       events.GuardTick{Alive: true}, FenceStrength: "guard",
	}
	s.Postgres.Data = events.DataPresent
	s.Postgres.Control.SystemID = "7408277255830290455"
	return s
}

func primaryStatus() *engine.Status {
	s := baseStatus("n1")
	s.State, s.Rule = "leading", "LE-01"
	s.LeaseUntil, s.Epoch = leaseEnd, 15
	s.PostgresState, s.Role = "running", "primary"
	s.Postgres.Running, s.Postgres.Answering = true, true
	s.Postgres.Server = events.Server{
		Timeline: 2, FlushLSN: 67108960, Version: 160004, StartedAt: "2026-01-02 03:04:05.678901+00",
		Walsenders: []events.Walsender{{
			User: "replicator", ApplicationName: "n2", ClientAddr: "10.0.0.2", State: "streaming", SyncState: "sync", SyncPriority: 1,
		}},
	}
	return s
}

func replicaStatus() *engine.Status {
	s := baseStatus("n2")
	s.PostgresState, s.Role = "running", "replica"
	s.Postgres.Running, s.Postgres.Answering = true, true
	s.Postgres.Server = events.Server{
		InRecovery: true, Timeline: 2, ReceivedLSN: 67108960, ReplayedLSN: 67108864, LatestEndLSN: 67108960,
		ReplicationState: "streaming", Version: 160004, StartedAt: "2026-01-02 03:04:05.678901+00",
		PendingRestart: []events.PendingParam{{Name: "max_connections", Old: "100", New: "200"}},
	}
	return s
}

func with(s *engine.Status, change func(*engine.Status)) *engine.Status {
	change(s)
	return s
}

func setDoc(s *engine.Status, doc string) {
	s.SettingsDoc = []byte(doc)
	s.Settings, _ = events.ParseSettings(s.SettingsDoc, events.DefaultSettings())
	s.View.Config = json.RawMessage(doc)
}

// newServer builds a server that is driven without its listener.
func newServer(t testing.TB, cfg Config, d Doors) *Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// runServer serves until the test ends.
func runServer(t testing.TB, cfg Config, d Doors) (*Server, string) {
	t.Helper()
	s := newServer(t, cfg, d)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server did not end")
		}
	})
	scheme := "http://"
	if cfg.CertFile != "" {
		scheme = "https://"
	}
	return s, scheme + s.Addr().String()
}

// call drives the server directly and returns code and body.
func call(t testing.TB, s *Server, method, target, body string) (int, string) {
	t.Helper()
	w := send(s, method, target, body, nil)
	return w.Code, w.Body.String()
}

func send(s *Server, method, target, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, content)
	if body != "" {
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// peersFake answers for the named members; all others are unreachable.
type peersFake map[string]events.PeerStatus

func (f peersFake) PeerStatus(_ context.Context, p events.Peer) events.PeerStatus {
	st := f[p.Name]
	st.Name = p.Name
	return st
}

func (d *fakeDoors) Fresh(context.Context) *engine.Status { return d.Status() }
