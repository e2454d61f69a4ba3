package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/aspostgres"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/freeport"
	"github.com/regent-ha/regent/pgdriver"
	"github.com/regent-ha/regent/simulations/postgres/conform"
)

// TestMain runs the tests as postgres. Scripts mostly wait.
func TestMain(m *testing.M) { aspostgres.Exit(m.Run, "-test.parallel=8") }

// stage is a conform.Stage of real servers, each with a driver.
type stage struct {
	t        *testing.T
	members  map[string]*member
	template string // a directory with the members' data directories, empty: there is none yet
}

type member struct {
	*pgdriver.Driver
	cfg pgdriver.Config

	mu   sync.Mutex
	last events.Observation
}

func newStage(t *testing.T, template string) *stage {
	s := &stage{t: t, template: template, members: map[string]*member{}}
	for _, name := range conform.Members {
		s.members[name] = s.member(name)
	}
	if template != "" {
		s.fromTemplate()
	}
	return s
}

func (s *stage) member(name string) *member {
	dir, err := os.MkdirTemp("", "regent-sim-")
	s.must(err)
	s.t.Cleanup(func() { s.check(os.RemoveAll(dir)) })
	port, err := freeport.Port()
	s.must(err)
	user := func(name string) pgdriver.Credentials { return pgdriver.Credentials{Username: name} }
	m := &member{cfg: pgdriver.Config{Name: name, Scope: "test", DataDir: filepath.Join(dir, "data"), BinDir: "/usr/lib/postgresql/15/bin",
		ListenAddresses: "127.0.0.1", Port: port, Superuser: user("postgres"), Replication: user("replicator"), Rewind: user("rewinder"),
		Parameters: map[string]string{"shared_buffers": "16MB", "fsync": "off"}, SocketDir: dir, ProbePeriod: 100 * time.Millisecond,
		PgHBA:  []string{"local all all trust", "host all all 127.0.0.1/32 trust", "host replication replicator 127.0.0.1/32 trust"},
		Initdb: []string{"--data-checksums", "--wal-segsize=1", "--encoding=UTF8", "--locale=C", "--auth=trust"}, Now: bootclock.Now, Log: zap.NewNop()}}
	m.Driver, err = pgdriver.New(m.cfg)
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, m.take) }()
	s.t.Cleanup(func() {
		end, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		_, err := m.Stop(end, events.StopPostgres{Mode: events.StopKill}, nil)
		s.check(err)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.t.Error(err)
		}
	})
	return m
}

// saveTemplate stops everybody and copies their data directories.
func (s *stage) saveTemplate() string {
	dir, err := os.MkdirTemp("", "regent-sim-")
	s.must(err)
	s.t.Cleanup(func() { s.check(os.RemoveAll(dir)) })
	for _, name := range conform.Members {
		if o, _ := s.Do(name, events.StopPostgres{Mode: events.StopFast}, conform.Patience); o != events.Done {
			s.t.Fatalf("stop %s: %s", name, o)
		}
		s.must(exec.Command("cp", "-a", s.members[name].cfg.DataDir, filepath.Join(dir, name)).Run())
	}
	return dir
}

func (s *stage) Prepared() bool { return s.template != "" }

func (s *stage) CreateTable(name string) {
	_, err := s.sql(name, "CREATE TABLE t(i int)")
	s.must(err)
}

func (s *stage) fromTemplate() {
	for name, m := range s.members {
		s.must(exec.Command("cp", "-a", filepath.Join(s.template, name), m.cfg.DataDir).Run())
	}
}

func (m *member) take(f events.Fact) {
	if o, ok := f.(events.PostgresObserved); ok {
		m.mu.Lock()
		m.last = o.Observation
		m.mu.Unlock()
	}
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

// at fills in where a member of the script really is.
func (s *stage) at(u events.Upstream) events.Upstream {
	if m := s.members[u.Name]; m != nil {
		u.ConnURL = fmt.Sprintf("postgres://127.0.0.1:%d/postgres", m.cfg.Port)
	}
	return u
}

func (s *stage) Do(name string, a events.Action, within time.Duration) (events.Outcome, events.Result) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	m := s.members[name]
	var r events.Result
	var err error
	switch a := a.(type) {
	case events.Bootstrap:
		r, err = m.Bootstrap(ctx, nil)
	case events.Clone:
		r, err = m.Clone(ctx, s.at(a.From), a.Discard, nil)
	case events.StartPostgres:
		a.From = s.at(a.From)
		r, err = m.Start(ctx, a, nil)
	case events.StopPostgres:
		r, err = m.Stop(ctx, a, nil)
	case events.Promote:
		r, err = m.Promote(ctx, nil)
	case events.Follow:
		a.From = s.at(a.From)
		r, err = m.Follow(ctx, a, nil)
	case events.CheckDivergence:
		r, err = m.CheckDivergence(ctx, s.at(a.Leader), nil)
	case events.CrashRecover:
		r, err = m.CrashRecover(ctx, nil)
	case events.Rewind:
		r, err = m.Rewind(ctx, s.at(a.From), nil)
	case events.SyncSlots:
		r, err = m.SyncSlots(ctx, a.Members, a.Drop, nil)
	case events.Checkpoint:
		r, err = m.Checkpoint(ctx, nil)
	default:
		s.t.Fatalf("no such action here: %s", a.ActionKind())
	}
	if err != nil {
		s.t.Logf("real: %s of %s: %v", a.ActionKind(), name, err)
		return events.Failed, r
	}
	return events.Done, r
}

