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

// Bare is a primary and a replica that no agent manages. What its methods do by hand, with no decision to make and nobody
// to ask, is the fastest that PostgreSQL can be moved: the figure that a failover by agents is compared with.
type Bare struct {
	c       *Cluster
	tools   string // directory of PostgreSQL's programs
	servers []*child
	primary int
	crashed bool // the other server may have WAL that the primary does not
	// replica is a connection that waits for the promotion: to open one then would cost time.
	replica *pgx.Conn
}

// detection is how long a crash stays unnoticed. A promotion that meets the death of the WAL receiver, which needs some
// milliseconds to notice the end of its connection, would sleep over it.
const detection = 30 * time.Millisecond

// nudgeEvery is the time between two wake-ups of a server that was told to promote, see Driver.Promote in pgdriver.
const nudgeEvery = 20 * time.Millisecond

// StartBare starts the two servers and waits until the replica streams. Of the options it heeds Binary, Dir, User, Log and
// Parameters. tools is the directory of PostgreSQL's programs.
func StartBare(ctx context.Context, o Options, tools string) (*Bare, error) {
	o.Members, o.Store, o.StoreMembers = 2, Embedded, 0
	if err := o.prepare(); err != nil {
		return nil, err
	}
	b := &Bare{c: &Cluster{opts: o}, tools: tools, servers: make([]*child, 2)}
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
		return nil, errors.Join(fmt.Errorf("start two bare servers: %w", err), b.Close())
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
		c.client, err = httpapi.NewClient(httpapi.ClientConfig{Timeout: time.Second})
	}
	for i := range c.opts.Members {
		c.members = append(c.members, c.newMember(i))
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
	if err = b.launch(0); err != nil {
		return err
	}
	if err = b.answers(ctx, first); err != nil {
		return err
	}
	return b.rejoin(ctx, true)
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

// launch starts a server. All that differs between the two is on its command line, so that copies need no change.
func (b *Bare) launch(i int) error {
	c, m, other := b.c, b.c.members[i], b.c.members[1-i]
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": fmt.Sprint(m.port + portPostgres), "unix_socket_directories": filepath.Join(m.dir, "socket"),
		"cluster_name": m.Name, "shared_buffers": "32MB", "max_wal_size": "256MB", "wal_log_hints": "on", "wal_keep_size": "128MB",
		"primary_conninfo": fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s", other.port+portPostgres, superuser, m.Name),
	}
	for k, v := range c.opts.Parameters {
		settings[k] = v
	}
	args := []string{"-D", m.DataDir}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	var err error
	b.servers[i], err = c.launch("PostgreSQL "+m.Name, exec.Command(filepath.Join(b.tools, "postgres"), args...), m.dir, m.LogFile)
	return err
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

// Rejoin makes the server that is down a replica of the other, after a crash as a fresh copy, and waits until it streams.
func (b *Bare) Rejoin(ctx context.Context) error {
	if err := b.rejoin(ctx, b.crashed); err != nil {
		return fmt.Errorf("rejoin: %w", err)
	}
	b.crashed = false
	return nil
}

func (b *Bare) rejoin(ctx context.Context, copied bool) error {
	from, m := b.c.members[b.primary], b.c.members[1-b.primary]
	if copied {
		if err := m.EmptyData(); err != nil {
			return err
		}
		if err := b.tool(ctx, "pg_basebackup", "--pgdata="+m.DataDir, "--checkpoint=fast", "--dbname="+from.DSN()); err != nil {
			return err
		}
	}
	if err := b.c.writeFile(filepath.Join(m.DataDir, "standby.signal"), ""); err != nil {
		return err
	}
	if err := b.launch(1 - b.primary); err != nil {
		return err
	}
	err := poll(ctx, askPause, func() (bool, error) {
		n, err := from.Query(ctx, "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming'")
		if err != nil || n == "0" {
			return false, err
		}
		_, err = m.Query(ctx, "SELECT version()")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s streams: %w", m.Name, err)
	}
	if b.replica != nil {
		closeConn(b.replica)
	}
	b.replica, err = m.connect(ctx)
	return err
}

// Switchover stops the primary and promotes the replica, as fast as that can be done without losing a write. It returns when
// the server accepts writes.
func (b *Bare) Switchover(ctx context.Context) error {
	old := b.servers[b.primary]
	err := b.c.members[b.primary].Exec(ctx, "CHECKPOINT")
	if err == nil {
		err = send(old.pid, b.c.owns, unix.SIGINT)
	}
	if err == nil {
		err = old.wait(ctx)
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
	dead := b.c.members[b.primary]
	_, err := signalAll(dead.isPostgres, nil, unix.SIGKILL)
	if err == nil {
		pause(ctx, detection)
		b.crashed = true
		err = b.promote(ctx)
	}
	if err == nil {
		err = killAll(ctx, dead.isPostgres, nil)
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

// Close ends both servers and removes their directory.
func (b *Bare) Close() error {
	if b.replica != nil {
		closeConn(b.replica)
		b.replica = nil
	}
	return b.c.Close()
}
