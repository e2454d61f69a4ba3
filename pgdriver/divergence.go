package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
)

type systemIdentity struct {
	id       string
	timeline events.Timeline
	flushed  events.LSN
}

func identifySystem(ctx context.Context, conn *pgconn.PgConn) (systemIdentity, error) {
	rs, err := ask(ctx, conn, "IDENTIFY_SYSTEM")
	if err != nil {
		return systemIdentity{}, fmt.Errorf("identify the other server: %w", err)
	}
	if len(rs) == 0 || len(rs[0].Rows) != 1 || len(rs[0].Rows[0]) < 3 {
		return systemIdentity{}, errors.New("identify the other server: an answer of unexpected shape")
	}
	row := rs[0].Rows[0]
	timeline, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return systemIdentity{}, fmt.Errorf("identify the other server: %w", err)
	}
	flushed, err := events.ParseLSN(string(row[2]))
	if err != nil {
		return systemIdentity{}, fmt.Errorf("identify the other server: %w", err)
	}
	return systemIdentity{string(row[0]), events.Timeline(timeline), flushed}, nil
}

// localEnd is where this member's WAL ends.
type localEnd struct {
	timeline events.Timeline
	at       events.LSN
	// recordEnd is the end of the shutdown checkpoint of a server that was stopped as a primary; zero for others.
	recordEnd events.LSN
	primary   bool
}

// CheckDivergence tells whether this member has WAL that is not in the leader's history. It asks nothing of a
// server that crashed as a primary: where its WAL ends is known only after CrashRecover (ErrNotClean). It only
// reads, and never keeps a Stop waiting.
func (d *Driver) CheckDivergence(ctx context.Context, leader events.Upstream, _ func(string)) (events.Result, error) {
	end, err := d.localEnd(ctx)
	if err != nil && !d.halfRewound() { // in which case the end does not matter
		return events.Result{}, fmt.Errorf("check divergence: %w", err)
	}
	found, err := d.compareWith(ctx, leader, end)
	if err != nil {
		return events.Result{}, fmt.Errorf("check divergence from %s: %w", leader.Name, err)
	}
	if found {
		return events.Result{Divergence: events.DivergenceFound}, nil
	}
	return events.Result{Divergence: events.DivergenceNone}, nil
}

func (d *Driver) localEnd(ctx context.Context) (localEnd, error) {
	p, _, err := findPostmaster(d.dataDir)
	if err != nil {
		return localEnd{}, err
	}
	if p != nil {
		p.close()
		return d.runningEnd(ctx)
	}
	c, err := d.control(ctx)
	if err != nil {
		return localEnd{}, err
	}
	switch c.State {
	case "shut down in recovery", "in archive recovery":
		if c.MinRecovery != 0 {
			return localEnd{timeline: c.MinRecoveryTLI, at: c.MinRecovery}, nil
		}
		return localEnd{timeline: c.Timeline, at: c.Checkpoint}, nil
	case "shut down":
		recordEnd, err := recordEnd(d.dataDir, &c)
		return localEnd{timeline: c.Timeline, at: c.Checkpoint, recordEnd: recordEnd, primary: true}, err
	}
	switch copied, err := copyLabelled(d.dataDir); {
	case err != nil:
		return localEnd{}, fmt.Errorf("find the end of the local WAL: %w", err)
	case copied: // and never started since: it has no WAL but that of its source, whose pg_control it has
		return localEnd{timeline: c.Timeline, at: c.Checkpoint}, nil
	}
	return localEnd{}, hinted("find the end of the local WAL", fmt.Errorf("%w: pg_control says %q", ErrNotClean, c.State), "crash recovery comes first")
}

// runningEnd asks the running server: of a standby, what it replayed; a primary's own end is as good.
func (d *Driver) runningEnd(ctx context.Context) (localEnd, error) {
	conn, giveBack, err := d.borrowOrConnect(ctx)
	if err != nil {
		return localEnd{}, err
	}
	defer giveBack()
	s, _, err := serverOf(conn.ExecParams(ctx, monitoringQuery(d.version), nil, nil, nil, nil).Read())
	if err != nil {
		return localEnd{}, err
	}
	if !s.InRecovery {
		return localEnd{timeline: s.Timeline, at: s.FlushLSN, primary: true}, nil
	}
	return localEnd{timeline: s.Timeline, at: s.ReplayedLSN}, nil
}

