package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Bootstrap creates a database cluster in an empty data directory: initdb, roles, the post-bootstrap command.
// The server that this needs listens on a private socket only, and is stopped again: nobody can
// have written to it before the lease is held and Start opens it. A bootstrap that fails is moved aside.
func (d *Driver) Bootstrap(ctx context.Context, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	if what, unfinished := d.unfinished(); unfinished {
		if err := d.discardUnfinished(ctx, what); err != nil {
			return events.Result{}, fmt.Errorf("bootstrap: %w", err)
		}
	}
	if err := d.requireStopped(ctx, "bootstrap"); err != nil {
		return events.Result{}, err
	}
	empty, err := isEmptyDir(d.dataDir)
	if err != nil {
		return events.Result{}, fmt.Errorf("bootstrap: %w", err)
	}
	if !empty {
		return events.Result{}, hinted("bootstrap", ErrNotEmpty, "a member with data joins by itself; otherwise move %s away", d.dataDir)
	}
	d.private.Store(true) // initdb, too, runs postgres in the data directory
	defer d.private.Store(false)
	if err := d.begin("bootstrap"); err != nil {
		return events.Result{}, fmt.Errorf("bootstrap: %w", err)
	}
	c, err := d.bootstrap(ctx, progress)
	if err != nil {
		return events.Result{}, errors.Join(err, d.discardUnfinished(ctx, "bootstrap"))
	}
	d.Poke()
	return events.Result{SystemID: c.systemID()}, d.end()
}

// discardUnfinished stops what runs and moves a failed bootstrap aside; of a clone, it removes the pieces.
func (d *Driver) discardUnfinished(ctx context.Context, what string) error {
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	if _, err := d.stop(stopCtx, events.StopPostgres{Mode: events.StopImmediate}, nil); err != nil {
		return err
	}
	empty, err := isEmptyDir(d.dataDir)
	if err != nil {
		return err
	}
	switch {
	case empty:
	case what == "bootstrap":
		name, err := moveAside(d.dataDir, "failed")
		if err != nil {
			return err
		}
		d.log.Warn("moved a failed bootstrap aside", zap.String("to", name))
	default:
		if err := emptyDir(d.dataDir); err != nil {
			return err
		}
	}
	return d.end()
}

func (d *Driver) bootstrap(ctx context.Context, progress func(string)) (controlFile, error) {
	if err := d.initdb(ctx, progress); err != nil {
		return controlFile{}, err
	}
	e := d.inForce()
	if len(e.hba) == 0 && len(d.config().BootstrapHBA) > 0 {
		if err := d.appendHBA(); err != nil {
			return controlFile{}, err
		}
	}
	if err := d.writeConf(e, role{}); err != nil {
		return controlFile{}, err
	}
	report(progress, "creating roles")
	if err := d.withPrivateServer(ctx, e, func(conn *pgconn.PgConn, t target) error { return d.furnish(ctx, conn, t, progress) }); err != nil {
		return controlFile{}, hinted("bootstrap", err, "see %s", d.config().LogFile)
	}
	c, err := d.control(ctx)
	if err == nil && c.State != "shut down" {
		err = fmt.Errorf("bootstrap: the new server ended as %q", c.State)
	}
	return c, err
}

// forbiddenInitdb are options that would contradict what Bootstrap does.
var forbiddenInitdb = []string{"--pgdata", "-D", "--nosync", "--no-sync", "-N", "--pwfile", "--sync-only", "-S", "--version", "-V", "--pwprompt", "-W"}

func (d *Driver) initdb(ctx context.Context, progress func(string)) (err error) {
	cfg := d.config()
	if err := refuseOptions("initdb", cfg.Initdb, forbiddenInitdb); err != nil {
		return err
	}
	args := append([]string{"--username=" + cfg.Superuser.Username}, cfg.Initdb...)
	if cfg.Superuser.Password != "" {
		file, err := os.CreateTemp("", "regent-initdb-*") // mode 0600
		if err != nil {
			return fmt.Errorf("initdb: %w", err)
		}
		defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
		if _, err := file.WriteString(cfg.Superuser.Password + "\n"); err != nil {
			return errors.Join(fmt.Errorf("initdb: %w", err), file.Close())
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("initdb: %w", err)
		}
		args = append(args, "--pwfile="+file.Name())
	}
	_, err = d.run(ctx, tool{op: "initdb", name: "initdb", args: append(args, d.dataDir), line: progress, keepLocale: true})
	if err != nil {
		return hinted("bootstrap", err, "check bootstrap.initdb")
	}
	return nil
}

func refuseOptions(program string, options, forbidden []string) error {
	for _, o := range options {
		name, _, _ := strings.Cut(o, "=")
		if slices.Contains(forbidden, name) {
			return hinted("check options", fmt.Errorf("%s option for %s is not allowed", name, program), "remove %s from the options of %s", name, program)
		}
	}
	return nil
}

func (d *Driver) appendHBA() error {
	path := filepath.Join(d.dataDir, "pg_hba.conf")
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	_, err = writeFile(path, strings.TrimRight(string(b), "\n")+"\n"+strings.Join(d.config().BootstrapHBA, "\n")+"\n", d.fileMode())
	return err
}

