package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/httpapi"
)

// Bare is a primary and two replicas that no agent manages, as large as the clusters it stands beside. What its methods do by
// hand, with no decision to make and nobody to ask, is the fastest that PostgreSQL can be moved: the figure that a failover by
// agents is compared with.
type Bare struct {
	c       *Cluster
	tools   string // directory of PostgreSQL's programs
	servers []*child
	primary int  // 0 or 1: the two that are moved between
	crashed bool // the former primary may have WAL that the new one does not
	// replica is a connection that waits for the promotion: to open one then would cost time.
	replica *pgx.Conn
}

// detection is how long a crash stays unnoticed. A promotion that meets the death of the WAL receiver, which needs some
// milliseconds to notice the end of its connection, would sleep over it.
const detection = 30 * time.Millisecond

// nudgeEvery is the time between two wake-ups of a server that was told to promote, see Driver.Promote in pgdriver.
const nudgeEvery = 20 * time.Millisecond

// bystander is the replica that is never promoted.
const bystander = 2

// StartBare starts the three servers and waits until the replicas stream. Of the options it heeds Binary, Dir, User, Log and
// Parameters. tools is the directory of PostgreSQL's programs.
func StartBare(ctx context.Context, o Options, tools string) (*Bare, error) {
	o.Members, o.Store, o.StoreMembers = 3, Embedded, 0
	if err := o.prepare(); err != nil {
		return nil, err
	}
	b := &Bare{c: &Cluster{opts: o}, tools: tools, servers: make([]*child, 3)}
	c := b.c
	var err error
	if c.credential, c.env, err = o.account(); err != nil {
		return nil, err
	}
	if c.base, err = o.choosePorts(); err != nil {
		return nil, err
	}
	if err = becomeReaper(); err != nil {
		return nil, err
	}
	reap, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.reaping.Go(func() { reapOrphans(reap) }) // joined by Close
	if err = b.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start three bare servers: %w", err), b.Close())
	}
	return b, nil
}

func (b *Bare) start(ctx context.Context) error {
	c := b.c
	err := c.makeDirectory()
	if err == nil {
		c.janitor, err = hireJanitor(c.dir, false)
	}
	if err == nil {
		c.client, err = httpapi.NewClient(httpapi.ClientConfig{Timeout: time.Second, Dial: c.dial})
	}
	for i := range c.opts.Members {
		c.members = append(c.members, c.newMember(i, loopback))
	}
	for _, m := range c.members {
		for _, part := range []string{"data", "socket"} {
			err = errors.Join(err, c.mkdir(m.Name, part))
		}
		err = errors.Join(err, c.own(m.dir))
	}
	if err != nil {
		return err
	}
	first := c.members[0]
	if err = b.tool(ctx, "initdb", "--pgdata="+first.DataDir, "--username="+superuser, "--auth=trust", "--data-checksums", "--encoding=UTF8",
		"--locale=C"); err != nil {
		return err
	}
	if err = b.include(first); err != nil {
		return err
	}
	if err = b.launch(0); err != nil {
		return err
	}
	if err = b.answers(ctx, first); err != nil {
		return err
	}
	for _, i := range []int{1, bystander} {
		if err := b.rejoin(ctx, i, true); err != nil {
			return err
		}
	}
	return nil
}

// include makes the first server read the file beside it, and with it every copy the one beside itself.
func (b *Bare) include(m *Member) error {
	path := filepath.Join(m.DataDir, "postgresql.conf")
	conf, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the configuration of a new server: %w", err)
	}
	return b.c.writeFile(path, string(conf)+"include_if_exists = '../"+upstreamFile+"'\n")
}

// tool runs one of PostgreSQL's programs.
func (b *Bare) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(b.tools, name), args...)
	cmd.Dir, cmd.Env = b.c.dir, b.c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.c.credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// launch starts a server. All that differs between them is on its command line, so that copies need no change, but for the
// upstream, which is in a file that a reload reads again.
func (b *Bare) launch(i int) error {
	c, m := b.c, b.c.members[i]
	if err := b.pointAt(i, b.primary); err != nil {
		return err
	}
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": fmt.Sprint(m.port + portPostgres), "unix_socket_directories": filepath.Join(m.dir, "socket"),
		"cluster_name": m.Name, "shared_buffers": "32MB", "max_wal_size": "256MB", "wal_log_hints": "on", "wal_keep_size": "128MB",
	}
	for k, v := range c.opts.Parameters {
		settings[k] = v
	}
	args := []string{"-D", m.DataDir}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	var err error
	b.servers[i], err = c.launch(m.host, "PostgreSQL "+m.Name, exec.Command(filepath.Join(b.tools, "postgres"), args...), m.dir, m.LogFile)
	return err
}

// upstreamFile is beside a data directory.
const upstreamFile = "upstream.conf"

// pointAt makes a server, when it starts or reads its configuration again, a replica of another.
func (b *Bare) pointAt(i, upstream int) error {
	m := b.c.members[i]
	line := fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%d user=%s application_name=%s'\n", b.c.members[upstream].port+portPostgres, superuser, m.Name)
	return b.c.writeFile(filepath.Join(m.dir, upstreamFile), line)
}

// answers waits until a server lets clients in.
func (b *Bare) answers(ctx context.Context, m *Member) error {
	return poll(ctx, askPause, func() (bool, error) {
		_, err := m.Query(ctx, "SELECT version()")
		return err == nil, nil // asked again until ctx ends
	})
}

// Version is the server's.
func (b *Bare) Version(ctx context.Context) (string, error) {
	return b.c.members[b.primary].Query(ctx, "SHOW server_version")
}

