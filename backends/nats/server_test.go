package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/freeport"
)

// binary is the real nats-server, built from tools/nats where it is missing.
var binary = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "nats-server")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	build := exec.Command("go", "build", "-C", filepath.Join(root, "tools", "nats"), "-o", path, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, out)
	}
	return path, nil
})

// server is one nats-server process.
type server struct {
	name    string
	config  string
	port    int
	monitor int
	cmd     *exec.Cmd
	waited  chan struct{}
}

// fleet is a single server or a cluster.
type fleet struct{ servers []*server }

// The users of the test servers: reader may do everything but write keys.
const (
	testUser, testPassword = "regent", "s3cret"
	readerUser             = "reader"
)

func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		port, err := freeport.Port()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// startFleet starts n servers, clustered if there are several, and ends them with the test.
func startFleet(t testing.TB, n int) *fleet {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3*n)
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3*i+2]))
	}
	f := &fleet{}
	dir := t.TempDir()
	for i := range n {
		s := &server{name: fmt.Sprintf("s%d", i+1), port: ports[3*i], monitor: ports[3*i+1]}
		s.config = filepath.Join(dir, s.name+".conf")
		text := fmt.Sprintf(`server_name: %s
listen: 127.0.0.1:%d
http: 127.0.0.1:%d
jetstream { store_dir: %q, sync_interval: always, max_memory_store: 64M, max_file_store: 1G }
accounts {
  A { jetstream: enabled, users: [
    {user: %s, password: %s}
    {user: %s, password: %s, permissions: {publish: {deny: ["$KV.>"]}}}
  ] }
}
`, s.name, s.port, s.monitor, filepath.Join(dir, s.name), testUser, testPassword, readerUser, testPassword)
		if n > 1 {
			text += fmt.Sprintf("cluster { name: test, listen: 127.0.0.1:%d, routes: [%s] }\n", ports[3*i+2], strings.Join(routes, ", "))
		}
		if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.servers = append(f.servers, s)
		s.start(t, path)
	}
	t.Cleanup(func() {
		for _, s := range f.servers {
			s.kill(t)
		}
	})
	for _, s := range f.servers {
		s.healthy(t)
	}
	return f
}

func (s *server) start(t testing.TB, path string) {
	t.Helper()
	cmd := exec.Command(path, "-c", s.config)
	log, err := os.OpenFile(s.config+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = cmd.Wait() // "killed" is what is expected
	}()
	s.cmd, s.waited = cmd, waited
}

// kill ends the process as a crash does and waits for it.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil && !strings.Contains(err.Error(), "finished") {
		t.Errorf("kill %s: %v", s.name, err)
	}
	<-s.waited
}

func (s *server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Errorf("signal %s: %v", s.name, err)
	}
}

// healthy waits until the server says that it and its streams are up to date.
func (s *server) healthy(t testing.TB) {
	t.Helper()
	client := http.Client{Timeout: time.Second}
	var last string
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", s.monitor))
		if err != nil {
			last = err.Error()
			continue
		}
		last = resp.Status
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	log, _ := os.ReadFile(s.config + ".log")
	t.Errorf("%s is not healthy: %s\n%s", s.name, last, log[max(0, len(log)-3000):])
}

func (f *fleet) urls() []string {
	var all []string
	for _, s := range f.servers {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", s.port))
	}
	return all
}

func (f *fleet) config(scope, member string) Config {
	return Config{
		Config:  backends.Config{Namespace: "service", Scope: scope, Member: member, Now: bootclock.Now},
		Servers: f.urls(), User: testUser, Password: testPassword,
	}
}

func (f *fleet) open(t testing.TB, cfg Config) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// admin is a connection past the adapter.
func (f *fleet) admin(t testing.TB) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(strings.Join(f.urls(), ","), nats.UserInfo(testUser, testPassword), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// leader is the server that leads the bucket's stream, once there is one.
func (f *fleet) leader(t testing.TB) *server {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if s := f.leads(t); s != nil {
			return s
		}
	}
	t.Fatal("no server knows the leader of the bucket")
	return nil
}

func (f *fleet) leads(t testing.TB) *server {
	t.Helper()
	for _, s := range f.servers {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/jsz?streams=true&accounts=true&acc=A", s.monitor))
		if err != nil {
			continue
		}
		var jsz struct {
			Accounts []struct {
				Streams []struct {
					Name    string `json:"name"`
					Cluster struct {
						Leader string `json:"leader"`
					} `json:"cluster"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		err = json.NewDecoder(resp.Body).Decode(&jsz)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range jsz.Accounts {
			for _, stream := range a.Streams {
				for _, s := range f.servers {
					if stream.Name == "KV_regent-service" && stream.Cluster.Leader == s.name {
						return s
					}
				}
			}
		}
	}
	return nil
}

func (f *fleet) followers(t testing.TB) []*server {
	t.Helper()
	leader := f.leader(t)
	var rest []*server
	for _, s := range f.servers {
		if s != leader {
			rest = append(rest, s)
		}
	}
	return rest
}

// freeze and crash make faults of the servers that pick names.
func freeze(pick func(testing.TB) []*server) backendtest.Fault {
	return func(t testing.TB) func() {
		victims := pick(t)
		for _, s := range victims {
			s.signal(t, syscall.SIGSTOP)
		}
		return func() {
			for _, s := range victims {
				s.signal(t, syscall.SIGCONT)
			}
			for _, s := range victims {
				s.healthy(t)
			}
		}
	}
}

func crash(pick func(testing.TB) []*server) backendtest.Fault {
	return func(t testing.TB) func() {
		victims := pick(t)
		for _, s := range victims {
			s.kill(t)
		}
		return sync.OnceFunc(func() {
			path, err := binary()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range victims {
				s.start(t, path)
			}
			for _, s := range victims {
				s.healthy(t)
			}
		})
	}
}
