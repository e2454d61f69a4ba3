package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

var forbiddenBasebackup = []string{"--pgdata", "-D", "--format", "-F", "--wal-method", "-X", "--xlog-method", "--gzip", "-z", "--version", "-V",
	"--dbname", "-d", "--host", "-h", "--port", "-p", "--username", "-U", "--password", "-W", "--slot", "-S", "--write-recovery-conf", "-R"}

// Clone fills an empty data directory with a base backup of from. With discard, what is there is moved aside
// first, and removed only after the new copy is complete; when the clone fails it is put back.
func (d *Driver) Clone(ctx context.Context, from events.Upstream, discard bool, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	op := "clone from " + from.Name
	if err := d.requireStopped(ctx, op); err != nil {
		return events.Result{}, err
	}
	if what, unfinished := d.unfinished(); unfinished {
		if err := d.discardUnfinished(ctx, what); err != nil {
			return events.Result{}, fmt.Errorf("%s: %w", op, err)
		}
	}
	empty, err := isEmptyDir(d.dataDir)
	if err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	aside := ""
	if !empty {
		if !discard {
			return events.Result{}, hinted(op, ErrNotEmpty, "reinitialize this member if its data may go")
		}
		if aside, err = moveAside(d.dataDir, "discarded"); err != nil {
			return events.Result{}, fmt.Errorf("%s: %w", op, err)
		}
		d.log.Warn("moved the data directory aside", zap.String("to", aside))
	}
	id, err := d.clone(ctx, from, progress)
	if err != nil {
		return events.Result{}, errors.Join(fmt.Errorf("%s: %w", op, err), d.abandonClone(ctx, aside))
	}
	if err := errors.Join(removeFile(d.rewindMarker()), d.end()); err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	d.setUpstream(role{})
	if aside != "" {
		report(progress, "removing the discarded data directory")
		if err := os.RemoveAll(aside); err != nil {
			d.log.Warn("remove the discarded data directory", zap.Error(err)) // the clone is complete all the same
		}
	}
	d.Poke()
	return events.Result{SystemID: id}, nil
}

// abandonClone removes what a failed clone wrote, and puts back what it was to replace.
func (d *Driver) abandonClone(ctx context.Context, aside string) error {
	if err := d.discardUnfinished(ctx, "clone"); err != nil {
		return err
	}
	if aside == "" {
		return nil
	}
	if err := os.Remove(d.dataDir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put %s back: %w", aside, err)
	}
	if err := os.Rename(aside, d.dataDir); err != nil {
		return fmt.Errorf("put %s back: %w", aside, err)
	}
	return nil
}

func (d *Driver) clone(ctx context.Context, from events.Upstream, progress func(string)) (string, error) {
	cfg := d.config()
	if err := refuseOptions("basebackup", cfg.Basebackup, forbiddenBasebackup); err != nil {
		return "", err
	}
	t, err := parseTarget(from.ConnURL)
	if err != nil {
		return "", err
	}
	args := []string{"--pgdata=" + d.dataDir, "-X", "stream", "-P", "--no-password", "--dbname=" + conninfoText(append(t.conninfo(cfg.Replication), d.givesUp()...))}
	slot, sourceID, err := d.prepareSource(ctx, t)
	if err != nil {
		return "", hinted("prepare the source", err, "check that %s runs and lets the replication user in from here (pg_hba.conf)", from.Name)
	}
	if slot != "" {
		args = append(args, "--slot="+slot)
	}
	if !slices.ContainsFunc(cfg.Basebackup, func(o string) bool { return len(o) >= 12 && o[:12] == "--checkpoint" }) {
		args = append(args, "--checkpoint=fast")
	}
	if err := writePgPass(cfg.PgPass, t, cfg.Replication); err != nil {
		return "", err
	}
	if err := d.begin("clone"); err != nil {
		return "", err
	}
	_, err = d.run(ctx, tool{op: "pg_basebackup", name: "pg_basebackup", args: append(args, cfg.Basebackup...),
		env: []string{"PGPASSFILE=" + cfg.PgPass, "PGAPPNAME=" + cfg.Name, "PGOPTIONS=-c statement_timeout=0"}, line: progress})
	if err != nil {
		return "", err
	}
	c, err := d.control(ctx)
	if err != nil {
		return "", err
	}
	if c.systemID() != sourceID {
		return "", fmt.Errorf("%w: the copy has %s, the source %s", ErrSystemID, c.systemID(), sourceID)
	}
	return c.systemID(), errors.Join(os.Chmod(d.dataDir, 0o700|modeOf(d.dataDir)&0o050), syncDir(d.dataDir))
}

func modeOf(path string) os.FileMode {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Mode().Perm()
}

// prepareSource makes this member's slot at the source, so that no WAL is missing between the copy and the first
// streaming. A source in recovery gets none: it would keep WAL there for a member that follows another.
func (d *Driver) prepareSource(ctx context.Context, t target) (slot, systemID string, err error) {
	conn, err := connect(ctx, target{host: t.host, port: t.port}, d.config().Replication, kv{"replication", "true"})
	if err != nil {
		return "", "", err
	}
	defer closeConn(conn)
	sys, err := identifySystem(ctx, conn)
	if err != nil {
		return "", "", err
	}
	if !d.inForce().useSlots || inRecovery(conn) == "on" {
		return "", sys.id, nil
	}
	slot = SlotName(d.config().Name)
	err = createSlot(ctx, conn, slot)
	return slot, sys.id, err
}

// inRecovery is what the server said when the connection was opened: on, off, or nothing before PostgreSQL 14.
func inRecovery(conn *pgconn.PgConn) string { return conn.ParameterStatus("in_hot_standby") }

func createSlot(ctx context.Context, conn *pgconn.PgConn, slot string) error {
	_, err := ask(ctx, conn, "CREATE_REPLICATION_SLOT "+quoteIdent(slot)+" PHYSICAL RESERVE_WAL")
	if err != nil && sqlState(err) != "42710" { // it is there
		return fmt.Errorf("create slot %s at the source: %w", slot, err)
	}
	return nil
}
