package pgdriver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestBootstrap(t *testing.T) {
	cfg := testConfig(t, "boot")
	cfg.PostBootstrap = testBinDir + "/psql -v ON_ERROR_STOP=1 -c 'CREATE TABLE made(i int)' -d"
	cfg.Database = "app"
	s := newServer(t, cfg).observe()
	s.await("an empty data directory", func(o events.Observation) bool { return o.Data == events.DataEmpty && !o.Running })
	var told []string
	r, err := s.Bootstrap(deadline(t), func(line string) { told = append(told, line) })
	must(t, err)
	if r.SystemID == "" || len(told) == 0 {
		t.Fatalf("result %+v, progress %q", r, told)
	}
	o := s.await("a clean data directory", func(o events.Observation) bool { return o.Data == events.DataPresent })
	if o.Running || o.Control.State != "shut down" || o.Control.SystemID != r.SystemID || !o.Control.CanRewind || o.Control.VersionMajor != 15 {
		t.Fatalf("after bootstrap: %+v", o)
	}
	for _, f := range s.facts {
		if _, exited := f.fact.(events.PostgresExited); exited {
			t.Fatal("the private server was taken for the member's")
		}
	}
	s.start(true, nil)
	o = s.await("a primary", answering(false))
	if o.Server.Timeline != 1 || o.Server.FlushLSN == 0 || o.Server.Version < 150000 || o.Server.StartedAt == "" || len(o.Server.PendingRestart) != 0 {
		t.Fatalf("server: %+v", o.Server)
	}
	if got := s.sql("SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"); got != "postgres replicator rewinder" {
		t.Fatalf("roles %q", got)
	}
	if _, err := s.Bootstrap(deadline(t), nil); !errors.Is(err, ErrRunning) {
		t.Fatalf("bootstrap again: %v", err)
	}
	log, err := os.ReadFile(s.config().LogFile)
	must(t, err)
	if strings.Contains(string(log), "secret") {
		t.Fatal("a password is in the log of the server")
	}
}

func TestBootstrapFailureIsMovedAside(t *testing.T) {
	cfg := testConfig(t, "boot")
	cfg.PostBootstrap = "echo no luck; exit 3; true"
	s := newServer(t, cfg)
	_, err := s.Bootstrap(deadline(t), nil)
	if err == nil || !strings.Contains(err.Error(), "no luck") || Hint(err) == "" {
		t.Fatalf("error %v, hint %q", err, Hint(err))
	}
	aside, err := filepath.Glob(cfg.DataDir + ".failed-*/PG_VERSION")
	must(t, err)
	if empty, err := isEmptyDir(cfg.DataDir); err != nil || !empty || len(aside) != 1 {
		t.Fatalf("empty %v, aside %v: %v", empty, aside, err)
	}
	if what, left := s.unfinished(); left {
		t.Fatalf("still marked as unfinished %s", what)
	}
}

func TestStopModes(t *testing.T) {
	s := primary(t, "one")
	for _, mode := range []events.StopMode{events.StopFast, events.StopImmediate, events.StopKill} {
		conn := s.connect()
		begun := time.Now()
		r := s.stop(mode)
		t.Logf("stop %s: %v, shutdown LSN %v", mode, time.Since(begun).Round(time.Millisecond), r.ShutdownLSN)
		if (r.ShutdownLSN != 0) != (mode == events.StopFast) {
			t.Errorf("stop %s: shutdown LSN %v", mode, r.ShutdownLSN)
		}
		if left, err := serverProcesses(s.dataDir); err != nil || len(left) != 0 {
			t.Fatalf("stop %s left %d processes: %v", mode, len(left), err)
		}
		closeConn(conn)
		begun = time.Now()
		s.start(true, nil)
		t.Logf("start after %s: %v", mode, time.Since(begun).Round(time.Millisecond))
		s.start(true, nil) // already done
		s.await("a primary again", answering(false))
	}
	s.stop(events.StopFast)
	s.stop(events.StopFast) // already done
}

func TestStopEscalates(t *testing.T) {
	s := primary(t, "one")
	p, _, err := s.running()
	must(t, err)
	defer p.close()
	must(t, p.signal(syscall.SIGSTOP)) // it will not see SIGINT, nor SIGQUIT
	ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = s.Stop(ctx, events.StopPostgres{Mode: events.StopFast, EscalateAfter: 100 * time.Millisecond}, nil)
	must(t, err)
	if took := time.Since(begun); took < 350*time.Millisecond || took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	s.await("not running", func(o events.Observation) bool { return !o.Running })
}

func TestStopWithoutDataDirectory(t *testing.T) {
	for _, mode := range []events.StopMode{events.StopImmediate, events.StopKill} {
		s := primary(t, "one")
		must(t, os.Rename(s.dataDir, s.dataDir+".gone"))
		pid := s.last().PID
		s.stop(mode)
		s.awaitFact("the exit", 0, exited(pid, true))
		if left, err := serverProcesses(s.dataDir + ".gone"); err != nil || len(left) != 0 {
			t.Errorf("stop %s left %d processes: %v", mode, len(left), err)
		}
	}
}

