package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"net"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

func newTestClient(t *testing.T, cfg ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestPeerStatusOfRegent(t *testing.T) {
	c := newTestClient(t, ClientConfig{})
	for name, x := range map[string]struct {
		status *engine.Status
		want   events.PeerStatus
	}{
		"primary": {primaryStatus(), events.PeerStatus{Reachable: true, Running: true, Primary: true, Timeline: 2, Position: 67108960}},
		"replica": {replicaStatus(), events.PeerStatus{Reachable: true, Running: true, Timeline: 2, Position: 67108960}},
		"down": {with(replicaStatus(), func(s *engine.Status) { s.Postgres.Answering = false }),
			events.PeerStatus{Error: "its PostgreSQL does not answer"}},
	} {
		_, url := runServer(t, Config{}, newDoors(t, x.status))
		got := c.PeerStatus(t.Context(), events.Peer{Name: "p", APIURL: url + "/patroni"})
		x.want.Name, x.want.Tags = "p", got.Tags
		if fmt.Sprint(got) != fmt.Sprint(x.want) || !got.Tags.CloneFrom || got.Tags.Extra["zone"] != "east" {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
}

// TestPeerStatusOfOthers reads answers of other daemons and of broken ones.
func TestPeerStatusOfOthers(t *testing.T) {
	for _, x := range []struct {
		body string
		code int
		want events.PeerStatus
	}{
		{`{"state":"running","role":"replica","server_version":160004,
			"xlog":{"received_location":7,"replayed_location":5,"replayed_timestamp":null,"paused":false},
			"timeline":3,"tags":{"nofailover":true},"patroni":{"version":"4.1.4"}}`,
			200, events.PeerStatus{Reachable: true, Running: true, Timeline: 3, Position: 7, Tags: events.Tags{NoFailover: true}}},
		{`{"role":"master","xlog":{"location":9},"timeline":null}`, 200,
			events.PeerStatus{Reachable: true, Running: true, Primary: true, Position: 9}},
		{`{"role":"primary","wal":{"location":9},"watchdog_failed":true}`, 200,
			events.PeerStatus{Reachable: true, Running: true, Primary: true, Position: 9, WatchdogFailed: true}},
		{`{"role":"replica","xlog":{"received_location":null,"replayed_location":null}}`, 200,
			events.PeerStatus{Reachable: true, Running: true}},
		{`{"role":"replica","state":"stopped","tags":{"nofailover":true}}`, 200,
			events.PeerStatus{Error: "its PostgreSQL does not answer", Tags: events.Tags{NoFailover: true}}},
		{`{"role":"primary","state":"running"}`, 200, events.PeerStatus{Error: "its PostgreSQL does not answer", Mute: true}},
		{`{"role":"replica","xlog":{"location":9}}`, 503, events.PeerStatus{Error: "answer 503"}},
		{`{"role":`, 200, events.PeerStatus{Error: "unexpected end of JSON input"}},
		{``, 302, events.PeerStatus{Error: "answer 302"}},
	} {
		peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/patroni" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s with %v", r.URL.Path, r.Header)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(x.code)
			_, _ = io.WriteString(w, x.body)
		}))
		c := newTestClient(t, ClientConfig{Username: "u", Password: "p"})
		x.want.Name = "p"
		got := c.PeerStatus(t.Context(), events.Peer{Name: "p", APIURL: peer.URL + "/patroni"})
		if fmt.Sprint(got) != fmt.Sprint(x.want) {
			t.Errorf("%s:\n%+v, want\n%+v", x.body, got, x.want)
		}
		peer.Close()
	}
}

