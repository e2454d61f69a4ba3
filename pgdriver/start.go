package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Start starts the server as a primary, or as a standby that follows a.From (nobody if empty). It
// returns when the server accepts connections. A server that still starts when the time is over is
// left to it: the error says so, and the observations tell how it goes on.
func (d *Driver) Start(ctx context.Context, a events.StartPostgres, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	return events.Result{}, d.start(ctx, a, progress)
}

func (d *Driver) start(ctx context.Context, a events.StartPostgres, progress func(string)) error {
	if p, f, err := findPostmaster(d.dataDir); err != nil {
		return err
	} else if p != nil {
		defer p.close()
		return d.alreadyStarted(ctx, p, f, a)
	}
	if what, unfinished := d.unfinished(); unfinished {
		return hinted("start postgresql", fmt.Errorf("%s holds an unfinished %s", d.dataDir, what), "clone or bootstrap this member again")
	}
	if d.halfRewound() {
		return hinted("start postgresql", fmt.Errorf("a rewind of %s did not end", d.dataDir), "rewind again, or reinitialize this member")
	}
	e := d.inForce()
	for range 4 { // each time without the parameters that the server refused
		err := d.startOnce(ctx, e, a, progress)
		if err == nil || !d.rejectRefused(err) {
			return err
		}
	}
	return hinted("start postgresql", errors.New("it refuses one parameter after another"), "correct postgresql.parameters")
}

// alreadyStarted checks that the server that runs is what Start would have started, and waits for it.
func (d *Driver) alreadyStarted(ctx context.Context, p *process, f pidFile, a events.StartPostgres) error {
	if f.status == "stopping" {
		return fmt.Errorf("start postgresql: %w and about to stop", ErrRunning)
	}
	standby, err := exists(d.dataDir + "/" + d.standbyFile())
	if err != nil {
		return fmt.Errorf("start postgresql: %w", err)
	}
	if standby == a.AsPrimary {
		return fmt.Errorf("start postgresql: %w in the other role", ErrRunning)
	}
	if !a.AsPrimary {
		if err := d.follow(a.From); err != nil {
			return err
		}
	}
	return d.awaitReady(ctx, p, nil)
}

// startOnce writes the files and starts the server.
func (d *Driver) startOnce(ctx context.Context, e effective, a events.StartPostgres, progress func(string)) error {
	e.fixed = maps.Clone(e.fixed)
	c, err := d.control(ctx)
	if err != nil {
		return hinted("start postgresql", err, "clone this member again")
	}
	if !a.AsPrimary {
		e.raiseToFloor(&c)
	} else if c.State == "shut down in recovery" || c.State == "in archive recovery" {
		// It would write on the timeline of the primary that it followed.
		return hinted("start postgresql as a primary", fmt.Errorf("it was a replica: pg_control says %q", c.State), "start it as a replica and promote it")
	}
	r := role{standby: !a.AsPrimary, upstream: &a.From}
	if err := errors.Join(d.writeConf(e, r), d.cleanAutoConf(), d.setStandby(!a.AsPrimary)); err != nil {
		return fmt.Errorf("start postgresql: %w", err)
	}
	d.setUpstream(r)
	offset, err := d.rotateLog()
	if err != nil {
		return err
	}
	args := []string{"-D", d.dataDir}
	for _, name := range slices.Sorted(maps.Keys(e.fixed)) {
		args = append(args, "--"+name+"="+e.fixed[name])
	}
	p, err := d.launch(ctx, args)
	if err != nil {
		return err
	}
	defer p.close()
	d.adopt(p)
	if err := d.awaitReady(ctx, p, progress); err != nil {
		return d.startFailure(errors.Join(err, d.endLeftovers(err)), offset)
	}
	d.hurryUp()
	return nil
}

// endLeftovers ends what a postmaster left behind that died while it was waited for: it may have let clients in a moment before, and
// whoever is told that the start has failed takes the server to be down.
func (d *Driver) endLeftovers(failure error) error {
	if !errors.Is(failure, errExitedEarly) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), killGrace)
	defer cancel()
	return d.sweep(ctx, syscall.SIGQUIT, bootTicks())
}

// adopt tells Run of a postmaster that was started.
func (d *Driver) adopt(p *process) {
	if again, err := openProcess(p.pid); err == nil {
		d.watch(again)
	} // else it is dead already, and whoever waits for it will say so
}

func (d *Driver) setUpstream(r role) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.upstream = nil
	if r.standby {
		d.upstream = r.upstream
	}
}

