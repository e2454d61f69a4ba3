package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// perform does what an effect says and returns its outcome; nil if its answers are facts of their own.
func (x *executor) perform(ctx context.Context, e events.Effect) events.Fact {
	switch a := e.Action.(type) {
	case events.AcquireLease, events.RenewLease, events.ReleaseLease, events.HandOverLease:
		return x.lease(ctx, e)
	case events.PrepareLease:
		err := x.store.Prepare(ctx, a.TTL)
		return x.finished(e, events.Result{}, err, backends.Classify(err))
	case events.PutKey:
		return x.putKey(ctx, e, a)
	case events.DeleteKey:
		err := x.store.Delete(ctx, a.Key, a.Expect)
		return x.finished(e, events.Result{}, err, backends.Classify(err))
	case events.PutMember:
		err := x.store.PutMember(ctx, a.Value, a.TTL)
		return x.finished(e, events.Result{}, err, backends.Classify(err))
	case events.ReadDCS:
		snap, err := x.store.Snapshot(ctx)
		if err == nil {
			x.post(snap)
		}
		return x.finished(e, events.Result{}, err, backends.Classify(err))
	case events.AskPeers:
		x.askPeers(ctx, e, a)
		return nil
	case events.ArmGuard:
		err := x.armGuard(ctx, a.Deadline)
		return x.finished(e, events.Result{}, err, outcomeOf(err))
	case events.DisarmGuard:
		err := x.disarmGuard(ctx)
		return x.finished(e, events.Result{}, err, outcomeOf(err))
	}
	return x.postgres(ctx, e)
}

func (x *executor) putKey(ctx context.Context, e events.Effect, a events.PutKey) events.Fact {
	value := a.Value
	if a.Key == events.KeyConfig {
		var err error
		if value, err = x.docs.real(value); err != nil {
			return x.finished(e, events.Result{}, err, events.Failed)
		}
	}
	rev, err := x.store.Put(ctx, a.Key, value, a.Expect)
	return x.finished(e, events.Result{Revision: rev}, err, backends.Classify(err))
}

// postgres performs what works on the server or its data directory.
func (x *executor) postgres(ctx context.Context, e events.Effect) events.Fact {
	alone := exclusive(e.Action.ActionKind())
	if alone {
		select {
		case x.slot <- struct{}{}:
			defer func() { <-x.slot }()
		case <-ctx.Done():
			return x.finished(e, events.Result{}, errors.New("another effect works on the data directory"), events.Failed)
		}
	}
	if err := x.stale(e); err != nil {
		return x.finished(e, events.Result{}, err, events.Stale)
	}
	progress := func(text string) { x.post(events.Progress{Effect: e.ID, Text: text}) }
	r, err := x.drive(ctx, e.Action, progress)
	outcome := outcomeOf(err)
	if outcome == events.Unknown && alone {
		outcome = events.Failed // the driver has stopped what it did; the next look tells how far it came
	}
	return x.finished(e, r, err, outcome)
}

// exclusive tells whether an effect on PostgreSQL must be the only one of its kind.
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
		document, err := x.docs.real(string(a.Document))
		if err != nil {
			return events.Result{}, err
		}
		return d.ApplyConfig(ctx, json.RawMessage(document), progress)
	}
	return events.Result{}, fmt.Errorf("no such action: %s", action.ActionKind())
}

// onServer tells whether an effect may have changed what a look at PostgreSQL shows.
func onServer(k events.ActionKind) bool {
	switch k {
	case events.ActAcquireLease, events.ActRenewLease, events.ActReleaseLease, events.ActHandOverLease,
		events.ActPrepareLease, events.ActPutKey, events.ActDeleteKey, events.ActPutMember, events.ActReadDCS,
		events.ActAskPeers, events.ActArmGuard, events.ActDisarmGuard:
		return false
	}
	return true
}

// askPeers asks all members at once; each answer, or the lack of one, is a fact of its own.
func (x *executor) askPeers(ctx context.Context, e events.Effect, a events.AskPeers) {
	x.driver.Poke() // the own position should be no older than theirs
	var wg sync.WaitGroup
	for _, p := range a.Peers {
		wg.Go(func() {
			st := x.peers.PeerStatus(ctx, p)
			x.post(events.PeerAnswered{Effect: e.ID, Peer: st})
		})
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
