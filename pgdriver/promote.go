package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
)

const (
	promotePoll = 10 * time.Millisecond
	// promoteNudge is the time between two pushes. A promotion that meets the death of the WAL receiver is noted, and
	// then slept upon for wal_retrieve_retry_interval. The promote file is gone by then, so that asking again
	// does nothing; but a reload wakes the sleeper.
	promoteNudge = 20 * time.Millisecond
)

// Promote ends recovery and returns when the server accepts writes, with the new timeline and
// its history. It starts no program and opens no connection: it asks by the promote file and a signal, and
// learns by the connection that Run holds, or from pg_control where none is held.
func (d *Driver) Promote(ctx context.Context, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	p, _, err := d.running()
	if err != nil {
		return events.Result{}, fmt.Errorf("promote: %w", err)
	}
	defer p.close()
	// The request goes out before anything is asked: every millisecond of it is a pause of all writers.
	c, err := readControl(d.dataDir)
	if err == nil && c.State != "in production" {
		err = askToPromote(d.dataDir, p)
	}
	if err != nil {
		return events.Result{}, fmt.Errorf("promote: %w", err)
	}
	quick, cancel := context.WithTimeout(ctx, promoteNudge)
	conn, giveBack, err := d.borrow(quick, p.pid)
	cancel()
	if err == nil {
		defer giveBack()
	}
	w := promotion{d: d, conn: conn, postmaster: p}
	done, timeline, err := w.finished(ctx)
	if err != nil {
		return events.Result{}, fmt.Errorf("promote: %w", err)
	}
	if !done {
		if timeline, err = w.run(ctx, progress); err != nil {
			return events.Result{}, fmt.Errorf("promote: %w", err)
		}
	}
	d.setUpstream(role{})
	d.hurryUp()
	history, err := d.history(timeline)
	return events.Result{Timeline: timeline, History: history}, err
}

// promotion is one attempt to end recovery.
type promotion struct {
	d          *Driver
	conn       *pgconn.PgConn // nil: ask pg_control
	postmaster *process
	asleep     bool // the server sleeps before it tries its upstream again
}

func triggerFile(dataDir string) string { return filepath.Join(dataDir, "promote") }

// askToPromote writes the promote file and tells the postmaster.
func askToPromote(dataDir string, postmaster *process) error {
	if err := os.WriteFile(triggerFile(dataDir), nil, 0o600); err != nil {
		return fmt.Errorf("write the promote file: %w", err)
	}
	return postmaster.signal(syscall.SIGUSR1)
}

// run waits for the end of recovery, and pushes.
func (w *promotion) run(ctx context.Context, progress func(string)) (events.Timeline, error) {
	trigger := triggerFile(w.d.dataDir)
	var told time.Time
	begun := time.Now()
	nudged := begun
	for {
		if time.Since(nudged) >= promoteNudge {
			if err := w.nudge(trigger); err != nil {
				return 0, err
			}
			nudged = time.Now()
		}
		step, cancel := context.WithTimeout(ctx, promotePoll)
		err := w.postmaster.wait(step)
		cancel()
		if err == nil {
			return 0, errors.Join(ErrNotRunning, errors.New("it ended while it was promoted"))
		}
		if ctx.Err() != nil {
			// Not asked any more, if the server has not seen it yet. It may be promoted all the same.
			return 0, errors.Join(ctx.Err(), removeFile(trigger))
		}
		if done, timeline, err := w.finished(ctx); err != nil {
			return 0, err
		} else if done {
			return timeline, nil
		}
		if time.Since(told) > time.Second {
			told = time.Now()
			report(progress, "promoting for %v", time.Since(begun).Round(time.Second))
		}
	}
}

// nudge asks again if the server has not seen the request, and wakes it if it sleeps over one that it has.
func (w *promotion) nudge(trigger string) error {
	unseen, err := exists(trigger)
	if err != nil {
		return fmt.Errorf("look for the promote file: %w", err)
	}
	switch {
	case unseen:
		return w.postmaster.signal(syscall.SIGUSR1)
	case w.asleep || w.conn == nil: // without a connection it is not known, and a reload harms nothing
		return w.postmaster.signal(syscall.SIGHUP)
	}
	return nil
}

const promotedQuery = `SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,
 EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval')::int`

// finished tells whether the server is out of recovery, and on which timeline.
func (w *promotion) finished(ctx context.Context) (bool, events.Timeline, error) {
	if w.conn != nil {
		query, cancel := context.WithTimeout(ctx, w.d.config().QueryTimeout)
		rs, err := ask(query, w.conn, promotedQuery)
		cancel()
		if err == nil && text(rs) == "" && (len(rs) == 0 || len(rs[0].Rows) == 0) {
			err = errors.New("no row")
		}
		if err == nil {
			hex := text(rs)
			w.asleep = len(rs[0].Rows[0]) > 1 && string(rs[0].Rows[0][1]) == "1"
			if hex == "" {
				return false, 0, nil
			}
			n, err := strconv.ParseUint(hex, 16, 32)
			if err != nil {
				return false, 0, fmt.Errorf("read the new timeline: %w", err)
			}
			return true, events.Timeline(n), nil
		}
		w.conn = nil // broken: pg_control tells as well
	}
	c, err := readControl(w.d.dataDir)
	if err != nil {
		return false, 0, err
	}
	if c.State != "in production" {
		return false, 0, nil
	}
	newest, err := w.d.newestTimeline(c.Timeline)
	return true, newest, err
}

// newestTimeline is the highest number among the history files: the checkpoint of a server that was just
// promoted may still be of its old timeline.
func (d *Driver) newestTimeline(atLeast events.Timeline) (events.Timeline, error) {
	names, err := filepath.Glob(filepath.Join(d.dataDir, "pg_wal", "*.history"))
	if err != nil {
		return 0, fmt.Errorf("look for history files: %w", err)
	}
	for _, name := range names {
		if n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".history"), 16, 32); err == nil {
			atLeast = max(atLeast, events.Timeline(n))
		}
	}
	return atLeast, nil
}

// history reads the history file of a timeline. The first timeline has none.
func (d *Driver) history(t events.Timeline) ([]events.TimelineSwitch, error) {
	if t <= 1 {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(d.dataDir, "pg_wal", fmt.Sprintf("%08X.history", uint32(t))))
	if err != nil {
		return nil, fmt.Errorf("read the history of timeline %d: %w", t, err)
	}
	return parseHistory(string(b))
}

// parseHistory reads a timeline history file: parent, position, reason; oldest first.
func parseHistory(text string) ([]events.TimelineSwitch, error) {
	var rows []events.TimelineSwitch
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			return nil, fmt.Errorf("read a timeline history: line %q", line)
		}
		parent, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read a timeline history: %w", err)
		}
		at, err := events.ParseLSN(f[1])
		if err != nil {
			return nil, fmt.Errorf("read a timeline history: %w", err)
		}
		rows = append(rows, events.TimelineSwitch{Parent: events.Timeline(parent), Switch: at, Reason: strings.Join(f[2:], " ")})
	}
	slices.SortStableFunc(rows, func(a, b events.TimelineSwitch) int { return int(a.Parent) - int(b.Parent) })
	return rows, nil
}
