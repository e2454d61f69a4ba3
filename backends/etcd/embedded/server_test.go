package embedded

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/events"
)

// startSecure starts three members in this process that trust only each other's authority.
func startSecure(t *testing.T, certs etcdtest.Certs) ([]*Server, []string) {
	t.Helper()
	tls := TLS(certs)
	cluster, configs := map[string]string{}, []Config(nil)
	var endpoints []string
	for i := range 3 {
		c := Config{Name: fmt.Sprintf("m%d", i+1), ClientURL: "https://" + etcdtest.FreeAddr(t), PeerURL: "https://" + etcdtest.FreeAddr(t),
			Cluster: cluster, Token: "secure", PeerTLS: tls, ClientTLS: tls,
			Log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))}
		c.Dir = filepath.Join(t.TempDir(), c.Name)
		cluster[c.Name] = c.PeerURL
		configs, endpoints = append(configs, c), append(endpoints, c.ClientURL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	servers, errs := make([]*Server, len(configs)), make([]error, len(configs))
	var wg sync.WaitGroup
	for i, c := range configs {
		wg.Go(func() { servers[i], errs[i] = Start(ctx, c) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		t.Cleanup(func() {
			if err := servers[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range servers {
		select {
		case <-servers[i].Ready():
		case <-ctx.Done():
			t.Fatal("the members found no quorum")
		}
	}
	return servers, endpoints
}

func TestMoveLeaderAwayAndTLS(t *testing.T) {
	t.Parallel()
	certs := etcdtest.NewCerts(t)
	servers, endpoints := startSecure(t, certs)
	s := openStore(t, etcd.Config{Endpoints: endpoints, CACert: certs.CACert, Cert: certs.Cert, Key: certs.Key}, "x", "m1")
	defer closeStore(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Put(ctx, "config", "{}", 0); err != nil {
		t.Fatalf("put over TLS: %v", err)
	}
	if got := len(servers[0].Endpoints()); got != 3 {
		t.Errorf("%d endpoints, want 3", got)
	}
	var leader *Server
	for _, m := range servers {
		if m.Leading() {
			leader = m
		} else if to, err := m.MoveLeaderAway(ctx, m.cfg.Name); to != "" || err != nil {
			t.Errorf("a follower moved the leadership to %q: %v", to, err)
		}
	}
	if to, err := leader.MoveLeaderAway(ctx, "somebody else"); to != "" || err != nil {
		t.Errorf("leadership moved to %q though another is to be spared: %v", to, err)
	}
	lease, err := s.Acquire(ctx, 0, 3*time.Second)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	start := time.Now()
	to, err := leader.MoveLeaderAway(ctx, leader.cfg.Name)
	if err != nil || to == "" || to == leader.cfg.Name {
		t.Fatalf("leadership moved to %q: %v", to, err)
	}
	moved := time.Since(start)
	if leader.Leading() {
		t.Error("the former leader still leads")
	}
	if _, err := s.Renew(ctx, lease.Epoch, 3*time.Second); err != nil {
		t.Errorf("renew after the move: %v", err)
	}
	if _, err := s.Put(ctx, "config", "{}", events.Any); err != nil {
		t.Errorf("put after the move: %v", err)
	}
	t.Logf("leadership moved from %s to %s in %v; lease renewed and key written %v after the start of the move",
		leader.cfg.Name, to, moved, time.Since(start))

	foreign := etcdtest.NewCerts(t)
	stranger := openStore(t, etcd.Config{Endpoints: endpoints, CACert: certs.CACert, Cert: foreign.Cert, Key: foreign.Key}, "x", "m2")
	defer closeStore(t, stranger)
	short, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := stranger.Put(short, "config", "{}", events.Any); backends.Classify(err) != events.Failed {
		t.Errorf("put with a foreign certificate: %v", err)
	}
}

func closeStore(t *testing.T, s *etcd.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	good := func() Config {
		return Config{Name: "a", Dir: t.TempDir(), ClientURL: "http://127.0.0.1:1", PeerURL: "http://127.0.0.1:2",
			Cluster: map[string]string{"a": "http://127.0.0.1:2"}, Token: "t"}
	}
	for want, change := range map[string]func(*Config){
		"":                      func(*Config) {},
		"must be set":           func(c *Config) { c.Token = "" },
		"want its own peer URL": func(c *Config) { c.PeerURL = "http://127.0.0.1:3" },
		"five times heartbeat":  func(c *Config) { c.Heartbeat = time.Second },
		"URL":                   func(c *Config) { c.ClientURL = "127.0.0.1:1" },
		"all of cacert":         func(c *Config) { c.PeerTLS.Cert = "x" },
	} {
		c := good()
		change(&c)
		err := c.withDefaults()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if got := (Config{}).MinTTL(); got != 2*time.Second {
		t.Errorf("MinTTL %v by default, want 2s", got)
	}
	if got := (Config{Election: 500 * time.Millisecond}).MinTTL(); got != time.Second {
		t.Errorf("MinTTL %v with an election of 500 ms, want 1s", got)
	}
}
