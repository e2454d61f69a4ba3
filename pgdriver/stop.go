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
	p, _, err := findPostmaster(d.dataDir)
	if err != nil {
		return events.Result{}, err
	}
	if p != nil {
		defer p.close()
		if err := d.stopPostmaster(ctx, p, a, progress); err != nil {
			return events.Result{}, err
		}
	}
	sweepCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	sig := syscall.SIGQUIT
	if a.Mode == events.StopKill || ctx.Err() != nil {
		sig = syscall.SIGKILL
	}
	if err := d.sweep(sweepCtx, sig, bootTicks()); err != nil {
		return events.Result{}, err
	}
	d.hurryUp()
	c, err := readControl(d.dataDir)
	if err != nil || c.State != "shut down" {
		return events.Result{}, nil // stopped all the same; only where a clean primary ended is not known
	}
	return events.Result{ShutdownLSN: c.Checkpoint}, nil
}

func (d *Driver) stopPostmaster(ctx context.Context, p *process, a events.StopPostgres, progress func(string)) error {
	signals := map[events.StopMode]syscall.Signal{events.StopFast: syscall.SIGINT, events.StopImmediate: syscall.SIGQUIT, events.StopKill: syscall.SIGKILL}
	sig, ok := signals[a.Mode]
	if !ok {
		return fmt.Errorf("stop postgresql: unknown mode %q", a.Mode)
	}
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

// kill ends the postmaster first, for it would replace what is killed before it.
func (d *Driver) kill(p *process) error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill postgresql: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), killGrace)
	defer cancel()
	if err := p.wait(ctx); err != nil {
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
	return events.Result{}, d.start(ctx, events.StartPostgres{AsPrimary: a.AsPrimary, From: a.From}, progress)
}
