package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

func TestRestartChecksItsBodyInOrder(t *testing.T) {
	for _, c := range []struct {
		body string
		code int
		want string
	}{
		{`{"schedule":"2026-01-03T00:00"}`, 400, "Timezone information is mandatory for the scheduled restart"},
		{`{"schedule":"2026-01-01T00:00+00"}`, 422, "Cannot schedule restart in the past"},
		{`{"schedule":"soon"}`, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{`{"schedule":5}`, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{`{"role":"master"}`, 400, "PostgreSQL role should be either primary, standby_leader, or replica"},
		{`{"postgres_version":"16"}`, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 16"},
		{`{"postgres_version":"x"}`, 400, "Invalid PostgreSQL version: x"},
		{`{"timeout":0}`, 400, "Timeout should be a positive number of seconds"},
		{`{"timeout":"x"}`, 400, "Timeout should be a positive number of seconds"},
		{`{"restart_pending":"maybe"}`, 400, "restart_pending should be true or false"},
		{`{"bogus":1}`, 400, "Unknown filter for the scheduled restart: bogus"},
		{`{"bogus":1,"role":"x"}`, 400, "Unknown filter for the scheduled restart: bogus"},
		{`{"role":"x","bogus":1}`, 400, "PostgreSQL role should be either primary, standby_leader, or replica"},
		{`[1]`, 400, "Error code: 400"},
		{`{"role":`, 400, "Error code: 400"},
	} {
		s := newServer(t, Config{}, newDoors(t, primaryStatus())) // an order would fail the test
		if code, body := call(t, s, "POST", "/restart", c.body); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.body, code, body, c.code, c.want)
		}
	}
	paused := newServer(t, Config{}, newDoors(t, with(primaryStatus(), func(s *engine.Status) { s.Settings.Pause = true })))
	code, body := call(t, paused, "POST", "/restart", `{"bogus":1,"schedule":"x"}`)
	if code != 400 || body != "Can't schedule restart in the paused state" {
		t.Errorf("paused: %d %s", code, body)
	}
}

func TestOrdersReachTheEngine(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		want               events.OperatorRequest
	}{
		{"POST", "/restart", ``, events.OperatorRequest{Verb: events.AskRestart}},
		{"POST", "/restart", `{}`, events.OperatorRequest{Verb: events.AskRestart}},
		{"POST", "/restart", `{"restart_pending":false}`, events.OperatorRequest{Verb: events.AskRestart}},
		{"POST", "/restart", `{"restart_pending":true,"role":"replica","postgres_version":"16.4","timeout":"2min"}`,
			events.OperatorRequest{Verb: events.AskRestart, RestartPending: true, Role: "replica",
				PostgresVersion: 160004, TimeoutSeconds: 120}},
		{"POST", "/restart", `{"schedule":"2026-01-02T04:04:06+01:00"}`,
			events.OperatorRequest{Verb: events.AskRestart,
				ScheduledAt: "2026-01-02T04:04:06+01:00", ScheduledUnix: testWall.UnixNano() + 1e9}},
		{"DELETE", "/restart", ``, events.OperatorRequest{Verb: events.AskUnscheduleRestart}},
		{"POST", "/reinitialize", ``, events.OperatorRequest{Verb: events.AskReinitialize}},
		{"POST", "/reinitialize", `{"force":true,"from_leader":"on"}`,
			events.OperatorRequest{Verb: events.AskReinitialize, Force: true, FromLeader: true}},
		{"POST", "/reinitialize", `{"force":null,"from-leader":true,"x":1}`,
			events.OperatorRequest{Verb: events.AskReinitialize, FromLeader: true}},
	} {
		d := newDoors(t, primaryStatus())
		d.onAsk = func(_ context.Context, r events.OperatorRequest) (events.AnswerOperator, error) {
			return events.AnswerOperator{Request: r.ID, Code: 409, Body: "the engine's words"}, nil
		}
		code, body := call(t, newServer(t, Config{}, d), c.method, c.path, c.body)
		if code != 409 || body != "the engine's words" || len(d.asked) != 1 {
			t.Errorf("%s %s %s: %d %s, %d orders", c.method, c.path, c.body, code, body, len(d.asked))
			continue
		}
		got := d.asked[0]
		if got.ID == "" {
			t.Error("the order has no ID")
		}
		got.ID = ""
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s %s: %+v, want %+v", c.path, c.body, got, c.want)
		}
	}
}

