package agent

import (
	"context"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
)

var leaseOps = map[events.ActionKind]events.LeaseOp{
	events.ActAcquireLease: events.LeaseAcquire, events.ActRenewLease: events.LeaseRenew,
	events.ActReleaseLease: events.LeaseRelease, events.ActHandOverLease: events.LeaseHandOver,
}

// lease asks the store about the leader lease and keeps the epoch in force for the refusal of stale effects.
func (x *executor) lease(ctx context.Context, e events.Effect) events.Fact {
	var (
		l   backends.Lease
		err error
	)
	switch a := e.Action.(type) {
	case events.AcquireLease:
		l, err = x.store.Acquire(ctx, a.Expect, a.TTL)
	case events.RenewLease:
		x.inForce(func(f *runner.Force) { f.Shorten(e.Epoch, x.now().Add(a.TTL)) })
		l, err = x.store.Renew(ctx, e.Epoch, a.TTL)
	case events.ReleaseLease:
		x.resign(e.Epoch)
		err = x.store.Release(ctx, e.Epoch)
	case events.HandOverLease:
		x.resign(e.Epoch)
		err = x.store.HandOver(ctx, e.Epoch, a.To, a.TTL)
	}
	out := events.LeaseOutcome{Effect: e.ID, Op: leaseOps[e.Action.ActionKind()], Outcome: backends.Classify(err)}
	if err != nil {
		out.Error = err.Error()
	}
	if out.Op != events.LeaseAcquire && out.Op != events.LeaseRenew {
		return out
	}
	switch out.Outcome {
	case events.Done:
		out.Epoch, out.SentAt, out.TTL = l.Epoch, l.SentAt, l.TTL
		x.inForce(func(f *runner.Force) { f.Hold(l.Epoch, l.SentAt, l.SentAt.Add(l.TTL)) })
	case events.Lost:
		x.resign(e.Epoch)
	}
	return out
}

// inForce works with the lease in force.
func (x *executor) inForce(do func(f *runner.Force)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	do(&x.force)
}

// resign notes that the lease of an epoch is this member's no longer.
func (x *executor) resign(epoch uint64) { x.inForce(func(f *runner.Force) { f.Resign(epoch) }) }

// stale says why an effect must not be performed, nil if it may.
func (x *executor) stale(e events.Effect) (err error) {
	x.inForce(func(f *runner.Force) { err = f.Stale(e, x.now()) })
	return err
}
