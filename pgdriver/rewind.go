package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// CrashRecover runs the stopped server alone, without listening, until its WAL is applied and it is shut down
// cleanly. WAL is kept from recycling, for a rewind will need it.
func (d *Driver) CrashRecover(ctx context.Context, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	d.private.Store(true)
	defer d.private.Store(false)
	return events.Result{}, d.crashRecover(ctx, progress)
}

func (d *Driver) crashRecover(ctx context.Context, progress func(string)) error {
	if err := d.requireStopped(ctx, "crash recovery"); err != nil {
		return err
	}
	c, err := d.control(ctx)
	if err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	if c.clean() {
		return nil
	}
	d.archiveReady(ctx)
	if err := errors.Join(d.setStandby(false), d.writeConf(d.inForce(), role{})); err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	e := d.inForce()
	e.fixed = maps.Clone(e.fixed)
	e.raiseToFloor(&c)
	args := []string{"--single", "-D", d.dataDir}
	for _, name := range slices.Sorted(maps.Keys(e.fixed)) {
		args = append(args, "-c", name+"="+e.fixed[name])
	}
	args = append(args, "-c", "archive_mode=on", "-c", "archive_command=false", "template1")
	report(progress, "recovering alone")
	if err := d.runSingle(ctx, args, progress); err != nil {
		return hinted("crash recovery", err, "clone this member again if it cannot be recovered")
	}
	if c, err = d.control(ctx); err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	if !c.clean() {
		return fmt.Errorf("crash recovery: it ended as %q", c.State)
	}
	d.Poke()
	return nil
}

// runSingle runs postgres --single.
func (d *Driver) runSingle(ctx context.Context, args []string, progress func(string)) error {
	_, err := d.run(ctx, tool{op: "run postgres alone", name: "postgres", args: args, line: progress})
	return err
}

// archiveReady gives finished WAL to archive_command before crash recovery, as the server would have. What
// cannot be archived now is kept and told.
func (d *Driver) archiveReady(ctx context.Context) {
	e := d.inForce()
	command := e.params["archive_command"]
	mode := strings.ToLower(e.params["archive_mode"])
	if command == "" || mode == "" || mode == "off" {
		return
	}
	ready, err := filepath.Glob(filepath.Join(d.dataDir, "pg_wal", "archive_status", "*.ready"))
	if err != nil {
		return // the pattern is constant and well formed
	}
	for _, status := range ready {
		name := strings.TrimSuffix(filepath.Base(status), ".ready")
		line := strings.NewReplacer("%p", filepath.Join("pg_wal", name), "%f", name, "%%", "%").Replace(command)
		_, err := d.runPath(ctx, "/bin/sh", tool{op: "archive " + name, args: []string{"-c", line}, dir: d.dataDir})
		if err == nil {
			err = os.Rename(status, strings.TrimSuffix(status, ".ready")+".done")
		}
		if err != nil {
			d.log.Warn("archive WAL before crash recovery", zap.String("file", name), zap.Error(err))
			return
		}
	}
}

// Rewind makes a stopped server, whose WAL diverged, a copy of from again. It must be started as a standby after.
func (d *Driver) Rewind(ctx context.Context, from events.Upstream, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	d.private.Store(true) // pg_rewind may run postgres in the data directory
	defer d.private.Store(false)
	op := "rewind from " + from.Name
	if err := d.crashRecover(ctx, progress); err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	c, err := d.control(ctx)
	if err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	if !c.canRewind() {
		return events.Result{}, hinted(op, errors.New("neither data checksums nor wal_log_hints are on"),
			"reinitialize this member; pg_checksums --enable allows it next time")
	}
	t, err := parseTarget(from.ConnURL)
	if err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	if err := d.freshCheckpoint(ctx, t, progress); err != nil {
		return events.Result{}, fmt.Errorf("%s: %w", op, err)
	}
	if err := d.rewind(ctx, t, progress); err != nil {
		return events.Result{}, hinted(op, err, "if the source answers and this repeats, reinitialize this member")
	}
	d.setUpstream(role{})
	d.Poke()
	return events.Result{}, nil
}

