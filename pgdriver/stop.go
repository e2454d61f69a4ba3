package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/regent-ha/regent/events"
)

// killGrace is how long the kernel may take to end killed processes.
const killGrace = 5 * time.Second

// Stop stops the server and returns when its last process is gone. It escalates to immediate after
// EscalateAfter, and kills everything when ctx reaches its deadline. When ctx is cancelled before, it
// returns and the server goes on stopping.
func (d *Driver) Stop(ctx context.Context, a events.StopPostgres, progress func(string)) (events.Result, error) {
	if a.Mode != events.StopKill {
		release, err := d.exclusive(ctx)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return events.Result{}, err
		}
		if err == nil {
			defer release()
		} // at the deadline even an effect in progress is no reason to let a server live
	}
	return d.stop(ctx, a, progress)
}

func (d *Driver) stop(ctx context.Context, a events.StopPostgres, progress func(string)) (events.Result, error) {
	p, err := d.live()
	if err != nil {
		return events.Result{}, err
	}
	if p != nil {
		defer p.close()
		if err := d.stopPostmaster(ctx, p, a, progress); err != nil {
			return events.Result{}, err
		}
	}
	defer d.hurryUp()
	sweepCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	if a.Mode == events.StopFast {
		if end := d.ending(sweepCtx); end.clean {
			return events.Result{ShutdownLSN: end.lsn}, nil
		}
	}
	sig := syscall.SIGQUIT
	if a.Mode == events.StopKill || ctx.Err() != nil {
		sig = syscall.SIGKILL
	}
	return events.Result{}, d.sweep(sweepCtx, sig, bootTicks())
}

// ending is how a server ended, as pg_control tells. It was clean if its last act was the shutdown checkpoint: before
// that the postmaster waits for the end of every process that could write.
type ending struct {
	clean bool
	lsn   events.LSN // of a primary's shutdown checkpoint
}

// ending reads pg_control after the end of a postmaster. The read is on a goroutine of its own, which ends when the disk
// answers: nobody waits for it longer than ctx lasts.
func (d *Driver) ending(ctx context.Context) ending {
	found := make(chan ending, 1)
	go func() {
		c, err := readControl(d.dataDir)
		switch {
		case err != nil: // as one that was not clean
			found <- ending{}
		case c.State == "shut down":
			found <- ending{clean: true, lsn: c.Checkpoint}
		default:
			found <- ending{clean: c.State == "shut down in recovery"}
		}
	}()
	select {
	case end := <-found:
		return end
	case <-ctx.Done():
		return ending{}
	}
}

// live returns the postmaster, or nil. One that Run watches is found without a look at the disk, and also when
// its data directory is not there any more.
func (d *Driver) live() (*process, error) {
	d.probe.mu.Lock()
	current := d.probe.current
	d.probe.mu.Unlock()
	if current != nil {
		if p, err := openProcess(current.pid); err == nil {
			if p.started == current.started {
				return p, nil
			}
			p.close()
		}
	}
	p, _, err := findPostmaster(d.dataDir)
	return p, err
}

func (d *Driver) stopPostmaster(ctx context.Context, p *process, a events.StopPostgres, progress func(string)) error {
	signals := map[events.StopMode]syscall.Signal{events.StopFast: syscall.SIGINT, events.StopImmediate: syscall.SIGQUIT}
	if a.Mode == events.StopKill {
		return d.kill(p)
	}
	sig, ok := signals[a.Mode]
	if !ok {
		return fmt.Errorf("stop postgresql: unknown mode %q", a.Mode)
	}
	d.stopping.Store(true)
	defer d.stopping.Store(false)
	if err := p.signal(sig); err != nil {
		return fmt.Errorf("stop postgresql: %w", err)
	}
	wait, cancel := ctx, context.CancelFunc(func() {})
	if a.EscalateAfter > 0 && sig == syscall.SIGINT {
		wait, cancel = context.WithTimeout(ctx, a.EscalateAfter)
	}
	err := p.wait(wait)
	cancel()
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		report(progress, "did not stop in time, stopping at once")
		if err = p.signal(syscall.SIGQUIT); err != nil {
			return fmt.Errorf("stop postgresql: %w", err)
		}
		err = p.wait(ctx)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		report(progress, "did not stop by the deadline, killing it")
		return d.kill(p)
	}
	return fmt.Errorf("stop postgresql: still stopping: %w", err)
}

// kill ends the postmaster and its children. It is held still first, so that it starts no more of them.
func (d *Driver) kill(p *process) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("kill postgresql: %w", err)
	}
	children, listed := childrenOf(p.pid)
	defer closeAll(children)
	ctx, cancel := context.WithTimeout(context.Background(), killGrace)
	defer cancel()
	if err := errors.Join(listed, endAll(ctx, append([]*process{p}, children...), syscall.SIGKILL)); err != nil {
		return hinted("kill postgresql", err, "a killed process that stays hangs in the kernel, usually on a disk: fence the host")
	}
	return nil
}

func report(progress func(string), format string, args ...any) {
	if progress != nil {
		progress(fmt.Sprintf(format, args...))
	}
}

// Restart stops the server fast and starts it in its role.
func (d *Driver) Restart(ctx context.Context, a events.RestartPostgres, progress func(string)) (events.Result, error) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return events.Result{}, err
	}
	defer release()
	if _, err := d.stop(ctx, events.StopPostgres{Mode: events.StopFast}, progress); err != nil {
		return events.Result{}, err
	}
	return events.Result{}, d.start(ctx, events.StartPostgres(a), progress)
}
