package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
	"github.com/regent-ha/regent/pgdriver"
	"github.com/regent-ha/regent/pgdriver/fence"
)

// executor performs effects. Do returns at once; each effect runs on a goroutine that wait joins.
type executor struct {
	post   func(events.Fact)
	answer func(events.AnswerOperator)
	now    func() events.Instant
	store  backends.Store
	driver *pgdriver.Driver
	fence  *fence.Fence // nil when the guard is off
	peers  *httpapi.Client
	docs   *documents
	log    *zap.Logger

	base context.Context
	wg   sync.WaitGroup
	// slot holds one token: at most one effect works on the data directory, whatever the engine says.
	slot chan struct{}

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc
	epoch   uint64         // of the lease in force, zero without one
	until   events.Instant // its end
	ended   bool
}

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
	ctx, cancel := context.WithTimeout(x.base, max(e.Deadline.Sub(x.now()), time.Millisecond))
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		cancel()
		return
	}
	x.cancels[e.ID] = cancel
	x.wg.Add(1)
	go func() { // joined by wait
		defer x.wg.Done()
		x.perform(ctx, e)
		x.mu.Lock()
		delete(x.cancels, e.ID)
		x.mu.Unlock()
		cancel()
	}()
}

// wait refuses further effects and waits for those under way; base must have ended.
func (x *executor) wait() {
	x.mu.Lock()
	x.ended = true
	x.mu.Unlock()
	x.wg.Wait()
}

func (x *executor) perform(ctx context.Context, e events.Effect) {
	switch a := e.Action.(type) {
	case events.AcquireLease, events.RenewLease, events.ReleaseLease, events.HandOverLease:
		x.post(x.lease(ctx, e))
	case events.PutKey:
		rev, err := x.store.Put(ctx, a.Key, x.docs.real(a.Value), a.Expect)
		x.finish(e, events.Result{Revision: rev}, err, backends.Classify(err))
	case events.DeleteKey:
		err := x.store.Delete(ctx, a.Key, a.Expect)
		x.finish(e, events.Result{}, err, backends.Classify(err))
	case events.PutMember:
		err := x.store.PutMember(ctx, a.Value, a.TTL)
		x.finish(e, events.Result{}, err, backends.Classify(err))
	case events.ReadDCS:
		snap, err := x.store.Snapshot(ctx)
		if err == nil {
			x.post(x.docs.redact(snap))
		}
		x.finish(e, events.Result{}, err, backends.Classify(err))
	case events.AskPeers:
		x.askPeers(ctx, e, a)
	case events.ArmGuard:
		err := x.armGuard(ctx, a.Deadline)
		x.finish(e, events.Result{}, err, outcomeOf(err))
	case events.DisarmGuard:
		err := x.disarmGuard(ctx)
		x.finish(e, events.Result{}, err, outcomeOf(err))
	default:
		x.postgres(ctx, e)
	}
}