// freshCheckpoint makes sure that the source's pg_control knows its timeline: pg_rewind reads it from there, and after a
// promotion it is old until the next checkpoint.
func (d *Driver) freshCheckpoint(ctx context.Context, t target, progress func(string)) error {
	cfg := d.config()
	conn, err := d.connectSource(ctx, t)
	if err != nil {
		return hinted("connect to the source", err, "let the rewind user in from here (pg_hba.conf)")
	}
	defer closeConn(conn)
	rs, err := ask(ctx, conn, `SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' WHEN (SELECT timeline_id FROM pg_control_checkpoint()) =
 ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int THEN 'fresh' ELSE 'old' END`)
	if err != nil {
		return fmt.Errorf("ask the source for its checkpoint: %w", err)
	}
	switch text(rs) {
	case "fresh":
		return nil
	case "standby":
		return ErrNotPrimary
	}
	report(progress, "making a checkpoint at the source")
	super, err := connect(ctx, target{host: t.host, port: t.port, database: cfg.Database}, cfg.Superuser)
	if err != nil {
		return hinted("make a checkpoint at the source", err, "run CHECKPOINT there, or let the superuser in from here (pg_hba.conf)")
	}
	defer closeConn(super)
	if _, err := ask(ctx, super, "CHECKPOINT"); err != nil {
		return fmt.Errorf("make a checkpoint at the source: %w", err)
	}
	return nil
}

// keptFiles are this member's own; pg_rewind replaces them by the source's.
var keptFiles = []string{"postgresql.base.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf", dynamicCache}

func (d *Driver) rewind(ctx context.Context, t target, progress func(string)) (err error) {
	cfg := d.config()
	kept := map[string][]byte{}
	for _, name := range keptFiles {
		if b, err := os.ReadFile(filepath.Join(d.dataDir, name)); err == nil {
			kept[name] = b
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	pass, err := os.CreateTemp("", "regent-rewind-*")
	if err != nil {
		return fmt.Errorf("write a password file: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(pass.Name())) }()
	if err := errors.Join(pass.Close(), writePgPass(pass.Name(), t, cfg.Rewind)); err != nil {
		return err
	}
	database := t.database
	if database == "" {
		database = cfg.Database
	}
	source := append(append(t.conninfo(cfg.Rewind), kv{"dbname", database}), d.givesUp()...)
	args := []string{"-D", d.dataDir, "-P", "--source-server=" + conninfoText(source)}
	e := d.inForce()
	if e.recovery["restore_command"] != "" && d.version >= 13 {
		// pg_rewind reads restore_command from the file, where only a standby has it.
		if err := d.writeConf(e, role{standby: true, upstream: &events.Upstream{}}); err != nil {
			return err
		}
		args = append(args, "--restore-target-wal")
	}
	if err := d.runRewind(ctx, args, pass.Name(), progress); err != nil {
		return err
	}
	for name, b := range kept {
		if _, err := writeFile(filepath.Join(d.dataDir, name), string(b), d.fileMode()); err != nil {
			return err
		}
	}
	return removeFile(d.rewindMarker())
}

// runRewind runs pg_rewind under a marker, which stays if it fails after it has begun to write.
func (d *Driver) runRewind(ctx context.Context, args []string, passFile string, progress func(string)) error {
	before := d.halfRewound()
	if _, err := writeFile(d.rewindMarker(), "", 0o600); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	writing := false
	_, err := d.run(ctx, tool{op: "pg_rewind", name: "pg_rewind", args: args, line: func(line string) {
		writing = writing || strings.Contains(line, "need to copy") // then it has compared all and begins
		report(progress, "%s", line)
	}, env: []string{"PGPASSFILE=" + passFile, "PGOPTIONS=-c statement_timeout=0"}})
	if err != nil && !writing && !before {
		return errors.Join(err, removeFile(d.rewindMarker()))
	}
	return err
}
