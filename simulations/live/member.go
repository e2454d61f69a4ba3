package live

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const superuser = "postgres"

// Member is an agent, its guard and its PostgreSQL.
type Member struct {
	Name        string
	APIURL      string
	DataDir     string
	EventLogDir string
	ConfigFile  string
	LogFile     string // of the agent

	c    *Cluster
	dir  string
	host *host
	port int // base

	mu    sync.Mutex
	agent *child
}

func memberName(i int) string { return fmt.Sprintf("n%d", i+1) }

func (c *Cluster) newMember(i int, h *host) *Member {
	m := &Member{Name: memberName(i), c: c, host: h, port: c.base + i*portsPerProcess}
	m.dir = filepath.Join(c.dir, m.Name)
	m.APIURL = "http://" + m.address(portREST)
	m.DataDir, m.EventLogDir = filepath.Join(m.dir, "data"), filepath.Join(m.dir, "events")
	m.ConfigFile, m.LogFile = filepath.Join(m.dir, "regent.yml"), filepath.Join(m.dir, "agent.log")
	return m
}

// DSN is the address of the member's PostgreSQL, as superuser.
func (m *Member) DSN() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, m.c.password), Host: m.Address(), Path: "/postgres",
		RawQuery: "sslmode=disable"}
	return u.String()
}

// Address is host and port of the member's PostgreSQL.
func (m *Member) Address() string { return m.address(portPostgres) }

// address is that of one of the member's ports.
func (m *Member) address(port int) string { return m.host.address(m.port + port) }

func (m *Member) current() *child {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agent
}

// StartAgent starts the agent. It does not wait for anything that the agent does.
func (m *Member) StartAgent() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.agent.running() {
		return fmt.Errorf("the agent of %s runs already", m.Name)
	}
	a, err := m.c.launch(m.host, "agent "+m.Name, exec.Command(m.c.binary, "run", m.ConfigFile), m.dir, m.LogFile)
	if err != nil {
		return err
	}
	m.agent = a
	return nil
}

// AgentPID is the agent's process, zero if it does not run.
func (m *Member) AgentPID() int {
	if a := m.current(); a.running() {
		return a.pid
	}
	return 0
}

func (m *Member) isAgent(p image) bool {
	return p.exe == m.c.binary && slices.Equal(p.args[1:], []string{"run", m.ConfigFile})
}

func (m *Member) isGuard(p image) bool {
	return p.exe == m.c.binary && len(p.args) > 1 && p.args[1] == "guard" && slices.Contains(p.args, m.DataDir)
}

func (m *Member) isPostgres(p image) bool { return p.isPostgres(m.DataDir) }

func (m *Member) isAny(p image) bool {
	return m.isAgent(p) || m.isGuard(p) || p.isPostgres(m.DataDir) || p.isTool(m.DataDir)
}

func (m *Member) signalAgent(sig syscall.Signal) error {
	if pid := m.AgentPID(); pid != 0 {
		return send(pid, m.isAgent, sig)
	}
	return nil
}

// KillAgent kills the agent and waits for its end. Guard and PostgreSQL go on.
func (m *Member) KillAgent(ctx context.Context) error {
	return m.endAgent(ctx, unix.SIGKILL)
}

// TermAgent asks the agent to stop, which stops PostgreSQL and hands the leadership over, and waits for its end.
func (m *Member) TermAgent(ctx context.Context) error {
	return m.endAgent(ctx, unix.SIGTERM)
}

func (m *Member) endAgent(ctx context.Context, sig syscall.Signal) error {
	a := m.current()
	if !a.running() {
		return fmt.Errorf("the agent of %s does not run", m.Name)
	}
	if err := send(a.pid, m.isAgent, sig); err != nil {
		return err
	}
	return a.wait(ctx)
}

// FreezeAgent stops the agent's process without ending it.
func (m *Member) FreezeAgent(ctx context.Context) error {
	return m.freezeAgent(ctx, unix.SIGSTOP, true)
}

// ThawAgent lets a frozen agent go on.
func (m *Member) ThawAgent(ctx context.Context) error { return m.freezeAgent(ctx, unix.SIGCONT, false) }

