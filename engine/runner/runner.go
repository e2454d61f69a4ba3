package runner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Recorder keeps what the engine consumed and concluded. Its methods are called by the loop only.
type Recorder interface {
	// Record takes a step. It must not block: what it cannot take it must count as missing.
	Record(in events.Input, d *events.Decision)
	// Sync waits until what was recorded is on disk, or until ctx ends.
	Sync(ctx context.Context) error
}

// Executor performs effects.
type Executor interface {
	// Do begins an effect and returns at once; its outcome is posted to the runner as a fact, no later
	// than a moment after the effect's deadline.
	Do(e events.Effect)
}

// Config of a runner.
type Config struct {
	Engine   *engine.Engine
	Recorder Recorder
	Executor Executor
	Now      func() events.Instant
	Wall     func() time.Time
	// SyncBudget bounds the wait for the recorder before an irreversible effect, 5 ms if zero.
	SyncBudget time.Duration
	// Observe is told of every step, after it was published and before its effects are handed out; it must not block. May be nil.
	Observe func(in events.Input, d *events.Decision, s *engine.Status)
}

// Runner owns an engine.
type Runner struct {
	cfg Config

	mu    sync.Mutex
	queue []events.Fact
	wake  chan struct{} // holds one token when the queue may not be empty

	status  atomic.Pointer[engine.Status]
	waiters waiters
	seq     uint64
}

// New builds a runner; Run starts it.
func New(cfg Config) *Runner {
	if cfg.SyncBudget == 0 {
		cfg.SyncBudget = 5 * time.Millisecond
	}
	r := &Runner{cfg: cfg, wake: make(chan struct{}, 1)}
	r.status.Store(cfg.Engine.Status())
	return r
}

// Post puts a fact into the queue. It never blocks and may be called from anywhere.
func (r *Runner) Post(f events.Fact) {
	r.mu.Lock()
	r.queue = append(r.queue, f)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Status is the last published picture.
func (r *Runner) Status() *engine.Status { return r.status.Load() }

// Run loops until ctx ends or the engine has exited, and returns the code of its Exit effect.
func (r *Runner) Run(ctx context.Context) (code int, err error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-r.wake:
			for _, f := range r.take() {
				if exit, ok := r.step(f); ok {
					return exit.Code, nil
				}
			}
		case <-timer.C:
			if exit, ok := r.step(events.TimerFired{}); ok {
				return exit.Code, nil
			}
		}
		timer.Reset(r.untilWake())
	}
}

func (r *Runner) take() []events.Fact {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue
	r.queue = nil
	return q
}

// wakeAt belongs to the loop; it is kept in the published status' place so that untilWake needs no lock.
func (r *Runner) untilWake() time.Duration {
	at := r.cfg.Engine.WakeAt()
	if at == 0 {
		return time.Hour
	}
	return max(at.Sub(r.cfg.Now()), time.Millisecond)
}

// step consumes one fact. The order matters: record, publish, then act.
func (r *Runner) step(f events.Fact) (events.Exit, bool) {
	r.seq++
	in := events.Input{Seq: r.seq, At: r.cfg.Now(), Wall: r.cfg.Wall().UnixNano(), Fact: f}
	d := r.cfg.Engine.Step(in)
	r.cfg.Recorder.Record(in, &d)
	s := r.cfg.Engine.Status()
	r.status.Store(s)
	r.waiters.notify(s)
	if r.cfg.Observe != nil {
		r.cfg.Observe(in, &d, s)
	}
	if irreversible(d.Effects) {
		ctx, cancel := context.WithTimeout(context.Background(), r.cfg.SyncBudget)
		// The disk is given its chance and no more: what it misses is counted by the recorder.
		_ = r.cfg.Recorder.Sync(ctx)
		cancel()
	}
	for i := range d.Effects {
		if exit, ok := d.Effects[i].Action.(events.Exit); ok {
			return exit, true
		}
		r.cfg.Executor.Do(d.Effects[i])
	}
	return events.Exit{}, false
}

// irreversible tells whether one of the effects should be on record before it happens.
func irreversible(effects []events.Effect) bool {
	for i := range effects {
		switch effects[i].Action.ActionKind() {
		case events.ActPromote, events.ActStopPostgres, events.ActAcquireLease, events.ActHandOverLease, events.ActReleaseLease,
			events.ActRewind, events.ActClone, events.ActBootstrap, events.ActCrashRecover:
			return true
		}
	}
	return false
}