// withPrivateServer runs the server as a primary that only this process can reach, and shuts it down.
func (d *Driver) withPrivateServer(ctx context.Context, e effective, use func(*pgconn.PgConn, target) error) (err error) {
	dir, err := os.MkdirTemp("", "regent-pg-") // mode 0700: trust inside is safe
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	hba := filepath.Join(dir, "hba")
	if err := os.WriteFile(hba, []byte("local all all trust\n"), 0o600); err != nil {
		return err
	}
	fixed := maps.Clone(e.fixed)
	fixed["listen_addresses"], fixed["unix_socket_directories"], fixed["hba_file"] = "", dir, hba
	fixed["unix_socket_permissions"], fixed["archive_mode"], fixed["ssl"] = "0700", "off", "off"
	fixed["synchronous_standby_names"] = ""
	args := []string{"-D", d.dataDir}
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		args = append(args, "--"+name+"="+fixed[name])
	}
	offset, err := d.rotateLog()
	if err != nil {
		return err
	}
	p, err := d.launch(ctx, args)
	if err != nil {
		return err
	}
	defer p.close()
	if err := d.awaitReady(ctx, p, nil); err != nil {
		return errors.Join(d.startFailure(err, offset), d.kill(p))
	}
	t := target{host: dir, port: strconv.Itoa(d.config().Port), database: "postgres"}
	conn, err := connect(ctx, t, Credentials{Username: d.config().Superuser.Username})
	if err == nil {
		err = use(conn, t)
		closeConn(conn)
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	mode := events.StopFast
	if err != nil {
		mode = events.StopImmediate
	}
	return errors.Join(err, d.stopPostmaster(stopCtx, p, events.StopPostgres{Mode: mode}, nil), d.sweep(stopCtx, syscall.SIGQUIT, bootTicks()))
}

// quietly are settings under which no password reaches a log.
const quietly = `SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic';
SET log_min_messages = 'panic'; SET synchronous_commit = 'local'; SET statement_timeout = 0`

// furnish creates the roles and runs the post-bootstrap command.
func (d *Driver) furnish(ctx context.Context, conn *pgconn.PgConn, t target, progress func(string)) error {
	cfg := d.config()
	if _, err := ask(ctx, conn, quietly); err != nil {
		return fmt.Errorf("prepare to create roles: %w", err)
	}
	if err := createRole(ctx, conn, cfg.Superuser, "SUPERUSER"); err != nil {
		return err
	}
	if cfg.Database != "postgres" {
		if _, err := ask(ctx, conn, "CREATE DATABASE "+quoteIdent(cfg.Database)); err != nil {
			return fmt.Errorf("create database %s: %w", cfg.Database, err)
		}
	}
	if cfg.Replication.Username != cfg.Superuser.Username {
		if err := createRole(ctx, conn, cfg.Replication, "REPLICATION"); err != nil {
			return err
		}
	}
	if cfg.Rewind.Username != cfg.Superuser.Username {
		if err := d.createRewindRole(ctx, conn, cfg); err != nil {
			return err
		}
	}
	if cfg.PostBootstrap == "" {
		return nil
	}
	report(progress, "running the post-bootstrap command")
	return d.postBootstrap(ctx, t, progress)
}

func (d *Driver) createRewindRole(ctx context.Context, conn *pgconn.PgConn, cfg Config) error {
	if cfg.Rewind.Username != cfg.Replication.Username {
		if err := createRole(ctx, conn, cfg.Rewind, ""); err != nil {
			return err
		}
	}
	if d.version < 11 {
		return nil // only a superuser can rewind from these
	}
	name := quoteIdent(cfg.Rewind.Username)
	for _, f := range []string{"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)",
		"pg_read_binary_file(text, bigint, bigint, boolean)"} {
		if _, err := ask(ctx, conn, "GRANT EXECUTE ON FUNCTION pg_catalog."+f+" TO "+name); err != nil {
			return fmt.Errorf("grant the rights for pg_rewind: %w", err)
		}
	}
	return nil
}

func createRole(ctx context.Context, conn *pgconn.PgConn, c Credentials, attributes string) error {
	rs, err := ask(ctx, conn, "SELECT 1 FROM pg_roles WHERE rolname = "+quoteLiteral(c.Username))
	if err != nil {
		return fmt.Errorf("look for role %s: %w", c.Username, err)
	}
	verb := "CREATE"
	if text(rs) == "1" {
		verb = "ALTER"
	}
	sql := verb + " ROLE " + quoteIdent(c.Username) + " WITH LOGIN " + attributes
	if c.Password != "" {
		sql += " PASSWORD " + quoteLiteral(c.Password)
	}
	if _, err := ask(ctx, conn, sql); err != nil {
		return fmt.Errorf("create role %s: %w", c.Username, err)
	}
	return nil
}

// postBootstrap runs the operator's command with the connection string as its last argument.
func (d *Driver) postBootstrap(ctx context.Context, t target, progress func(string)) error {
	cfg := d.config()
	info := conninfoText(append(t.conninfo(Credentials{Username: cfg.Superuser.Username}), kv{"dbname", cfg.Database}))
	// The shell splits the command as a shell does, and hands the rest on untouched.
	_, err := d.runPath(ctx, "/bin/sh", tool{op: "run the post-bootstrap command", args: []string{"-c", cfg.PostBootstrap + ` "$@"`, "post_bootstrap", info},
		env:  []string{"PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0", "PATH=" + cfg.BinDir + ":" + os.Getenv("PATH")},
		line: progress, keepLocale: true})
	if err != nil {
		return hinted("bootstrap", err, "run %s by hand and correct it", cfg.PostBootstrap)
	}
	return nil
}
