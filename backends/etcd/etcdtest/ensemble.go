package etcdtest

import (
	"context"
	"flag"
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

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/internal/freeport"
)

// startPatience bounds the time until started servers answer, on a loaded machine.
const startPatience = 40 * time.Second

// askTimeout bounds one question of the ensemble itself.
const askTimeout = 2 * time.Second

// Member is one server.
type Member struct {
	Name, ClientURL, PeerURL, Dir string

	command Command
	cluster map[string]string
	cmd     *exec.Cmd
	log     *os.File
}

// Command builds the command that serves as a member; cluster maps the names of all members to their peer URLs.
type Command func(m *Member, cluster map[string]string) *exec.Cmd

// Ensemble is some servers that agree.
type Ensemble struct {
	Members []*Member
	// Username and Password are what the ensemble's own questions use, after EnableAuth.
	Username, Password string

	mu sync.Mutex // guards the processes
}

// ManyAtOnce lets more tests run in parallel than there are processors, unless -parallel says
// otherwise: they mostly wait for leases to end. For TestMain.
func ManyAtOnce() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if f := flag.Lookup("test.parallel"); f != nil && !chosen {
		if err := f.Value.Set("8"); err != nil {
			panic(err) // the testing package's flag is a number
		}
	}
}

// Debian is Debian's etcd.
func Debian(m *Member, cluster map[string]string) *exec.Cmd {
	var initial []string
	for name, url := range cluster {
		initial = append(initial, name+"="+url)
	}
	return exec.Command("/usr/bin/etcd", "--name", m.Name, "--data-dir", m.Dir, "--log-level", "warn",
		"--listen-client-urls", m.ClientURL, "--advertise-client-urls", m.ClientURL,
		"--listen-peer-urls", m.PeerURL, "--initial-advertise-peer-urls", m.PeerURL,
		"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", "etcdtest", "--bcrypt-cost", "4")
}

// Start starts n servers and waits until each answers a read with quorum.
func Start(t testing.TB, n int, command Command) *Ensemble {
	t.Helper()
	e := Prepare(t, n, command)
	for _, m := range e.Members {
		e.Run(t, m)
	}
	e.Ready(t, e.Members...)
	return e
}

// Prepare makes n servers that do not run yet.
func Prepare(t testing.TB, n int, command Command) *Ensemble {
	t.Helper()
	e := &Ensemble{}
	cluster := map[string]string{}
	for i := range n {
		m := &Member{Name: fmt.Sprintf("m%d", i+1), ClientURL: "http://" + FreeAddr(t), PeerURL: "http://" + FreeAddr(t),
			command: command, cluster: cluster}
		m.Dir = filepath.Join(t.TempDir(), m.Name)
		cluster[m.Name] = m.PeerURL
		e.Members = append(e.Members, m)
	}
	t.Cleanup(func() {
		for _, m := range e.Members {
			e.Kill(t, m)
			if t.Failed() {
				m.showLog(t)
			}
		}
	})
	return e
}

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Run starts a member's process, which must not run. It does not wait for it to answer.
func (e *Ensemble) Run(t testing.TB, m *Member) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.cmd != nil {
		t.Fatalf("%s runs already", m.Name)
	}
	log, err := os.OpenFile(m.Dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatalf("open the log of %s: %v", m.Name, err)
	}
	cmd := m.command(m, m.cluster)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v (Debian: apt-get install etcd-server)", cmd.Path, err)
	}
	m.cmd, m.log = cmd, log
}

// Kill kills a member as a crash does, if it runs, and waits for its end.
func (e *Ensemble) Kill(t testing.TB, m *Member) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.cmd == nil {
		return
	}
	if err := m.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Errorf("kill %s: %v", m.Name, err)
	}
	if err := m.cmd.Wait(); err == nil {
		t.Logf("%s had ended by itself", m.Name)
	}
	if err := m.log.Close(); err != nil {
		t.Errorf("close the log of %s: %v", m.Name, err)
	}
	m.cmd = nil
}

// Signal sends a signal to a member.
func (e *Ensemble) Signal(t testing.TB, m *Member, sig syscall.Signal) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.cmd == nil {
		return
	}
	if err := m.cmd.Process.Signal(sig); err != nil {
		t.Errorf("send %v to %s: %v", sig, m.Name, err)
	}
}

// Ready waits until each of the members answers a read with quorum.
func (e *Ensemble) Ready(t testing.TB, members ...*Member) {
	t.Helper()
	end := time.Now().Add(startPatience)
	for _, m := range members {
		for {
			err := e.ask(m, func(ctx context.Context, c *clientv3.Client) error {
				_, err := c.Get(ctx, "ready")
				return err
			})
			if err == nil {
				break
			}
			if time.Now().After(end) {
				m.showLog(t)
				t.Fatalf("%s does not answer within %v: %v", m.Name, startPatience, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// EnableAuth makes the servers demand a user: root with password, and guest with the same password and
// no rights.
func (e *Ensemble) EnableAuth(t testing.TB, password string) {
	t.Helper()
	err := e.ask(e.Members[0], func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.RoleAdd(ctx, "root")
		for _, user := range []string{"root", "guest"} {
			if err == nil {
				_, err = c.UserAdd(ctx, user, password)
			}
		}
		if err == nil {
			_, err = c.UserGrantRole(ctx, "root", "root")
		}
		if err == nil {
			_, err = c.AuthEnable(ctx)
		}
		return err
	})
	if err != nil {
		t.Fatalf("enable authentication: %v", err)
	}
	e.Username, e.Password = "root", password
}

// ask calls f with a client of this member alone.
func (e *Ensemble) ask(m *Member, f func(context.Context, *clientv3.Client) error) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.ClientURL}, Logger: zap.NewNop(), MaxUnaryRetries: 1,
		Username: e.Username, Password: e.Password, DialTimeout: time.Second})
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // only read from
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return f(ctx, c)
}

// Leader finds the member that leads.
func (e *Ensemble) Leader(t testing.TB) *Member {
	t.Helper()
	for end := time.Now().Add(startPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range e.Members {
			leads := false
			err := e.ask(m, func(ctx context.Context, c *clientv3.Client) error {
				r, err := c.Status(ctx, m.ClientURL)
				leads = err == nil && r.Leader == r.Header.MemberId
				return err
			})
			if err == nil && leads {
				return m
			}
		}
	}
	t.Fatal("no member leads")
	return nil
}

// Version is what the first member says that it is.
func (e *Ensemble) Version(t testing.TB) string {
	t.Helper()
	var version string
	err := e.ask(e.Members[0], func(ctx context.Context, c *clientv3.Client) error {
		r, err := c.Status(ctx, e.Members[0].ClientURL)
		if err == nil {
			version = r.Version
		}
		return err
	})
	if err != nil {
		t.Fatalf("ask %s for its version: %v", e.Members[0].Name, err)
	}
	return version
}

// Endpoints are the client URLs of all members.
func (e *Ensemble) Endpoints() []string {
	var all []string
	for _, m := range e.Members {
		all = append(all, m.ClientURL)
	}
	return all
}

// ResidentKB is the resident memory of a member, in kB.
func (e *Ensemble) ResidentKB(m *Member) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.cmd == nil {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				return 0
			}
			return kb
		}
	}
	return 0
}

func (m *Member) showLog(t testing.TB) {
	b, err := os.ReadFile(m.Dir + ".log")
	if err != nil {
		t.Logf("log of %s: %v", m.Name, err)
		return
	}
	t.Logf("log of %s ends:\n%s", m.Name, b[max(0, len(b)-4000):])
}