func (s *stage) Begin(name string, a events.Action, within time.Duration) func() (events.Outcome, events.Result) {
	type end struct {
		o events.Outcome
		r events.Result
	}
	done := make(chan end, 1)
	go func() {
		o, r := s.Do(name, a, within)
		done <- end{o, r}
	}()
	return func() (events.Outcome, events.Result) {
		e := <-done // within bounds it
		return e.o, e.r
	}
}

func (s *stage) See(name string) events.Observation {
	m := s.members[name]
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func (s *stage) Until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(conform.Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			for name := range s.members {
				s.t.Logf("%s: %+v", name, s.See(name))
			}
			s.t.Fatalf("real: waited in vain for %s", what)
		}
	}
}

func (s *stage) sql(name, query string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), conform.Patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", s.members[name].cfg.Port))
	if err != nil {
		return "", err
	}
	rs, err := conn.Exec(ctx, query).ReadAll()
	if closed := conn.Close(ctx); err == nil {
		err = closed
	}
	if err != nil || len(rs) == 0 {
		return "", err
	}
	last := rs[len(rs)-1]
	if len(last.Rows) == 0 || len(last.Rows[0]) == 0 {
		return "", nil
	}
	return string(last.Rows[0][0]), nil
}

func (s *stage) Write(name string, id int) func(time.Duration) string {
	done := make(chan string, 1)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, err := s.sql(name, fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
		var refused *pgconn.PgError
		switch {
		case err == nil:
			done <- "acknowledged"
		case errors.As(err, &refused) && refused.Code == "25006":
			done <- "refused"
		default:
			done <- "unanswered"
		}
	}()
	s.t.Cleanup(func() { <-finished })
	return func(within time.Duration) string {
		select {
		case got := <-done:
			return got
		case <-time.After(within):
			return "waiting"
		}
	}
}

func (s *stage) Visible(name string, id int) bool {
	got, err := s.sql(name, fmt.Sprintf("SELECT count(*) FROM t WHERE i = %d", id))
	s.check(err)
	return got == "1"
}

func (s *stage) Sync(name, names string) {
	_, err := s.sql(name, "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'")
	s.must(err)
	_, err = s.sql(name, "SELECT pg_reload_conf()")
	s.must(err)
	s.Until("the reload", func() bool {
		got, err := s.sql(name, "SHOW synchronous_standby_names")
		return err == nil && got == names
	})
}

func (s *stage) Kill(name string) {
	s.must(syscall.Kill(s.See(name).PID, syscall.SIGKILL))
}

// hang stops the postmaster and its children.
func (s *stage) Hang(name string, hung bool) {
	pid := s.See(name).PID
	sig := syscall.SIGCONT
	if hung {
		sig = syscall.SIGSTOP
	}
	s.must(syscall.Kill(pid, sig))
	for child := range s.family(pid) {
		if err := syscall.Kill(child, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Fatal(err)
		}
	}
	s.Until("the processes of "+name+" have the signal", func() bool {
		for _, state := range s.family(pid) {
			if (state == "T") != hung {
				return false
			}
		}
		return true
	})
}

// family is a process and its children, and the state of each as proc(5) tells it.
func (s *stage) family(pid int) map[int]string {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	s.must(err)
	out := map[int]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		text := string(b)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name before may hold anything
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		s.must(err)
		if len(fields) > 1 && (id == pid || fields[1] == strconv.Itoa(pid)) {
			out[id] = fields[0]
		}
	}
	return out
}

func (s *stage) HangUp(name string) {
	_, err := s.sql(name, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	s.must(err)
}

func (s *stage) LoseWAL(m, of string) {
	for _, query := range []string{"ALTER SYSTEM SET wal_keep_size = 0", "SELECT pg_reload_conf()", "SELECT pg_drop_replication_slot('" + of + "')",
		"INSERT INTO t VALUES (0)", "SELECT pg_switch_wal()", "INSERT INTO t VALUES (0)", "SELECT pg_switch_wal()", "CHECKPOINT"} {
		_, err := s.sql(m, query)
		s.must(err)
	}
}

func (s *stage) Knows(m string, t events.Timeline) bool {
	_, err := os.Stat(filepath.Join(s.members[m].cfg.DataDir, "pg_wal", fmt.Sprintf("%08X.history", uint32(t))))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s *stage) Pass(d time.Duration) { time.Sleep(d) }