// launch starts postgres in a session of its own, so that it outlives the agent, after making
// sure that nothing of an earlier one is left.
func (d *Driver) launch(ctx context.Context, args []string) (*process, error) {
	if err := d.sweep(ctx, syscall.SIGQUIT, bootTicks()); err != nil {
		return nil, err
	}
	d.launching.Lock()
	defer d.launching.Unlock()
	left, err := d.leftoversLocked(bootTicks())
	closeAll(left)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("start postgresql: processes of an earlier server are still there")
	}
	if err := removeEmptyLock(d.dataDir); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(d.config().LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, hinted("start postgresql", err, "make the directory of the log file writable")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start postgresql: %w", err), out.Close())
	}
	child, err := os.StartProcess(d.programs["postgres"], append([]string{d.programs["postgres"]}, args...), &os.ProcAttr{
		Dir: "/", Env: childEnv(false), Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Setsid: true}})
	closed := errors.Join(null.Close(), out.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start postgresql: %w", err), closed)
	}
	// A child is not reaped before we do, so its number is its own until then.
	p, err := openProcess(child.Pid)
	if errors.Is(err, errNoProcess) {
		reap(child.Pid)
		return nil, errors.Join(errExitedEarly, closed)
	}
	if err != nil {
		return nil, errors.Join(err, child.Kill(), closed)
	}
	known, err := openProcess(child.Pid)
	if err == nil {
		if d.launched != nil {
			d.launched.close()
		}
		d.launched = known
	}
	return p, errors.Join(child.Release(), closed)
}

var errExitedEarly = errors.New("the server ended while it started")

// awaitReady waits until the server accepts connections, or is a standby that will never (hot_standby off).
// It reads postmaster.pid, as pg_ctl does.
func (d *Driver) awaitReady(ctx context.Context, p *process, progress func(string)) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, d.config().StartTimeout)
	defer cancel()
	told := time.Now()
	for {
		step, stop := context.WithTimeout(ctx, 5*time.Millisecond)
		err := p.wait(step)
		stop()
		if err == nil {
			return errExitedEarly
		}
		f, err := readPIDFile(d.dataDir)
		if err != nil {
			return err
		}
		if f.pid == p.pid && (f.status == "ready" || f.status == "standby") {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start postgresql: still starting after %v: %w", time.Since(begun).Round(time.Millisecond), ctx.Err())
		}
		if progress != nil && time.Since(told) > time.Second {
			told = time.Now()
			progress(fmt.Sprintf("starting for %v", time.Since(begun).Round(time.Second)))
		}
	}
}

// startError is an early end of the server, with what it wrote.
type startError struct{ output string }

func (e *startError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.output), "\n")
	return errExitedEarly.Error() + ": " + strings.Join(lines[max(0, len(lines)-6):], "; ")
}

func (e *startError) Unwrap() error { return errExitedEarly }

func (d *Driver) startFailure(err error, offset int64) error {
	if !errors.Is(err, errExitedEarly) {
		return err
	}
	cfg := d.config()
	output, readErr := readTail(cfg.LogFile, offset)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return hinted("start postgresql", &startError{cfg.redact(output)}, "see %s", cfg.LogFile)
}

// maxLogBytes is the size at which the server's output file is begun anew; one older is kept.
const maxLogBytes = 16 << 20

func (d *Driver) rotateLog() (offset int64, err error) {
	path := d.config().LogFile
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("start postgresql: %w", err)
	}
	if st.Size() < maxLogBytes {
		return st.Size(), nil
	}
	if err := os.Rename(path, path+".1"); err != nil {
		return 0, fmt.Errorf("start postgresql: %w", err)
	}
	return 0, nil
}

var quotedName = regexp.MustCompile(`"([A-Za-z_][A-Za-z0-9_.$]*)"`)

// rejectRefused notes the parameters of ours for which the server refused to start. It tells whether
// there was one that had not been known, so that another attempt makes sense.
func (d *Driver) rejectRefused(err error) bool {
	var se *startError
	if !errors.As(err, &se) {
		return false
	}
	e := d.inForce()
	fresh := false
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(se.output) {
		if !strings.Contains(line, "parameter") && !strings.Contains(line, "invalid") && !strings.Contains(line, "outside the valid range") {
			continue
		}
		for _, m := range quotedName.FindAllStringSubmatch(line, -1) {
			name := strings.ToLower(m[1])
			if !e.sets(name) || d.rejected[name] != "" {
				continue
			}
			d.rejected[name] = strings.TrimSpace(line)
			d.log.Warn("removed a parameter that the server refuses", zap.String("parameter", name), zap.String("reason", d.rejected[name]))
			fresh = true
		}
	}
	return fresh
}

func (e *effective) sets(name string) bool {
	_, param := e.params[name]
	_, recovery := e.recovery[name]
	return param || recovery
}
