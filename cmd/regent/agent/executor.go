package agent

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/pgdriver"
)

// driver is the PostgreSQL that effects work on: a *pgdriver.Driver.
type driver interface {
	Bootstrap(ctx context.Context, progress func(string)) (events.Result, error)
	Clone(ctx context.Context, from events.Upstream, discard bool, progress func(string)) (events.Result, error)
	Start(ctx context.Context, a events.StartPostgres, progress func(string)) (events.Result, error)
	Stop(ctx context.Context, a events.StopPostgres, progress func(string)) (events.Result, error)
	Restart(ctx context.Context, a events.RestartPostgres, progress func(string)) (events.Result, error)
	Promote(ctx context.Context, progress func(string)) (events.Result, error)
	Follow(ctx context.Context, a events.Follow, progress func(string)) (events.Result, error)
	Checkpoint(ctx context.Context, progress func(string)) (events.Result, error)
	CheckDivergence(ctx context.Context, leader events.Upstream, progress func(string)) (events.Result, error)
	CrashRecover(ctx context.Context, progress func(string)) (events.Result, error)
	Rewind(ctx context.Context, from events.Upstream, progress func(string)) (events.Result, error)
	SyncSlots(ctx context.Context, members, drop []string, progress func(string)) (events.Result, error)
	ApplyConfig(ctx context.Context, document json.RawMessage, progress func(string)) (events.Result, error)
	// Poke asks for a look at PostgreSQL now.
	Poke()
}

// fencer is the guard: a *fence.Fence.
type fencer interface {
	Arm(ctx context.Context, deadline events.Instant) error
	Disarm(ctx context.Context) error
	AcknowledgeFired(ctx context.Context) error
	State() events.GuardTick
}

// peers is how other members are asked: a *httpapi.Client.
type peers interface {
	PeerStatus(ctx context.Context, p events.Peer) events.PeerStatus
}

// executor performs effects. Do returns at once; each effect runs on a goroutine that wait joins, and has exactly one
// outcome: its own, or Unknown when it has none a moment after its deadline.
type executor struct {
	post   func(events.Fact)
	answer func(events.AnswerOperator)
	now    func() events.Instant
	store  backends.Store
	driver driver
	fence  fencer // nil when the guard is off
	peers  peers
	docs   *documents
	log    *zap.Logger
	// moment after an effect's deadline at which its outcome is given up; defaultMoment if zero.
	moment time.Duration

	base context.Context
	wg   sync.WaitGroup
	// slot holds one token: at most one effect works on the data directory, whatever the engine says.
	slot chan struct{}

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc
	force   runner.Force
	ended   bool
}

// defaultMoment leaves time to clean up after the deadline, and is well before the engine gives up by itself.
const defaultMoment = 2 * time.Second

// Do begins an effect.
func (x *executor) Do(e events.Effect) {
	switch a := e.Action.(type) {
	case events.Cancel:
		x.mu.Lock()
		if cancel := x.cancels[a.Effect]; cancel != nil {
			cancel()
		}
		x.mu.Unlock()
		return
	case events.AnswerOperator:
		x.answer(a)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return // the runner has ended, too: nobody waits for an outcome
	}
	left := max(e.Deadline.Sub(x.now()), time.Millisecond)
	ctx, cancel := context.WithTimeout(x.base, left)
	x.cancels[e.ID] = cancel
	x.wg.Add(1)
	go func() { // joined by wait
		defer x.wg.Done()
		x.attend(ctx, e, left)
		x.mu.Lock()
		delete(x.cancels, e.ID)
		x.mu.Unlock()
		cancel()
	}()
}

// attend performs an effect and posts its outcome. What does not return in spite of its context, as a system call
// on a disk that hangs, goes on by itself, and holds the slot; the engine is told that the outcome is unknown.
func (x *executor) attend(ctx context.Context, e events.Effect, left time.Duration) {
	moment := x.moment
	if moment == 0 {
		moment = defaultMoment
	}
	var told atomic.Bool
	late := time.AfterFunc(left+moment, func() {
		if !told.Swap(true) {
			x.post(givenUp(e, x.now()))
		}
	})
	defer late.Stop()
	out := x.perform(ctx, e)
	switch {
	case out == nil:
		told.Store(true) // its answers are facts of their own
	case !told.Swap(true):
		x.post(out)
	default:
		x.log.Warn("an effect ended after it had been given up", zap.Uint64("effect", e.ID), zap.String("action", string(e.Action.ActionKind())))
	}
	if onServer(e.Action.ActionKind()) {
		x.driver.Poke()
	}
}

// givenUp is the outcome of an effect that did not return.
func givenUp(e events.Effect, now events.Instant) events.Fact {
	const text = "no outcome by its deadline: it may still be under way"
	if op, ok := leaseOps[e.Action.ActionKind()]; ok {
		return events.LeaseOutcome{Effect: e.ID, Op: op, Outcome: events.Unknown, Error: text}
	}
	return events.EffectFinished{Effect: e.ID, Ended: now, Action: e.Action.ActionKind(), Outcome: events.Unknown, Error: text}
}

// finished is the outcome of an effect that has no answer of its own kind.
func (x *executor) finished(e events.Effect, r events.Result, err error, outcome events.Outcome) events.Fact {
	f := events.EffectFinished{Effect: e.ID, Ended: x.now(), Action: e.Action.ActionKind(), Outcome: outcome, Result: r}
	if err != nil {
		f.Error, f.Hint = err.Error(), pgdriver.Hint(err)
	}
	return f
}

func outcomeOf(err error) events.Outcome {
	switch {
	case err == nil:
		return events.Done
	case errors.Is(err, context.DeadlineExceeded):
		return events.Unknown
	}
	return events.Failed
}

// wait refuses further effects and waits for those under way; base must have ended.
func (x *executor) wait() {
	x.mu.Lock()
	x.ended = true
	x.mu.Unlock()
	x.wg.Wait()
}