// Rejoin makes the server that is down a replica of the new primary, after a crash as a fresh copy, lets the bystander follow it
// too, and waits until both stream.
func (b *Bare) Rejoin(ctx context.Context) error {
	for _, i := range []int{1 - b.primary, bystander} {
		if err := b.rejoin(ctx, i, b.crashed); err != nil {
			return fmt.Errorf("rejoin: %w", err)
		}
	}
	b.crashed = false
	return nil
}

func (b *Bare) rejoin(ctx context.Context, i int, copied bool) error {
	from, m := b.c.members[b.primary], b.c.members[i]
	if copied {
		if err := b.copyAnew(ctx, i); err != nil {
			return err
		}
	}
	err := b.c.writeFile(filepath.Join(m.DataDir, "standby.signal"), "")
	switch {
	case err != nil:
	case b.servers[i] == nil:
		err = b.launch(i)
	default:
		if err = b.pointAt(i, b.primary); err == nil {
			err = send(b.servers[i].pid, m.isPostgres, unix.SIGHUP)
		}
	}
	if err != nil {
		return err
	}
	err = poll(ctx, askPause, func() (bool, error) {
		n, err := from.Query(ctx, "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '"+m.Name+"'")
		if err != nil || n == "0" {
			return false, err
		}
		_, err = m.Query(ctx, "SELECT version()")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s streams: %w", m.Name, err)
	}
	if i == bystander {
		return nil
	}
	if b.replica != nil {
		closeConn(b.replica)
	}
	b.replica, err = m.connect(ctx)
	return err
}

// copyAnew replaces the data of a server, which is stopped if it runs, by a fresh copy of the primary's.
func (b *Bare) copyAnew(ctx context.Context, i int) error {
	from, m := b.c.members[b.primary], b.c.members[i]
	if err := b.end(ctx, i); err != nil {
		return err
	}
	if err := m.EmptyData(); err != nil {
		return err
	}
	return b.tool(ctx, "pg_basebackup", "--pgdata="+m.DataDir, "--checkpoint=fast", "--dbname="+from.DSN())
}

// end stops a server, if it runs, and waits for its end.
func (b *Bare) end(ctx context.Context, i int) error {
	if b.servers[i] == nil {
		return nil
	}
	err := send(b.servers[i].pid, b.c.owns, unix.SIGINT)
	if err == nil {
		err = b.servers[i].wait(ctx)
	}
	if err == nil {
		b.servers[i] = nil
	}
	return err
}

// Switchover stops the primary and promotes the replica, as fast as that can be done without losing a write. It returns when
// the server accepts writes.
func (b *Bare) Switchover(ctx context.Context) error {
	err := b.c.members[b.primary].Exec(ctx, "CHECKPOINT")
	if err == nil {
		err = b.end(ctx, b.primary)
	}
	if err == nil {
		err = b.promote(ctx)
	}
	if err != nil {
		return fmt.Errorf("switchover by hand: %w", err)
	}
	return nil
}

// Crash kills the primary and promotes the replica, as if the crash had been seen after 30 ms.
func (b *Bare) Crash(ctx context.Context) error {
	dead, server := b.c.members[b.primary], b.primary
	_, err := signalAll(dead.isPostgres, nil, unix.SIGKILL)
	if err == nil {
		pause(ctx, detection)
		b.crashed = true
		err = b.promote(ctx)
	}
	if err == nil {
		err = killAll(ctx, dead.isPostgres, nil)
		b.servers[server] = nil
	}
	if err != nil {
		return fmt.Errorf("crash and promotion by hand: %w", err)
	}
	return nil
}

func (b *Bare) promote(ctx context.Context) error {
	to := 1 - b.primary
	m, pid := b.c.members[to], b.servers[to].pid
	trigger := filepath.Join(m.DataDir, "promote")
	if err := b.c.writeFile(trigger, ""); err != nil {
		return fmt.Errorf("write the promote file: %w", err)
	}
	sig := unix.SIGUSR1
	for {
		if err := send(pid, m.isPostgres, sig); err != nil {
			return err
		}
		pause(ctx, nudgeEvery)
		inRecovery := true
		err := b.replica.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&inRecovery)
		switch {
		case err != nil:
			return fmt.Errorf("promote %s: %w", m.Name, err)
		case !inRecovery:
			b.primary = to
			return nil
		}
		if _, err := os.Lstat(trigger); errors.Is(err, os.ErrNotExist) {
			sig = unix.SIGHUP // it has seen the request, and may sleep over it
		}
	}
}

// StartWriter makes the table and starts to write to whichever server accepts writes. StartWriter of a cluster asks agents
// who leads; here it is known.
func (b *Bare) StartWriter(ctx context.Context, every time.Duration) (*Writer, error) {
	table := "CREATE TABLE IF NOT EXISTS " + writesTable + " (run bigint, n bigint, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (run, n))"
	if err := b.c.members[b.primary].Exec(ctx, table); err != nil {
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	work, stop := context.WithCancel(context.Background())
	w := &Writer{c: b.c, run: rand.Int64(), every: every, stop: stop}
	for _, m := range b.c.members {
		l := &lane{m: m, conn: make(chan *pgx.Conn, 1), lost: make(chan struct{}, 1)}
		w.lanes = append(w.lanes, l)
		w.wg.Go(func() { l.run(work) }) // joined by Stop, as the next
	}
	w.wg.Go(func() { w.write(work) })
	if err := w.Resumed(ctx, time.Now()); err != nil {
		w.Stop()
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	return w, nil
}

// Close ends all servers and removes their directory.
func (b *Bare) Close() error {
	if b.replica != nil {
		closeConn(b.replica)
		b.replica = nil
	}
	return b.c.Close()
}
