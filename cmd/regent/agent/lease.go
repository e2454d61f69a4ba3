package agent

import (
	"context"
	"fmt"

	"github.com/regent-ha/regent/backends"
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
		x.shorten(e.Epoch, x.now().Add(a.TTL))
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
		x.hold(l)
	case events.Lost:
		x.resign(e.Epoch)
	}
	return out
}

// hold notes that a lease was won or prolonged. Of two answers about one lease the later request tells its end.
func (x *executor) hold(l backends.Lease) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.Epoch <= x.resigned || l.Epoch < x.epoch || l.Epoch == x.epoch && l.SentAt < x.sent {
		return
	}
	x.epoch, x.sent, x.until = l.Epoch, l.SentAt, l.SentAt.Add(l.TTL)
}

// shorten brings the end of the lease forward: a renewal with a shorter ttl may be applied without our learning of it.
func (x *executor) shorten(epoch uint64, until events.Instant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if epoch == x.epoch {
		x.until = min(x.until, until)
	}
}

// resign notes that the lease of an epoch is this member's no longer.
func (x *executor) resign(epoch uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.resigned = max(x.resigned, epoch)
	if x.epoch <= x.resigned {
		x.epoch, x.sent, x.until = 0, 0, 0
	}
}

// stale says why an effect that makes a primary must not be performed, nil if it may.
func (x *executor) stale(e events.Effect) error {
	if !makesPrimary(e.Action) {
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

// makesPrimary tells whether the effect leads to a server that accepts writes. Bootstrap does not: what it leaves
// running is open to nobody but the agent.
func makesPrimary(a events.Action) bool {
	switch a := a.(type) {
	case events.Promote:
		return true
	case events.StartPostgres:
		return a.AsPrimary
	case events.RestartPostgres:
		return a.AsPrimary
	}
	return false
}
