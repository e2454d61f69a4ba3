package ctl

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/internal/config"
)

const leaderStatus = `{"name":"n1","scope":"demo","state":"leading","rule":"LE-10","why":"the lease is held and PostgreSQL writes",` +
	`"role":"primary","postgres":"running",
"leader":"n1","lease":{"held":true,"left_ms":21300,"epoch":117},
"dcs":{"reachable":true,"revision":120},"guard":{"alive":true,"armed":true,"left_ms":20900},"fence_strength":"guard",
"in_flight":[{"id":9,"action":"renew_lease","left_ms":1500}]}`

const replicaStatus = `{"name":"n2","scope":"demo","state":"following","rule":"FO-10","why":"n1 holds the lease","role":"replica",` +
	`"postgres":"running","no_answer_ms":2500,
"refusals":[{"rule":"FO-21","candidate":"n2","why":"the lease is held"},{"rule":"FO-22","why":"3 MB behind"}],
"dcs":{"reachable":false,"last_seen":1767323040000000000,"revision":119},
"guard":{"reason":"not started"},"fence_strength":"engine only"}`

func TestWhy(t *testing.T) {
	w := newWorld(t, "")
	w.api.answers["GET n1 /regent/status"] = Answer{200, leaderStatus}
	w.api.answers["GET n2 /regent/status"] = Answer{200, replicaStatus}
	w.member("n3", `{"api_url":"http://n3:8008/patroni"}`)
	w.member("n4", `{"api_url":"http://n4:8008/patroni"}`)
	w.api.answers["GET n4 /regent/status"] = Answer{503, "no"}
	w.wantOutcome(t, w.Why(ctx, "", "text"), ExitFailed, "")
	want := `Cluster demo: n1 holds the lease, epoch 117, 21.3 s left

n1 (leader): leading, PostgreSQL primary running
  rule   LE-10: the lease is held and PostgreSQL writes
  fence  guard; the guard is armed, 20.9 s left
  dcs    reachable, revision 120
  doing  renew_lease (effect 9), 1.5 s to its deadline

n2 (replica): following, PostgreSQL replica running
  rule   FO-10: n1 holds the lease
  not    n2: FO-21: the lease is held
  not    FO-22: 3 MB behind
  pg     no answer for 2.5 s
  fence  engine only; no guard: not started
  dcs    not reachable, last seen 5 s ago, revision 119

n3 (replica)
  does not answer: ask http://n3:8008/patroni: no connection

n4 (replica)
  answers 503: it runs Patroni, or a regent without /regent/status
`
	if got := w.out.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
	w.out.Reset()
	w.wantOutcome(t, w.Why(ctx, "n2", JSON), ExitFailed, "")
	var doc ClusterWhy
	if err := json.Unmarshal(w.out.Bytes(), &doc); err != nil || len(doc.Members) != 1 || doc.Members[0].Status.Rule != "FO-10" ||
		doc.Leader != "n1" {
		t.Errorf("%v: %s", err, w.out.String())
	}
	w.wantOutcome(t, w.Why(ctx, "n9", "text"), 1, "n9 is not a member of cluster demo")
}