// compareWith asks the leader for its timeline and history.
func (d *Driver) compareWith(ctx context.Context, leader events.Upstream, end localEnd) (bool, error) {
	t, err := parseTarget(leader.ConnURL)
	if err != nil {
		return false, err
	}
	conn, err := connect(ctx, target{host: t.host, port: t.port}, d.config().Replication, kv{"replication", "true"})
	if err != nil {
		return false, hinted("ask the leader", err, "let the replication user in from here (pg_hba.conf)")
	}
	defer closeConn(conn)
	if err := d.requirePrimary(ctx, conn, t); err != nil {
		return false, err
	}
	sys, err := identifySystem(ctx, conn)
	if err != nil {
		return false, err
	}
	c, err := d.control(ctx)
	if err != nil {
		return false, err
	}
	if sys.id != c.systemID() {
		return false, fmt.Errorf("%w: %s here, %s there", ErrSystemID, c.systemID(), sys.id)
	}
	switch {
	case d.halfRewound():
		return true, nil // it is of two histories, and only another rewind can use it
	case end.timeline > sys.timeline:
		return true, nil
	case end.timeline == sys.timeline && max(end.at, end.recordEnd) > sys.flushed:
		return true, nil // a leader only ever moves on: what it does not have now it will never have
	}
	history, err := timelineHistory(ctx, conn, sys.timeline)
	if err != nil {
		return false, err
	}
	if end.timeline == sys.timeline {
		return d.otherBranch(sys.timeline, history)
	}
	return diverged(end, history), nil
}

// otherBranch tells whether this member's timeline has only its number in common with the leader's: two members that
// were promoted apart from each other take the same one.
func (d *Driver) otherBranch(t events.Timeline, theirs []events.TimelineSwitch) (bool, error) {
	ours, err := d.history(t)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // a standby need not have it
	}
	if err != nil || len(ours) == 0 || len(theirs) == 0 {
		return false, err
	}
	a, b := ours[len(ours)-1], theirs[len(theirs)-1]
	return a.Parent != b.Parent || a.Switch != b.Switch, nil
}

// diverged applies the leader's history, oldest row first, to the end of the local WAL.
func diverged(end localEnd, history []events.TimelineSwitch) bool {
	for _, row := range history {
		switch {
		case row.Parent < end.timeline:
			continue
		case row.Parent > end.timeline:
			return true // the leader never was on our timeline
		case !end.primary:
			return end.at > row.Switch
		case end.at >= row.Switch:
			return true
		}
		// Stopped as a primary, before the switch: the shutdown checkpoint must be the last that the leader took over.
		return end.recordEnd != row.Switch
	}
	return true
}

// requirePrimary makes sure that the server accepts writes. From PostgreSQL 14 on it says so by itself.
func (d *Driver) requirePrimary(ctx context.Context, replication *pgconn.PgConn, t target) error {
	switch inRecovery(replication) {
	case "off":
		return nil
	case "on":
		return ErrNotPrimary
	}
	conn, err := d.connectSource(ctx, t)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	rs, err := ask(ctx, conn, "SELECT pg_is_in_recovery()")
	if err != nil {
		return fmt.Errorf("ask whether it is in recovery: %w", err)
	}
	if text(rs) != "f" {
		return ErrNotPrimary
	}
	return nil
}

// connectSource opens an ordinary connection with the rights for pg_rewind.
func (d *Driver) connectSource(ctx context.Context, t target) (*pgconn.PgConn, error) {
	cfg := d.config()
	if t.database == "" {
		t.database = cfg.Database
	}
	return connect(ctx, t, cfg.Rewind, kv{"statement_timeout", "0"})
}

func timelineHistory(ctx context.Context, conn *pgconn.PgConn, t events.Timeline) ([]events.TimelineSwitch, error) {
	if t <= 1 {
		return nil, nil
	}
	rs, err := ask(ctx, conn, fmt.Sprintf("TIMELINE_HISTORY %d", t))
	if err != nil {
		return nil, fmt.Errorf("ask for the history of timeline %d: %w", t, err)
	}
	if len(rs) == 0 || len(rs[0].Rows) != 1 || len(rs[0].Rows[0]) < 2 {
		return nil, fmt.Errorf("ask for the history of timeline %d: an answer of unexpected shape", t)
	}
	return parseHistory(string(rs[0].Rows[0][1]))
}
