package runner

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Recorder keeps what the engine consumed and concluded. Its methods are called by the loop only.
type Recorder interface {
	// Record takes a step. It must not block: what it cannot take it must count as missing. Neither argument is
	// modified afterwards, so both may be kept.
	Record(in events.Input, d *events.Decision)
	// Sync waits until what was recorded is on disk, or until ctx ends.
	Sync(ctx context.Context) error
}

// Executor performs effects.
type Executor interface {
	// Do begins an effect and returns at once; its outcome is posted to the runner as a fact, no later
	// than a moment after the effect's deadline. Whatever Do takes is taken from every later decision: one that
	// waits for anything but a mutex held for an instant is a programming error.
	Do(e events.Effect)
}

// Config of a runner.
type Config struct {
	Engine   *engine.Engine
	Recorder Recorder
	Executor Executor
	Now      func() events.Instant
	Wall     func() time.Time
	// SyncBudget bounds the wait for the recorder before an irreversible effect, 2 ms if zero.
	SyncBudget time.Duration
	// Observe is told of every step, after it was published and before its effects are handed out. It runs in
	// the loop, as Executor.Do does: one that waits is a programming error. May be nil.
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
	ended   chan struct{} // closed when Run returns
	seq     uint64
}

// ErrEnded tells that the runner has ended: no further status will be published.
var ErrEnded = errors.New("the runner has ended")

// nap bounds a sleep of the loop: timers stand still while the machine is suspended, and the boot clock
// does not, so that it is looked at this often. Without a reason to step, nothing is.
const nap = time.Second

// New builds a runner; Run starts it.
func New(cfg Config) *Runner {
	if cfg.SyncBudget == 0 {
		cfg.SyncBudget = 2 * time.Millisecond
	}
	r := &Runner{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	r.status.Store(cfg.Engine.Status())
	return r
}

// Post puts a fact into the queue. It never blocks and may be called from anywhere; facts of one goroutine are
// consumed in the order in which it posted them. After Run has returned they are dropped.
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

// Run loops until ctx ends or the engine has exited, and returns the code of its Exit effect. A runner runs once.
func (r *Runner) Run(ctx context.Context) (code int, err error) {
	defer close(r.ended)
	timer := time.NewTimer(r.untilWake())
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
			if at := r.cfg.Engine.WakeAt(); at == 0 || r.cfg.Now() < at {
				break // a nap, or a timer ahead of the boot clock
			}
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

// untilWake is how long the loop may sleep when nothing is posted.
func (r *Runner) untilWake() time.Duration {
	at := r.cfg.Engine.WakeAt()
	if at == 0 {
		return nap
	}
	return min(max(at.Sub(r.cfg.Now()), time.Millisecond), nap)
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
	if must, budget := r.syncs(d.Effects); must {
		ctx, cancel := context.WithTimeout(context.Background(), budget)
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

// syncs tells whether one of the effects should be on record when it happens, and how long it may wait for that. The
// lease is moved without a wait: the store keeps a record of its own, and until it has moved nobody can write. The
// sync is begun all the same, so that it is over, as a rule, when the promotion follows.
func (r *Runner) syncs(effects []events.Effect) (must bool, budget time.Duration) {
	for i := range effects {
		switch effects[i].Action.ActionKind() {
		case events.ActPromote, events.ActStopPostgres, events.ActRewind, events.ActClone, events.ActBootstrap, events.ActCrashRecover:
			return true, r.cfg.SyncBudget
		case events.ActAcquireLease, events.ActHandOverLease, events.ActReleaseLease:
			must = true
		}
	}
	return must, 0
}