func TestExitOfAdoptedPostmaster(t *testing.T) {
	first := primary(t, "one")
	first.end() // the agent goes, the server stays
	again := newServer(t, first.cfg).observe()
	o := again.await("the adopted server", answering(false))
	if o.PID == 0 {
		t.Fatalf("adopted: %+v", o)
	}
	busy := again.connect() // a backend that notices nothing by itself
	busyDone := make(chan struct{})
	go func() {
		defer close(busyDone)
		// The error is the point: the backend is killed.
		_, _ = ask(context.Background(), busy, "DO $$ BEGIN LOOP END LOOP; END $$")
	}()
	again.awaitSQL("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'", "t")
	again.mu.Lock()
	from := len(again.facts)
	again.mu.Unlock()
	begun := time.Now()
	must(t, syscall.Kill(o.PID, syscall.SIGKILL))
	dead := again.awaitFact("the exit", from, exited(o.PID, false))
	gone := again.awaitFact("the end of the children", from, exited(o.PID, true))
	t.Logf("kill -9 to exited: %v, to gone: %v", dead.at.Sub(begun).Round(100*time.Microsecond), gone.at.Sub(begun).Round(100*time.Microsecond))
	if left, err := serverProcesses(again.dataDir); err != nil || len(left) != 0 {
		t.Fatalf("left %d processes: %v", len(left), err)
	}
	<-busyDone
	if took := dead.at.Sub(begun); took > 200*time.Millisecond {
		t.Errorf("exit known only after %v", took)
	}
	again.await("stopped", func(o events.Observation) bool { return !o.Running && o.Control.State == "in production" })
	begun = time.Now()
	again.start(true, nil)
	t.Logf("start after kill -9: %v", time.Since(begun).Round(time.Millisecond))
}

func exited(pid int, gone bool) func(events.Fact) bool {
	return func(f events.Fact) bool { return f == events.PostgresExited{PID: pid, Gone: gone} }
}

func (s *server) awaitSQL(query, want string) {
	s.t.Helper()
	conn := s.connect()
	defer closeConn(conn)
	ctx := deadline(s.t)
	for {
		rs, err := ask(ctx, conn, query)
		must(s.t, err)
		if text(rs) == want {
			return
		}
	}
}

func TestHungPostmaster(t *testing.T) {
	s := primary(t, "one")
	all, err := serverProcesses(s.dataDir)
	must(t, err)
	defer closeAll(all)
	for _, p := range all {
		must(t, p.signal(syscall.SIGSTOP))
	}
	o := s.await("no answer", func(o events.Observation) bool { return o.Running && !o.Answering && o.NoAnswerFor > 2*time.Second })
	if o.Starting || o.Rejecting {
		t.Errorf("taken for one that answers: %+v", o)
	}
	s.mu.Lock()
	facts := append([]stamped(nil), s.facts...)
	s.mu.Unlock()
	for i := 1; i < len(facts); i++ {
		if gap := facts[i].at.Sub(facts[i-1].at); gap > 1500*time.Millisecond {
			t.Errorf("nothing told for %v", gap)
		}
	}
	for _, p := range all {
		must(t, p.signal(syscall.SIGCONT))
	}
	s.await("an answer again", answering(false))
}

// A server that refuses us is told from one that hangs.
func TestServerThatRejects(t *testing.T) {
	s := primary(t, "one")
	conn := s.connect()
	defer closeConn(conn)
	for _, query := range []string{"ALTER ROLE CURRENT_USER NOLOGIN",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"} {
		if _, err := conn.Exec(deadline(t), query).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	o := s.await("a rejection", func(o events.Observation) bool { return o.Running && o.Rejecting })
	if o.Answering || o.Starting || !strings.Contains(o.Problem, "not permitted to log in") {
		t.Errorf("got %+v", o)
	}
	if _, err := conn.Exec(deadline(t), "ALTER ROLE CURRENT_USER LOGIN").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if o := s.await("an answer", answering(false)); o.Rejecting {
		t.Errorf("got %+v", o)
	}
}

func TestWrongDataDirectories(t *testing.T) {
	cfg := testConfig(t, "bad")
	must(t, os.Mkdir(cfg.DataDir, 0o700))
	must(t, os.WriteFile(filepath.Join(cfg.DataDir, "letter.txt"), []byte("dear"), 0o600))
	s := newServer(t, cfg).observe()
	o := s.await("invalid", func(o events.Observation) bool { return o.Data == events.DataInvalid })
	if !strings.Contains(o.Problem, "PG_VERSION") {
		t.Errorf("problem %q", o.Problem)
	}
	if _, err := s.Bootstrap(deadline(t), nil); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("bootstrap: %v", err)
	}
	if _, err := s.Clone(deadline(t), events.Upstream{Name: "x", ConnURL: "postgres://127.0.0.1:1/postgres"}, false, nil); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("clone: %v", err)
	}
	// A clone that fails puts back what it was to replace.
	if _, err := s.Clone(deadline(t), events.Upstream{Name: "x", ConnURL: "postgres://127.0.0.1:1/postgres"}, true, nil); err == nil {
		t.Error("clone from nowhere worked")
	}
	if b, err := os.ReadFile(filepath.Join(cfg.DataDir, "letter.txt")); err != nil || string(b) != "dear" {
		t.Errorf("the old contents are gone: %q, %v", b, err)
	}
	for field, change := range map[string]func(*Config){
		"postgresql.data_dir":   func(c *Config) { c.DataDir = "relative" },
		"postgresql.bin_dir":    func(c *Config) { c.BinDir = "/nowhere" },
		"postgresql.listen":     func(c *Config) { c.Port = 0 },
		"name":                  func(c *Config) { c.Name = "" },
		"postgresql.parameters": func(c *Config) { c.Parameters = map[string]string{"a b": "1"} },
	} {
		bad := cfg
		change(&bad)
		_, err := New(bad)
		if err == nil || !strings.Contains(err.Error(), field) || Hint(err) == "" {
			t.Errorf("%s: error %v, hint %q", field, err, Hint(err))
		}
	}
	bad := cfg
	bad.DataDir = "/usr"
	if _, err := New(bad); err == nil || Hint(err) == "" {
		t.Errorf("data directory of root: %v", err)
	}
}