func (m *Member) freezeAgent(ctx context.Context, sig syscall.Signal, frozen bool) error {
	pid := m.AgentPID()
	if pid == 0 {
		return fmt.Errorf("the agent of %s does not run", m.Name)
	}
	if err := send(pid, m.isAgent, sig); err != nil {
		return err
	}
	return poll(ctx, time.Millisecond, func() (bool, error) {
		st, err := readStat(pid)
		return err == nil && (st.state == 'T') == frozen, err
	})
}

// GuardPID is the guard's process, zero if there is none.
func (m *Member) GuardPID() int {
	found, err := find(m.isGuard)
	if err != nil || len(found) == 0 {
		return 0
	}
	return found[0].pid
}

// KillGuard kills the guard.
func (m *Member) KillGuard(ctx context.Context) error {
	pid := m.GuardPID()
	if pid == 0 {
		return fmt.Errorf("%s has no guard", m.Name)
	}
	if err := send(pid, m.isGuard, unix.SIGKILL); err != nil {
		return err
	}
	return poll(ctx, time.Millisecond, func() (bool, error) {
		p, ok := look(pid)
		return !ok || !m.isGuard(p), nil
	})
}

// PostmasterPID is the process that all others of this PostgreSQL descend from, zero if there is none.
func (m *Member) PostmasterPID() int {
	found, err := find(m.isPostgres)
	if err != nil {
		return 0
	}
	pids := map[int]bool{}
	for _, p := range found {
		pids[p.pid] = true
	}
	for _, p := range found {
		// Orphans of a dead postmaster call themselves "postgres: what they do"; a postmaster has its path there.
		if st, err := readStat(p.pid); err == nil && !pids[st.parent] && !strings.HasPrefix(p.args[0], "postgres:") {
			return p.pid
		}
	}
	return 0
}

// KillPostgres kills the postmaster alone; its children notice and leave.
func (m *Member) KillPostgres() error {
	pid := m.PostmasterPID()
	if pid == 0 {
		return fmt.Errorf("PostgreSQL of %s does not run", m.Name)
	}
	return send(pid, m.isPostgres, unix.SIGKILL)
}

// FreezePostgres stops all processes of PostgreSQL without ending them.
func (m *Member) FreezePostgres() error {
	_, err := signalAll(m.isPostgres, nil, unix.SIGSTOP)
	return err
}

// ThawPostgres lets them go on.
func (m *Member) ThawPostgres() error {
	_, err := signalAll(m.isPostgres, nil, unix.SIGCONT)
	return err
}

// CutReplication freezes the processes that send WAL from this member: what is written from now on reaches nobody. Only
// the end of the processes ends it, as when the member dies.
func (m *Member) CutReplication() error {
	sender := func(p image) bool { return m.isPostgres(p) && strings.Contains(p.args[0], "walsender") }
	n, err := signalAll(sender, nil, unix.SIGSTOP)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s sends WAL to nobody", m.Name)
	}
	return err
}

// KillAll kills agent, guard and all of PostgreSQL, in this order and as fast as it can: the host dies. With an embedded
// store, its server dies too.
func (m *Member) KillAll(ctx context.Context) error {
	rank := func(p image) int {
		switch {
		case m.isAgent(p):
			return 0
		case m.isGuard(p):
			return 1
		}
		return 2
	}
	if err := killAll(ctx, m.isAny, rank); err != nil {
		return fmt.Errorf("kill all of %s: %w", m.Name, err)
	}
	if a := m.current(); a != nil {
		return a.wait(ctx)
	}
	return nil
}

// EmptyData removes what is in the data directory. PostgreSQL must not run.
func (m *Member) EmptyData() error {
	running, err := find(m.isPostgres)
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return fmt.Errorf("empty the data directory of %s: PostgreSQL runs", m.Name)
	}
	entries, err := os.ReadDir(m.DataDir)
	if err != nil {
		return fmt.Errorf("empty the data directory of %s: %w", m.Name, err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(m.DataDir, e.Name())))
	}
	return errors.Join(errs...)
}