// TestPeerThatHangs shows that the client's own timeout holds, and that the caller's does.
func TestPeerThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, by its backlog, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	peer := events.Peer{Name: "p", APIURL: "http://" + l.Addr().String() + "/patroni"}
	c := newTestClient(t, ClientConfig{Timeout: 100 * time.Millisecond})
	start := time.Now()
	if st := c.PeerStatus(t.Context(), peer); st.Reachable || !strings.Contains(st.Error, "deadline") {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	patient := newTestClient(t, ClientConfig{Timeout: time.Hour})
	if st := patient.PeerStatus(ctx, peer); st.Reachable {
		t.Errorf("%+v", st)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for _, url := range []string{"", "nonsense", "ftp://x/patroni", "http://127.0.0.1:1/patroni", "://"} {
		if st := c.PeerStatus(t.Context(), events.Peer{Name: "p", APIURL: url}); st.Reachable || st.Error == "" {
			t.Errorf("%q: %+v", url, st)
		}
	}
}

// TestWarmKeepsOneConnection counts connections over many questions.
func TestWarmKeepsOneConnection(t *testing.T) {
	d := newDoors(t, primaryStatus())
	s := newServer(t, Config{}, d)
	var opened atomic.Int64
	peer := httptest.NewUnstartedServer(s)
	peer.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			opened.Add(1)
		}
	}
	peer.Start()
	defer peer.Close()
	c := newTestClient(t, ClientConfig{})
	for range 10 {
		if err := c.Warm(t.Context(), peer.URL+"/patroni"); err != nil {
			t.Fatal(err)
		}
		if st := c.PeerStatus(t.Context(), events.Peer{Name: "p", APIURL: peer.URL + "/patroni"}); !st.Reachable {
			t.Fatal(st.Error)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestClientReadsAndOrders(t *testing.T) {
	d := newDoors(t, primaryStatus())
	d.onAsk = func(_ context.Context, r events.OperatorRequest) (events.AnswerOperator, error) {
		return events.AnswerOperator{Code: 200, Body: string(r.Verb)}, nil
	}
	d.onReload = func() error { return nil }
	d.snapshot = func() (events.DCSSnapshot, error) { return keysOf("config", `{"ttl":30}`), nil }
	d.onPut = func(d *fakeDoors, p events.PutKey) (uint64, error) {
		if p.Key == "failover" {
			d.publish(func(s *engine.Status) { s.View.Revision, s.View.Leader = 200, "n2" })
		}
		return 200, nil
	}
	_, url := runServer(t, Config{Username: "u", Password: "p", Peers: goodPeers}, d)
	c, anonymous := newTestClient(t, ClientConfig{Username: "u", Password: "p"}), newTestClient(t, ClientConfig{})
	api, ctx := url+"/patroni", t.Context()

	n, err := c.Patroni(ctx, api)
	if err != nil || n.Patroni.Name != "n1" || n.Regent.Version != "0.1.0" || *n.Xlog.Location != 67108960 {
		t.Errorf("Patroni: %+v %v", n, err)
	}
	cl, err := c.Cluster(ctx, api)
	if err != nil || len(cl.Members) != 3 || cl.Members[1].Lag.Bytes != 96 || cl.Members[2].Lag.Known {
		t.Errorf("Cluster: %+v %v", cl, err)
	}
	if st, err := c.RegentStatus(ctx, api); err != nil || !st.Lease.Held || st.Rule != "LE-01" {
		t.Errorf("RegentStatus: %+v %v", st, err)
	}
	for want, f := range map[string]func(*Client) (Reply, error){
		"restart":            func(c *Client) (Reply, error) { return c.Restart(ctx, api, RestartBody{Timeout: "1min"}) },
		"unschedule_restart": func(c *Client) (Reply, error) { return c.CancelRestart(ctx, api) },
		"reinitialize":       func(c *Client) (Reply, error) { return c.Reinitialize(ctx, api, ReinitializeBody{Force: true}) },
		"reload scheduled":   func(c *Client) (Reply, error) { return c.Reload(ctx, api) },
		`{"ttl": 20}`:        func(c *Client) (Reply, error) { return c.PatchConfig(ctx, api, map[string]any{"ttl": 20}) },
		`{"ttl": 25}`:        func(c *Client) (Reply, error) { return c.PutConfig(ctx, api, map[string]any{"ttl": 25}) },
		"no switchover is scheduled": func(c *Client) (Reply, error) {
			return c.CancelSwitchover(ctx, api)
		},
	} {
		if reply, err := f(c); err != nil || reply.Body != want {
			t.Errorf("%s: %+v %v", want, reply, err)
		}
		if reply, err := f(anonymous); err != nil || reply.Code != 401 {
			t.Errorf("%s without credentials: %+v %v", want, reply, err)
		}
	}
	reply, err := c.Switchover(ctx, api, ChangeBody{Leader: "n1", Candidate: "n2"})
	if err != nil || reply.Body != `Successfully switched over to "n2"` {
		t.Errorf("Switchover: %+v %v", reply, err)
	}
	if reply, err := c.Failover(ctx, api, ChangeBody{}); err != nil || reply.Code != 400 {
		t.Errorf("Failover: %+v %v", reply, err)
	}
	if _, err := c.Cluster(ctx, url+"/x/y"); err != nil {
		t.Errorf("another path in the API address: %v", err)
	}
}
