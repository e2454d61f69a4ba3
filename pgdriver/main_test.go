package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/aspostgres"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/freeport"
)

const testBinDir = "/usr/lib/postgresql/15/bin"

// TestMain runs the tests as postgres.
func TestMain(m *testing.M) {
	aspostgres.Exit(func() int {
		code := m.Run()
		if template.dir != "" {
			if err := os.RemoveAll(filepath.Dir(template.dir)); err != nil {
				fmt.Fprintln(os.Stderr, "remove the template:", err)
				code = 1
			}
		}
		return code
	})
}

// server is a member under test.
type server struct {
	*Driver
	t    *testing.T
	cfg  Config
	logs *observer.ObservedLogs

	mu    sync.Mutex
	facts []stamped
	wake  chan struct{}
	end   func()
}

type stamped struct {
	at   time.Time
	fact events.Fact
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// testDir is a short directory: the path of a socket has at most 107 characters.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "regent-")
	must(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := freeport.Port()
	must(t, err)
	return port
}

func testConfig(t *testing.T, name string) Config {
	dir := testDir(t)
	return Config{
		Name: name, Scope: "test", DataDir: filepath.Join(dir, "data"), BinDir: testBinDir, ListenAddresses: "127.0.0.1", Port: freePort(t),
		Superuser:   Credentials{Username: "postgres", Password: "super's \\ secret"},
		Replication: Credentials{Username: "replicator", Password: "repl:secret\\"},
		Rewind:      Credentials{Username: "rewinder", Password: "rewind secret"},
		Parameters:  map[string]string{"shared_buffers": "16MB", "log_connections": "on"},
		PgHBA: []string{"local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256",
			"host replication replicator 127.0.0.1/32 scram-sha-256"},
		SocketDir: dir, Initdb: []string{"--data-checksums", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"},
		Now: bootclock.Now,
	}
}

// newServer makes a driver; observe starts its Run.
func newServer(t *testing.T, cfg Config) *server {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	cfg.Log = zap.New(core)
	d, err := New(cfg)
	must(t, err)
	s := &server{Driver: d, t: t, cfg: cfg, logs: logs, wake: make(chan struct{}, 1)}
	t.Cleanup(s.tidy)
	return s
}

func (s *server) observe() *server {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, s.take) }()
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.t.Errorf("run: %v", err)
		}
	})
	return s
}

func (s *server) take(f events.Fact) {
	s.mu.Lock()
	s.facts = append(s.facts, stamped{time.Now(), f})
	s.mu.Unlock()
	poke(s.wake)
}

// tidy stops whatever runs, and shows what happened if the test failed.
func (s *server) tidy() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.Stop(ctx, events.StopPostgres{Mode: events.StopImmediate}, nil); err != nil {
		s.t.Errorf("stop %s: %v", s.cfg.Name, err)
	}
	if s.end != nil {
		s.end()
	}
	if s.t.Failed() {
		out, err := readTail(s.config().LogFile, 0)
		s.t.Logf("%s wrote (%v):\n%s", s.cfg.Name, err, out)
		for _, e := range s.logs.All() {
			s.t.Log(s.cfg.Name, e.Level, e.Message, e.ContextMap())
		}
	}
}

// last returns the newest observation.
func (s *server) last() events.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.facts) - 1; i >= 0; i-- {
		if o, ok := s.facts[i].fact.(events.PostgresObserved); ok {
			return o.Observation
		}
	}
	return events.Observation{}
}

// await waits for an observation that is made from now on.
func (s *server) await(what string, ok func(events.Observation) bool) events.Observation {
	s.t.Helper()
	s.mu.Lock()
	from := len(s.facts)
	s.mu.Unlock()
	s.Poke()
	f := s.awaitFact(what, from, func(f events.Fact) bool {
		o, is := f.(events.PostgresObserved)
		return is && ok(o.Observation)
	})
	return f.fact.(events.PostgresObserved).Observation
}

func (s *server) awaitFact(what string, from int, ok func(events.Fact) bool) stamped {
	s.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		for ; from < len(s.facts); from++ {
			if ok(s.facts[from].fact) {
				defer s.mu.Unlock()
				return s.facts[from]
			}
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-timeout:
			s.t.Fatalf("%s: waited in vain for %s; last seen %+v", s.cfg.Name, what, s.last())
		}
	}
}

func (s *server) upstream() events.Upstream {
	return events.Upstream{Name: s.cfg.Name, ConnURL: fmt.Sprintf("postgres://127.0.0.1:%d/postgres", s.cfg.Port)}
}

func (s *server) connect() *pgconn.PgConn {
	s.t.Helper()
	conn, err := connect(deadline(s.t), target{host: "127.0.0.1", port: strconv.Itoa(s.cfg.Port), database: "postgres"}, s.cfg.Superuser)
	must(s.t, err)
	s.t.Cleanup(func() { closeConn(conn) })
	return conn
}

func (s *server) sql(query string) string {
	s.t.Helper()
	conn := s.connect()
	defer closeConn(conn)
	rs, err := ask(deadline(s.t), conn, query)
	must(s.t, err)
	return text(rs)
}

func (s *server) start(primary bool, from *server) {
	s.t.Helper()
	a := events.StartPostgres{AsPrimary: primary}
	if from != nil {
		a.From = from.upstream()
	}
	_, err := s.Start(deadline(s.t), a, nil)
	must(s.t, err)
}

func (s *server) stop(mode events.StopMode) events.Result {
	s.t.Helper()
	r, err := s.Stop(deadline(s.t), events.StopPostgres{Mode: mode}, nil)
	must(s.t, err)
	return r
}

var template struct {
	once sync.Once
	dir  string
	err  error
}

// primary is a started primary from a data directory that was bootstrapped once.
func primary(t *testing.T, name string, change ...func(*Config)) *server {
	t.Helper()
	template.once.Do(func() { template.dir, template.err = bootstrapTemplate(t) })
	must(t, template.err)
	cfg := testConfig(t, name)
	for _, c := range change {
		c(&cfg)
	}
	must(t, exec.Command("cp", "-a", template.dir, cfg.DataDir).Run())
	s := newServer(t, cfg).observe()
	s.Driver.hurryUp()
	s.start(true, nil)
	s.await("a primary that answers", answering(false))
	return s
}

func bootstrapTemplate(t *testing.T) (string, error) {
	dir, err := os.MkdirTemp("", "regent-template-")
	if err != nil {
		return "", err
	}
	cfg := testConfig(t, "template")
	cfg.DataDir = filepath.Join(dir, "data")
	d, err := New(cfg)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = d.Bootstrap(ctx, nil)
	return cfg.DataDir, err
}

// replica is a started, streaming replica of from.
func replica(t *testing.T, name string, from *server) *server {
	t.Helper()
	s := newServer(t, testConfig(t, name)).observe()
	_, err := s.Clone(deadline(t), from.upstream(), false, nil)
	must(t, err)
	s.start(false, from)
	s.await("streaming", streaming)
	return s
}

func answering(inRecovery bool) func(events.Observation) bool {
	return func(o events.Observation) bool { return o.Answering && o.Server.InRecovery == inRecovery }
}

func streaming(o events.Observation) bool {
	return o.Answering && o.Server.ReplicationState == "streaming"
}

// caughtUp waits until the replica has replayed what the primary has written.
func caughtUp(t *testing.T, from, to *server) {
	t.Helper()
	at, err := events.ParseLSN(from.sql("SELECT pg_current_wal_lsn()"))
	must(t, err)
	to.await("replay up to "+at.String(), func(o events.Observation) bool { return o.Server.ReplayedLSN >= at })
}
