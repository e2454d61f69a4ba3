package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
)

// asker owns the monitoring connection.
type asker struct {
	d       *Driver
	monitor held
	query   string

	pending   []events.PendingParam
	pendingIn int // looks until the next question for parameters that wait for a restart
}

func (d *Driver) newAsker() *asker { return &asker{d: d, query: monitoringQuery(d.version)} }

var errStopping = errors.New("it is being stopped")

// pendingEvery is how many looks pass between two questions for parameters that wait for a restart.
const pendingEvery = 10

// look asks the server once and keeps both connections open.
func (a *asker) look(ctx context.Context) {
	p := &a.d.probe
	cfg := a.d.config()
	p.mu.Lock()
	current, asked, at := p.current, p.asked, p.files.pid
	idle := ctx.Err() != nil || current == nil || a.d.private.Load() || at.pid != current.pid
	begun := cfg.Now()
	if !idle {
		p.sql.busy = begun
	}
	p.mu.Unlock()
	if idle {
		a.putAway()
		p.mu.Lock()
		p.sql = sqlLook{done: asked}
		p.mu.Unlock()
		return
	}
	result := a.ask(ctx, current.pid, at)
	result.done, result.begun = asked, begun
	p.mu.Lock()
	if result.ok {
		result.answeredAt = cfg.Now()
	} else if p.sql.pid == current.pid {
		result.answeredAt = p.sql.answeredAt
	}
	p.sql = result
	p.mu.Unlock()
	if result.ok {
		a.keepDuty(ctx, current.pid, at)
	}
}

// putAway closes what leads to a server that is gone.
func (a *asker) putAway() {
	closeConn(a.monitor.conn)
	a.monitor = held{}
	select {
	case h := <-a.d.probe.duty:
		closeConn(h.conn)
		a.d.probe.duty <- &held{}
	default: // whoever uses it will find it broken
	}
}

// ask asks the monitoring query: on the open connection, and once more on a new one, for a
// backend may have been ended while the server goes on.
func (a *asker) ask(ctx context.Context, pid int, at pidFile) sqlLook {
	cfg := a.d.config()
	look := sqlLook{pid: pid}
	ctx, cancel := context.WithTimeout(ctx, cfg.QueryTimeout)
	defer cancel()
	if a.monitor.pid != pid {
		closeConn(a.monitor.conn)
		a.monitor = held{}
	}
	var err error
	for range 2 {
		if a.monitor.conn == nil || a.monitor.conn.IsClosed() {
			a.pendingIn = 0
			if a.d.stopping.Load() {
				err = errStopping // it would start a process only to refuse, while it is waited for
				break
			}
			var conn *pgconn.PgConn
			if conn, err = a.d.connectLocal(ctx, at); err != nil {
				break
			}
			if err = prepareMonitor(ctx, conn, a.query); err != nil {
				closeConn(conn)
				break
			}
			a.monitor = held{conn, pid}
		}
		var fixed map[string]string
		if look.server, fixed, err = serverOf(a.monitor.conn.ExecPrepared(ctx, monitorStatement, nil, nil, nil).Read()); err == nil {
			if err = a.keepPending(ctx); err != nil {
				continue
			}
			look.server.PendingRestart = addFixed(slices.Clone(a.pending), fixed, a.d.wantedFixed())
			look.ok = true
			return look
		}
		if ctx.Err() != nil {
			break
		}
	}
	if code := sqlState(err); code == "57P03" && at.status != "stopping" {
		look.starting = true
	} else if code != "" {
		look.rejecting = true
	} else if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v: %w", cfg.QueryTimeout, context.DeadlineExceeded)
	}
	look.problem = cfg.redact(err.Error())
	return look
}

// keepPending asks for the parameters that wait for a restart, now and then and after each change.
func (a *asker) keepPending(ctx context.Context) error {
	if a.d.probe.configured.Swap(false) {
		a.pendingIn = 0
	}
	a.pendingIn--
	if a.pendingIn >= 0 {
		return nil
	}
	pending, err := askPending(ctx, a.monitor.conn)
	if err != nil {
		return err
	}
	a.pending, a.pendingIn = pending, pendingEvery
	return nil
}

// keepDuty keeps the second connection open, unless somebody is using it.
func (a *asker) keepDuty(ctx context.Context, pid int, at pidFile) {
	select {
	case h := <-a.d.probe.duty:
		defer func() { a.d.probe.duty <- h }()
		if h.pid == pid && h.conn != nil && !h.conn.IsClosed() {
			return
		}
		closeConn(h.conn)
		h = &held{}
		ctx, cancel := context.WithTimeout(ctx, a.d.config().QueryTimeout)
		defer cancel()
		if conn, err := a.d.connectLocal(ctx, at); err == nil {
			h = &held{conn, pid}
		} // else the next look tries again; the monitoring query tells of a server that does not answer
	default:
	}
}

func (d *Driver) connectLocal(ctx context.Context, at pidFile) (*pgconn.PgConn, error) {
	cfg := d.config()
	t, err := localTarget(&cfg, at)
	if err != nil {
		return nil, err
	}
	extra := []kv{{"timezone", "UTC"}, {"lc_messages", "C"}, {"synchronous_commit", "local"}, {"statement_timeout", "0"},
		{"idle_session_timeout", "0"}}
	if d.version < 14 {
		extra = extra[:len(extra)-1]
	}
	return connect(ctx, t, cfg.Superuser, extra...)
}

// borrow takes the duty connection. It never opens one: ErrNoConnection tells that none is held, or
// that somebody else is using it and ctx ended.
func (d *Driver) borrow(ctx context.Context, pid int) (*pgconn.PgConn, func(), error) {
	select {
	case h := <-d.probe.duty:
		if h.conn == nil || h.conn.IsClosed() || h.pid != pid {
			d.probe.duty <- h
			return nil, nil, ErrNoConnection
		}
		return h.conn, func() { d.probe.duty <- h }, nil
	case <-ctx.Done():
		return nil, nil, errors.Join(ErrNoConnection, ctx.Err())
	}
}

// borrowOrConnect takes the duty connection or opens one: for effects that are in no hurry.
func (d *Driver) borrowOrConnect(ctx context.Context) (*pgconn.PgConn, func(), error) {
	p, at, err := d.running()
	if err != nil {
		return nil, nil, err
	}
	pid := p.pid
	p.close()
	if conn, release, err := d.borrow(ctx, pid); err == nil {
		return conn, release, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("wait for the connection: %w", err)
	}
	conn, err := d.connectLocal(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { closeConn(conn) }, nil
}
