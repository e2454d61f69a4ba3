package pgdriver

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Follow points a running standby at another upstream: by a reload from PostgreSQL 13 on, by a restart before.
func (d *Driver) Follow(ctx context.Context, a events.Follow, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	if d.version < 13 {
		if _, err := d.stop(ctx, events.StopPostgres{Mode: events.StopFast}, progress); err != nil {
			return events.Result{}, err
		}
		return events.Result{}, d.start(ctx, events.StartPostgres{From: a.From}, progress)
	}
	return events.Result{}, d.follow(a.From)
}

func (d *Driver) follow(from events.Upstream) error {
	p, _, err := d.running()
	if err != nil {
		return fmt.Errorf("follow %s: %w", from.Name, err)
	}
	defer p.close()
	standby, err := exists(filepath.Join(d.dataDir, d.standbyFile()))
	if err != nil {
		return fmt.Errorf("follow %s: %w", from.Name, err)
	}
	if !standby {
		return fmt.Errorf("follow %s: the server is a primary", from.Name)
	}
	r := role{standby: true, upstream: &from}
	if err := d.writeConf(d.inForce(), r); err != nil {
		return fmt.Errorf("follow %s: %w", from.Name, err)
	}
	d.setUpstream(r)
	if err := p.signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("follow %s: %w", from.Name, err)
	}
	d.Poke()
	return nil
}

// ApplyConfig takes a dynamic configuration, merges it with the local one, writes the files and makes a
// running server reload. A document that is wrong changes nothing. A parameter that this server does not
// know or accept is left out with a warning; one that needs a restart shows in the observations.
func (d *Driver) ApplyConfig(ctx context.Context, document json.RawMessage, _ func(string)) (events.Result, error) {
	cfg := d.config()
	merged, err := d.effective(cfg, document)
	if err != nil {
		return events.Result{}, err
	}
	for _, w := range merged.warnings {
		d.log.Warn(w)
	}
	d.mu.Lock()
	d.dynamic, d.merged = append(json.RawMessage(nil), document...), merged
	clear(d.rejected)
	d.mu.Unlock()
	release, err := d.exclusive(ctx) // what is in force from now on, a clone in progress will use at its end
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	if what, unfinished := d.unfinished(); unfinished || !d.hasData() {
		d.log.Debug("dynamic configuration kept until there is a data directory", zap.String("unfinished", what))
		return events.Result{}, nil
	}
	if _, err := writeFile(filepath.Join(d.dataDir, dynamicCache), string(document), d.fileMode()); err != nil {
		return events.Result{}, fmt.Errorf("apply the configuration: %w", err)
	}
	return events.Result{}, d.reload(ctx, d.inForce())
}

func (d *Driver) hasData() bool {
	has, err := exists(filepath.Join(d.dataDir, "PG_VERSION"))
	return err == nil && has
}

// reload writes the files for the role that the server has now, and makes it read them.
func (d *Driver) reload(ctx context.Context, e effective) error {
	standby, err := exists(filepath.Join(d.dataDir, d.standbyFile()))
	if err != nil {
		return fmt.Errorf("apply the configuration: %w", err)
	}
	d.mu.Lock()
	r := role{standby: standby, upstream: d.upstream}
	d.mu.Unlock()
	if err := d.writeConf(e, r); err != nil {
		return fmt.Errorf("apply the configuration: %w", err)
	}
	p, _, err := findPostmaster(d.dataDir)
	if err != nil || p == nil {
		return err
	}
	defer p.close()
	refused, err := d.askRefused(ctx, p.pid, e)
	if err != nil {
		d.log.Warn("check the configuration files", zap.Error(err))
	}
	if refused {
		if err := d.writeConf(e, r); err != nil {
			return fmt.Errorf("apply the configuration: %w", err)
		}
	}
	if err := p.signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("apply the configuration: %w", err)
	}
	d.probe.configured.Store(true)
	d.Poke()
	return nil
}

// refusedQuery reads the files as a reload would, and lists what the server would not take. A parameter that needs
// a restart is listed too, and is not refused.
const refusedQuery = `SELECT f.name, f.error FROM pg_file_settings AS f LEFT JOIN pg_settings AS s ON s.name = lower(f.name)
 WHERE f.error IS NOT NULL AND f.name IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster'`

// askRefused asks by the connection that is held, if one is: one unknown name would make the server
// ignore the whole file.
func (d *Driver) askRefused(ctx context.Context, pid int, e effective) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config().QueryTimeout)
	defer cancel()
	conn, giveBack, err := d.borrow(ctx, pid)
	if err != nil {
		return false, err
	}
	defer giveBack()
	rs, err := ask(ctx, conn, refusedQuery)
	if err != nil || len(rs) == 0 {
		return false, err
	}
	refused := false
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, row := range rs[0].Rows {
		name, reason := string(row[0]), string(row[1])
		if !e.sets(name) {
			continue
		}
		d.rejected[name] = reason
		d.log.Warn("removed a parameter that the server refuses", zap.String("parameter", name), zap.String("reason", reason))
		refused = true
	}
	return refused, nil
}