func TestRESTSourceAndConnect(t *testing.T) {
	var requests []string
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		requests = append(requests, r.Method+" "+r.URL.Path+" "+user+":"+password)
		answers := map[string]string{
			"GET /cluster": `{"members":[{"name":"n1","role":"leader","state":"running","api_url":"http://` + r.Host +
				`/patroni","host":"10.0.0.1","port":5432,"timeline":3},` +
				`{"name":"n2","role":"replica","state":"streaming","api_url":"http://127.0.0.1:1/patroni","host":"10.0.0.2","port":5432,` +
				`"timeline":3,"receive_lsn":"0/40000A8","receive_lag":0,"replay_lsn":"unknown","replay_lag":"unknown"}],` +
				`"scope":"demo"}`,
			"GET /patroni": `{"state":"running","role":"primary","database_system_identifier":"7408277255830290455","pause":false}`,
			"GET /config":  `{"ttl":30,"loop_wait":10}`, "GET /history": `[[1,100,"why"]]`, "PATCH /config": `{}`,
		}
		body, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(body))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ctl.yml")
	if err := os.WriteFile(file, []byte("ctl: {authentication: {username: u, password: p}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut strings.Builder
	o := Options{ConfigFile: file, URL: strings.TrimPrefix(server.URL, "http://"), Out: &out, Err: &errOut, In: strings.NewReader("")}
	s, err := Connect(ctx, o, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.List(ctx, ListOptions{Format: Pretty}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "+ Cluster: demo (7408277255830290455) --") ||
		!strings.Contains(out.String(), "|   0/40000A8 |   0 |    unknown |     |") {
		t.Errorf("printed:\n%s", out.String())
	}
	if err := s.EditConfig(ctx, EditOptions{Force: true, Quiet: true, Set: []string{"ttl=60", "loop_wait=null"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.History(ctx, TSV); err != nil {
		t.Fatal(err)
	}
	if last := requests[len(requests)-2]; last != "PATCH /config u:p" {
		t.Errorf("requests: %v", requests)
	}
	if _, err := Connect(ctx, o, "other"); err == nil || !strings.Contains(err.Error(), "of cluster demo, not other") {
		t.Errorf("another cluster: %v", err)
	}
	o.ConfigFile = "/nonexistent.yml"
	if _, err := Connect(ctx, o, ""); err == nil || !strings.Contains(err.Error(),
		"not existing or no read rights. Check the -c/--config-file parameter") {
		t.Errorf("no file: %v", err)
	}
}

func TestHTTPAPITellsWhetherTheRequestLeft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	api, err := newAPI(&config.Config{}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Do(ctx, "http://"+closed+"/patroni", "POST", "/restart", nil); errCode(err) != ExitFailed {
		t.Errorf("nobody listens: %v", err)
	}
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hung.Close()
	limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := api.Do(limited, hung.URL, "POST", "/restart", nil); err == nil || errCode(err) != ExitUnknown {
		t.Errorf("it hangs: %v", err)
	}
}

func TestUseDCSURL(t *testing.T) {
	for text, want := range map[string]string{
		"etcd3://h": "http://h:2379 service", "h:1234": "http://h:1234 service", "etcd://h:1/ns": "http://h:1 ns",
		"https://h": "https://h:2379 service",
	} {
		c := &config.Config{Namespace: "service", Nats: &config.Nats{}}
		if err := useDCSURL(c, text); err != nil || c.Nats != nil || c.Etcd3.Endpoints[0]+" "+c.Namespace != want {
			t.Errorf("%s: %v %+v %s", text, err, c.Etcd3, c.Namespace)
		}
	}
	c := &config.Config{}
	if err := useDCSURL(c, "nats://h"); err != nil || c.Nats.Servers[0] != "nats://h:4222" {
		t.Errorf("%v %+v", err, c.Nats)
	}
	if err := useDCSURL(c, "consul://h"); err == nil || err.Error() != "Unknown dcs scheme: consul" {
		t.Errorf("%v", err)
	}
}

func TestSchedules(t *testing.T) {
	w := newWorld(t, "")
	zone := time.FixedZone("X", 2*3600)
	w.Now = func() time.Time { return testNow.In(zone) }
	for text, want := range map[string]string{
		"now": "", "": "", "2026-01-03T00:00": "2026-01-03T00:00:00+02:00", "2026-01-03 01:02:03": "2026-01-03T01:02:03+02:00",
		"2026-01-03T00:00:00Z": "2026-01-03T00:00:00+00:00", "2026-01-03 00:00 +0100": "2026-01-03T00:00:00+01:00",
		"2026-01-03 00:00 UTC": "2026-01-03T00:00:00+00:00", "23:15": "2026-01-02T23:15:00+02:00",
		"2026-01-03T00:00:00.5+01": "2026-01-03T00:00:00.5+01:00",
	} {
		if got, err := w.parseSchedule(text); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "03/04/2026", "2026-13-01T00:00"} {
		if got, err := w.parseSchedule(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}
