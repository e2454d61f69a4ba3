package fence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

const (
	binDir   = "/usr/lib/postgresql/15/bin"
	patience = 30 * time.Second // the deadline of every wait: generous, for loaded machines
)

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// runtimeDir is a directory in memory, as in production.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(innerMark), "run-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

var template struct {
	once sync.Once
	dir  string
	err  error
}

// server is a real PostgreSQL of a test's own.
type server struct {
	dir    string
	port   int
	cmd    *exec.Cmd
	exited chan struct{}
}

func newServer(t *testing.T) *server {
	t.Helper()
	template.once.Do(func() {
		if template.dir, template.err = os.MkdirTemp("", "template-"); template.err != nil {
			return
		}
		template.dir += "/data"
		out, err := exec.Command(binDir+"/initdb", "-D", template.dir, "-A", "trust", "-U", "postgres", "--no-sync").CombinedOutput()
		if err != nil {
			template.err = fmt.Errorf("initdb: %w: %s", err, out)
		}
	})
	must(t, template.err)
	s := &server{dir: filepath.Join(t.TempDir(), "data")}
	if out, err := exec.Command("cp", "-a", template.dir, s.dir).CombinedOutput(); err != nil {
		t.Fatalf("copy template: %v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.port = l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	eventually(t, "PostgreSQL answers", func() bool {
		c, err := s.connect()
		if err != nil {
			return false
		}
		must(t, c.Close(context.Background()))
		return true
	})
}

func (s *server) launch(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binDir+"/postgres", "-D", s.dir, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "log_min_messages=fatal", "-c", "max_connections=60", "-c", "shared_buffers=16MB")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // killed is what many tests want
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGCONT)
		_ = cmd.Process.Signal(unix.SIGQUIT)
		select {
		case <-exited:
		case <-time.After(patience):
			t.Error("PostgreSQL did not stop")
		}
	})
}

func (s *server) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port))
}

func (s *server) exec(t *testing.T, sql string) {
	t.Helper()
	c, err := s.connect()
	must(t, err)
	_, err = c.Exec(within(t, patience), sql)
	must(t, err)
	must(t, c.Close(context.Background()))
}

func (s *server) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// processes counts what is left of the server, by a scan of the test's own.
func (s *server) processes(t *testing.T) int {
	t.Helper()
	n := 0
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	must(t, err)
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == s.dir {
			n++
		}
	}
	return n
}

// writers insert as fast as they can and note the instant of the last acknowledgement.
type writers struct {
	last  atomic.Int64
	count atomic.Int64
	group sync.WaitGroup
	stop  chan struct{}
}

func (s *server) write(t *testing.T, n int) *writers {
	t.Helper()
	s.exec(t, "create table if not exists w (i bigint generated always as identity, at timestamptz default now())")
	w := &writers{stop: make(chan struct{})}
	for range n {
		c, err := s.connect()
		must(t, err)
		w.group.Add(1)
		go func() {
			defer w.group.Done()
			for {
				select {
				case <-w.stop:
					_ = c.Close(context.Background())
					return
				default:
				}
				if _, err := c.Exec(context.Background(), "insert into w default values"); err != nil {
					return // the connection died with its backend
				}
				now := int64(bootNow())
				for old := w.last.Load(); now > old && !w.last.CompareAndSwap(old, now); old = w.last.Load() {
					continue
				}
				w.count.Add(1)
			}
		}()
	}
	eventually(t, "writers write", func() bool { return w.count.Load() > int64(n) })
	return w
}

// rig is a Fence that runs inside the test.
type rig struct {
	*Fence
	cancel context.CancelFunc
	done   chan error
	mu     sync.Mutex
	ticks  []events.GuardTick
}

func testConfig(runtime, data string) Config {
	return Config{RuntimeDir: runtime, DataDir: data, Identity: "test/one", Executable: []string{"/proc/self/exe", "guard"}, Now: bootNow}
}

func startRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	f, err := New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{Fence: f, cancel: cancel, done: make(chan error, 1)}
	go func() {
		r.done <- f.Run(ctx, func(fact events.Fact) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ticks = append(r.ticks, fact.(events.GuardTick))
		})
	}()
	t.Cleanup(func() { r.end(t) })
	eventually(t, "guard is alive", func() bool { return f.State().Alive })
	return r
}

// stop ends Run and closes, as an agent that ends does.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	if r.done == nil {
		return
	}
	r.cancel()
	select {
	case err := <-r.done:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("Run did not return")
	}
	r.done = nil
	must(t, r.Close())
}

// end stops and leaves no guard behind.
func (r *rig) end(t *testing.T) {
	t.Helper()
	if r.done == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Disarm(ctx); errors.Is(err, ErrFired) {
		must(t, r.AcknowledgeFired(ctx))
	}
	pid := r.guardPID()
	r.stop(t)
	eventually(t, "the disarmed guard is gone", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
}

func (r *rig) guardPID() int { return int(r.page.Load().guardPID.Load()) }

// told waits for a tick.
func (r *rig) told(t *testing.T, what string, ok func(events.GuardTick) bool) events.GuardTick {
	t.Helper()
	var found events.GuardTick
	eventually(t, "tick: "+what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, tick := range r.ticks {
			if ok(tick) {
				found = tick
				return true
			}
		}
		return false
	})
	return found
}

// agentProcess is an agent in a process of its own, which renews its deadline every 100 ms.
type agentProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	lines []string
}

func startAgent(t *testing.T, runtime, data string, lease time.Duration) *agentProcess {
	t.Helper()
	a := &agentProcess{ended: make(chan struct{}), cmd: exec.Command("/proc/self/exe", "agent", runtime, data, lease.String())}
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	must(t, err)
	must(t, a.cmd.Start())
	go func() {
		defer close(a.ended)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			a.mu.Lock()
			a.lines = append(a.lines, sc.Text())
			a.mu.Unlock()
		}
		_ = a.cmd.Wait() // most are killed
	}()
	t.Cleanup(func() {
		_ = unix.Kill(-a.cmd.Process.Pid, unix.SIGKILL)
		<-a.ended
	})
	return a
}

func (a *agentProcess) said(prefix string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

// playAgent is the agent's main function: runtime directory, data directory, length of the lease.
func playAgent(args []string) int {
	lease, err := time.ParseDuration(args[2])
	if err != nil {
		return 2
	}
	f, err := New(testConfig(args[0], args[1]))
	if err != nil {
		fmt.Println("refused", err)
		return 1
	}
	fmt.Println("guard", f.page.Load().guardPID.Load(), f.State().Alive)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func(fact events.Fact) { fmt.Printf("tick %+v\n", fact) }) }()
	for n := 0; ; n++ {
		// What an agent that was frozen finds when it thaws, before it does anything else.
		if f.State().Fired {
			fmt.Println("fired")
			return 0
		}
		arm, end := context.WithTimeout(ctx, 10*time.Second)
		err := f.Arm(arm, bootNow().Add(lease))
		end()
		if err != nil {
			fmt.Println("not armed:", err)
			return 0
		}
		if n == 0 {
			fmt.Println("armed", f.page.Load().guardPID.Load())
		}
		time.Sleep(100 * time.Millisecond)
	}
}
