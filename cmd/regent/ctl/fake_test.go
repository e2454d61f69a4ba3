package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// fakeStore is a store that holds keys in memory, as far as the tools use one.
type fakeStore struct {
	backends.Store
	keys     map[string]events.KeyValue
	revision uint64
}

func (f *fakeStore) set(key, value string) {
	f.revision++
	f.keys[key] = events.KeyValue{Key: key, Value: value, Revision: f.revision}
}

func (f *fakeStore) Snapshot(context.Context) (events.DCSSnapshot, error) {
	s := events.DCSSnapshot{Revision: f.revision}
	for _, kv := range f.keys {
		s.Keys = append(s.Keys, kv)
	}
	return s, nil
}

func (f *fakeStore) Put(_ context.Context, key, value string, expect int64) (uint64, error) {
	if expect != events.Any && uint64(expect) != f.keys[key].Revision {
		return 0, backends.Fail("put "+key, backends.ErrConflict, nil)
	}
	f.set(key, value)
	return f.revision, nil
}

func (f *fakeStore) Close() error { return nil }

// call is a request that the fake API saw.
type call struct{ api, method, path, body string }

// fakeAPI answers by "METHOD path" or, first, by "METHOD api path"; what it has no answer for is not reachable.
type fakeAPI struct {
	mu      sync.Mutex // Why asks in parallel
	calls   []call
	answers map[string]Answer
	errs    map[string]error
	on      func(c call)
}

func (f *fakeAPI) Do(_ context.Context, apiURL, method, path string, body any) (Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := call{api: strings.TrimSuffix(strings.TrimPrefix(apiURL, "http://"), ":8008/patroni"), method: method, path: path}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		c.body = string(b)
	}
	f.calls = append(f.calls, c)
	if f.on != nil {
		f.on(c)
	}
	for _, key := range []string{method + " " + c.api + " " + path, method + " " + path} {
		if err := f.errs[key]; err != nil {
			return Answer{}, err
		}
		if a, ok := f.answers[key]; ok {
			return a, nil
		}
	}
	return Answer{}, fmt.Errorf("ask %s: %w", apiURL, ErrNotSent)
}

func (f *fakeAPI) sent() string {
	var lines []string
	for _, c := range f.calls {
		lines = append(lines, strings.TrimSpace(c.method+" "+c.api+" "+c.path+" "+c.body))
	}
	return strings.Join(lines, "\n")
}

// world is a session with what it reads and writes.
type world struct {
	*Session
	store    *fakeStore
	api      *fakeAPI
	out, err bytes.Buffer
}

var testNow = time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)

// newWorld is the cluster demo: n1 leads, n2 streams.
func newWorld(t *testing.T, answers string) *world {
	t.Helper()
	w := &world{store: &fakeStore{keys: map[string]events.KeyValue{}},
		api: &fakeAPI{answers: map[string]Answer{}, errs: map[string]error{}}}
	w.store.set("initialize", "7408277255830290455")
	w.store.set("leader", "n1")
	w.store.set("config", `{"ttl":30,"loop_wait":1,"postgresql":{"parameters":{"work_mem":"4MB","pg_stat_statements.max":100}}}`)
	w.store.set("status", `{"optime":67109032}`)
	w.store.set("members/n1", `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://n1:8008/patroni","state":"running",`+
		`"role":"primary","timeline":3,"xlog_location":67109032}`)
	w.store.set("members/n2", `{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://n2:8008/patroni","state":"running",`+
		`"role":"replica","replication_state":"streaming","timeline":3,"xlog_location":67109032,"receive_lsn":67109032,`+
		`"replay_lsn":67109032}`)
	w.Session = NewSession(Options{In: strings.NewReader(answers), Out: &w.out, Err: &w.err, Strict: true}, &StoreSource{w.store, "demo"},
		w.api, "demo")
	w.Now = func() time.Time { return testNow }
	w.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return w
}

func (w *world) member(name, record string) { w.store.set("members/"+name, record) }

// wantOutcome checks the error or exit code of a verb.
func (w *world) wantOutcome(t *testing.T, err error, code int, message string) {
	t.Helper()
	if err == nil {
		err = w.Outcome()
	}
	gotCode, gotMessage := ExitCode(err)
	if gotCode != code || gotMessage != message && (message == "" || !strings.Contains(gotMessage, message)) {
		t.Errorf("ended with %d %q, want %d %q; printed:\n%s%s", gotCode, gotMessage, code, message, w.out.String(), w.err.String())
	}
}

func (w *world) wantOut(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(w.out.String(), p) {
			t.Errorf("not printed: %q; printed:\n%s", p, w.out.String())
		}
	}
}

func (w *world) wantSent(t *testing.T, want string) {
	t.Helper()
	if got := w.api.sent(); got != want {
		t.Errorf("sent:\n%s\nwant:\n%s", got, want)
	}
}

var errCut = errors.New("connection reset by peer")