func TestOrdersThatFail(t *testing.T) {
	d := newDoors(t, primaryStatus())
	d.onAsk = func(context.Context, events.OperatorRequest) (events.AnswerOperator, error) {
		return events.AnswerOperator{}, errors.New("the runner has ended")
	}
	s := newServer(t, Config{}, d)
	for path, want := range map[string]string{"/restart": "restart failed", "/reinitialize": "reinitialize failed"} {
		if code, body := call(t, s, "POST", path, ""); code != 503 || body != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	// Neither is started by a body that can not be read (H6).
	quiet := newServer(t, Config{}, newDoors(t, replicaStatus()))
	for _, body := range []string{`{"force":`, `[]`, `{"force":"perhaps"}`, `x`} {
		if code, got := call(t, quiet, "POST", "/reinitialize", body); code != 400 {
			t.Errorf("reinitialize %s: %d %s", body, code, got)
		}
	}
}

func TestSmallDoors(t *testing.T) {
	d := newDoors(t, primaryStatus())
	reloadErr := error(nil)
	d.onReload = func() error { return reloadErr }
	s := newServer(t, Config{}, d)
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/reload", "", 202, "reload scheduled"},
		{"POST", "/sigterm", "", 202, "shutdown scheduled"},
		{"POST", "/citus", `{"type":"before_demote"}`, 200, "OK"},
		{"POST", "/mpp", `{"type":"before_demote"}`, 200, "OK"},
		{"POST", "/mpp", ``, 411, "Error code: 411"},
		{"POST", "/patroni", "", 501, "Unsupported method (&#39;POST&#39;)"},
		{"PUT", "/restart", "", 501, "Unsupported method"},
		{"TRACE", "/", "", 501, "Unsupported method"},
		{"POST", "/switchover", "", 411, "Error code: 411"},
		{"POST", "/switchover", "{}", 400, "Error code: 400"},
		{"POST", "/failover", `{"candidate":5}`, 400, "candidate should be a string"},
		{"PATCH", "/config", "", 411, "Error code: 411"},
		{"PUT", "/config", "[]", 400, "Error code: 400"},
		{"GET", "/switchover", "", 503, `"role": "primary"`},
	} {
		if code, body := call(t, s, c.method, c.path, c.body); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, code, body, c.code, c.want)
		}
	}
	reloadErr = errors.New("regent.yml: <no>")
	if w := send(s, "POST", "/reload", "", nil); w.Code != 500 || w.Header().Get("Content-Type") != typePlain {
		t.Errorf("reload: %d %v", w.Code, w.Header())
	}
}

func TestConfigDoors(t *testing.T) {
	const stored = `{"ttl":30,"loop_wait":10,"postgresql":{"parameters":{"b":1,"a":2}}}`
	for _, c := range []struct {
		name, method, stored, body string
		putErr                     error
		code                       int
		want, written              string
	}{
		{"merge", "PATCH", stored, `{"ttl":20,"postgresql":{"parameters":{"b":null,"c":"x"}}}`, nil, 200,
			`{"ttl": 20, "loop_wait": 10, "postgresql": {"parameters": {"a": 2, "c": "x"}}}`,
			`{"ttl":20,"loop_wait":10,"postgresql":{"parameters":{"a":2,"c":"x"}}}`},
		{"nothing new", "PATCH", stored, `{"ttl":"30"}`, nil, 200, `"ttl": 30`, ""},
		{"conflict", "PATCH", stored, `{"ttl":20}`, fmt.Errorf("put: %w", ErrConflict), 409, "somebody else", "*"},
		{"unknown outcome", "PATCH", stored, `{"ttl":20}`, errors.New("timeout"), 503, "could not be written", "*"},
		{"no key", "PATCH", "", `{"ttl":20}`, nil, 503, "", ""},
		{"wrong value", "PATCH", stored, `{"ttl":"abc"}`, nil, 400, `ttl = "abc": want a number of seconds, at least 3`, ""},
		{"two wrong values", "PATCH", stored, `{"pause":"x","postgresql":{"use_slots":7}}`, nil, 400,
			"pause = \"x\": want on or off\npostgresql.use_slots = 7", ""},
		{"wrong before", "PATCH", `{"ttl":"abc"}`, `{"loop_wait":5}`, nil, 200, `"loop_wait": 5`, `{"ttl":"abc","loop_wait":5}`},
		{"still wrong", "PATCH", `{"ttl":"abc"}`, `{"ttl":"abd"}`, nil, 400, `ttl = "abd"`, ""},
		{"replace", "PUT", stored, `{"loop_wait":5,"ttl":20}`, nil, 200, `{"loop_wait": 5, "ttl": 20}`, `{"loop_wait":5,"ttl":20}`},
		{"replace by the same", "PUT", `{"a":{"x":1,"y":2}}`, `{"a":{"y":"2","x":1}}`, nil, 200, `{"a": {"y": "2", "x": 1}}`, ""},
		{"create", "PUT", "", `{"ttl":20}`, nil, 200, `{"ttl": 20}`, `{"ttl":20}`},
		{"replace, wrong", "PUT", stored, `{"ttl":1}`, nil, 400, "ttl = 1", ""},
		{"replace, conflict", "PUT", stored, `{"ttl":20}`, ErrConflict, 409, "somebody else", "*"},
		{"replace, failed", "PUT", stored, `{"ttl":20}`, errors.New("timeout"), 502, "could not be written", "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoors(t, primaryStatus())
			expect := int64(0)
			d.snapshot = func() (events.DCSSnapshot, error) {
				if c.stored == "" {
					return keysOf(), nil
				}
				expect = 11
				return keysOf("config", c.stored), nil
			}
			if c.written != "" {
				d.onPut = func(*fakeDoors, events.PutKey) (uint64, error) { return 101, c.putErr }
			}
			code, body := call(t, newServer(t, Config{}, d), c.method, "/config", c.body)
			if code != c.code || !strings.Contains(body, c.want) {
				t.Errorf("%d %s, want %d %s", code, body, c.code, c.want)
			}
			if c.written == "" {
				return
			}
			if p := d.puts[0]; p.Key != "config" || p.Expect != expect || c.written != "*" && p.Value != c.written {
				t.Errorf("wrote %+v, want %s", p, c.written)
			}
		})
	}
	d := newDoors(t, primaryStatus())
	d.snapshot = func() (events.DCSSnapshot, error) { return events.DCSSnapshot{}, errors.New("no leader") }
	s := newServer(t, Config{}, d)
	for method, want := range map[string]int{"PATCH": 503, "PUT": 502, "DELETE": http.StatusNotImplemented} {
		if code, _ := call(t, s, method, "/config", `{"ttl":20}`); code != want {
			t.Errorf("%s without DCS: %d", method, code)
		}
	}
}