// finish posts the outcome of an effect.
func (x *executor) finish(e events.Effect, r events.Result, err error, outcome events.Outcome) {
	f := events.EffectFinished{Effect: e.ID, Ended: x.now(), Action: e.Action.ActionKind(), Outcome: outcome, Result: r}
	if err != nil {
		f.Error, f.Hint = err.Error(), pgdriver.Hint(err)
	}
	x.post(x.docs.redact(f))
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

// lease asks the store about the leader lease and keeps the epoch in force for the refusal of stale effects.
func (x *executor) lease(ctx context.Context, e events.Effect) events.LeaseOutcome {
	out := events.LeaseOutcome{Effect: e.ID}
	var (
		l   backends.Lease
		err error
	)
	switch a := e.Action.(type) {
	case events.AcquireLease:
		out.Op = events.LeaseAcquire
		l, err = x.store.Acquire(ctx, a.Expect, a.TTL)
	case events.RenewLease:
		out.Op = events.LeaseRenew
		l, err = x.store.Renew(ctx, e.Epoch, a.TTL)
	case events.ReleaseLease:
		out.Op = events.LeaseRelease
		x.hold(0, 0)
		err = x.store.Release(ctx, e.Epoch)
	case events.HandOverLease:
		out.Op = events.LeaseHandOver
		x.hold(0, 0)
		err = x.store.HandOver(ctx, e.Epoch, a.To, a.TTL)
	}
	out.Outcome = backends.Classify(err)
	if err != nil {
		out.Error = err.Error()
	}
	if out.Op == events.LeaseAcquire || out.Op == events.LeaseRenew {
		switch out.Outcome {
		case events.Done:
			out.Epoch, out.SentAt, out.TTL = l.Epoch, l.SentAt, l.TTL
			x.hold(l.Epoch, l.SentAt.Add(l.TTL))
		case events.Lost:
			x.hold(0, 0)
		}
	}
	return out
}

func (x *executor) hold(epoch uint64, until events.Instant) {
	x.mu.Lock()
	x.epoch, x.until = epoch, until
	x.mu.Unlock()
}

// stale says why an effect that makes a primary must not be performed, nil if it may.
func (x *executor) stale(e events.Effect) error {
	start, isStart := e.Action.(events.StartPostgres)
	if e.Action.ActionKind() != events.ActPromote && !(isStart && start.AsPrimary) {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case e.Epoch == 0 || e.Epoch != x.epoch:
		return fmt.Errorf("decided under epoch %d, and the epoch in force is %d", e.Epoch, x.epoch)
	case x.now() >= x.until:
		return fmt.Errorf("the lease of epoch %d has ended", e.Epoch)
	}
	return nil
}

// postgres performs what works on the server or its data directory.
func (x *executor) postgres(ctx context.Context, e events.Effect) {
	if exclusive(e.Action.ActionKind()) {
		select {
		case x.slot <- struct{}{}:
			defer func() { <-x.slot }()
		case <-ctx.Done():
			x.finish(e, events.Result{}, errors.New("another effect works on the data directory"), events.Failed)
			return
		}
	}
	if err := x.stale(e); err != nil {
		x.finish(e, events.Result{}, err, events.Stale)
		return
	}
	progress := func(text string) { x.post(events.Progress{Effect: e.ID, Text: text}) }
	r, err := x.drive(ctx, e.Action, progress)
	outcome := outcomeOf(err)
	if outcome == events.Unknown && exclusive(e.Action.ActionKind()) {
		outcome = events.Failed // the driver has stopped what it did; the next look tells how far it came
	}
	x.finish(e, r, err, outcome)
	x.driver.Poke()
}

func exclusive(k events.ActionKind) bool {
	switch k {
	case events.ActCheckpoint, events.ActSyncSlots, events.ActApplyConfig:
		return false
	}
	return true
}

func (x *executor) drive(ctx context.Context, action events.Action, progress func(string)) (events.Result, error) {
	d := x.driver
	switch a := action.(type) {
	case events.Bootstrap:
		return d.Bootstrap(ctx, progress)
	case events.Clone:
		return d.Clone(ctx, a.From, a.Discard, progress)
	case events.StartPostgres:
		return d.Start(ctx, a, progress)
	case events.StopPostgres:
		return d.Stop(ctx, a, progress)
	case events.RestartPostgres:
		return d.Restart(ctx, a, progress)
	case events.Promote:
		return d.Promote(ctx, progress)
	case events.Follow:
		return d.Follow(ctx, a, progress)
	case events.Checkpoint:
		return d.Checkpoint(ctx, progress)
	case events.CheckDivergence:
		return d.CheckDivergence(ctx, a.Leader, progress)
	case events.CrashRecover:
		return d.CrashRecover(ctx, progress)
	case events.Rewind:
		return d.Rewind(ctx, a.From, progress)
	case events.SyncSlots:
		return d.SyncSlots(ctx, a.Members, a.Drop, progress)
	case events.ApplyConfig:
		return d.ApplyConfig(ctx, []byte(x.docs.real(string(a.Document))), progress)
	}
	return events.Result{}, fmt.Errorf("no such action: %s", action.ActionKind())
}

// askPeers asks all members at once; each answer, or the lack of one, is a fact of its own.
func (x *executor) askPeers(ctx context.Context, e events.Effect, a events.AskPeers) {
	x.driver.Poke() // the own position should be no older than theirs
	var wg sync.WaitGroup
	for _, p := range a.Peers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			st := x.peers.PeerStatus(ctx, p)
			x.post(events.PeerAnswered{Effect: e.ID, Peer: st})
		}()
	}
	wg.Wait()
}

func (x *executor) armGuard(ctx context.Context, deadline events.Instant) error {
	if x.fence == nil {
		return errors.New("the guard is off")
	}
	return x.fence.Arm(ctx, deadline)
}

func (x *executor) disarmGuard(ctx context.Context) error {
	if x.fence == nil {
		return nil
	}
	if x.fence.State().Fired {
		return x.fence.AcknowledgeFired(ctx)
	}
	return x.fence.Disarm(ctx)
}
