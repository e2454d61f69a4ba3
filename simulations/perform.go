package simulations

import (
	"strings"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// perform is the modelled executor.
func (m *Member) perform(e events.Effect) {
	switch a := e.Action.(type) {
	case events.AcquireLease, events.RenewLease, events.ReleaseLease, events.HandOverLease:
		m.performLease(e)
	case events.PrepareLease:
		m.write(e, stores.Request{Op: stores.Prepare, TTL: a.TTL})
	case events.PutKey:
		m.write(e, stores.Request{Op: stores.Put, Key: a.Key, Value: a.Value, Expect: a.Expect})
	case events.DeleteKey:
		m.write(e, stores.Request{Op: stores.Delete, Key: a.Key, Expect: a.Expect})
	case events.PutMember:
		m.write(e, stores.Request{Op: stores.PutMember, Value: a.Value, TTL: a.TTL})
	case events.ReadDCS:
		m.write(e, stores.Request{Op: stores.Snapshot})
	case events.AskPeers:
		run := m.run
		m.w.after(around(m.w.hosts, "a look on demand", time.Millisecond), func() {
			if m.run == run {
				m.observe()
			}
		})
		for _, p := range a.Peers {
			m.askPeer(e, p)
		}
	case events.ArmGuard:
		outcome := events.Failed
		if m.guard.arm(a.Deadline) {
			outcome = events.Done
		}
		m.finish(e, time.Millisecond, outcome, events.Result{})
	case events.DisarmGuard:
		m.guard.disarm()
		m.finish(e, time.Millisecond, events.Done, events.Result{})
	case events.AnswerOperator:
	case events.Cancel:
		m.cancel(a.Effect)
	case events.Exit:
		m.Exit = a.Code
		m.Kill()
	default:
		if m.force.Stale(e, m.now()) != nil {
			m.finish(e, time.Millisecond, events.Stale, events.Result{})
			return
		}
		m.performPostgres(e)
	}
}

// ask sends a request to the store.
func (m *Member) ask(deadline events.Instant, r stores.Request, answer func(stores.Response)) {
	r.Deadline = m.clock.when(deadline)
	if mutant := m.w.set.Mutant; mutant != nil {
		m.askWrongly(mutant, r, answer)
		return
	}
	run, op := m.run, r.Op
	m.session.Do(r, func(resp stores.Response) {
		if m.run == run {
			m.w.Counts.Request(op, resp.Outcome)
			answer(resp)
		}
	})
}

// askWrongly is ask as a mutant does it.
func (m *Member) askWrongly(mutant *Mutant, r stores.Request, answer func(stores.Response)) {
	run, op := m.run, r.Op
	if mutant.send != nil && !mutant.send(m, &r) {
		lease := backends.Lease{Epoch: r.Epoch, SentAt: m.w.Now(), TTL: r.TTL}
		m.w.after(time.Millisecond, func() {
			if m.run == run {
				answer(stores.Response{Outcome: events.Done, Lease: lease})
			}
		})
		return
	}
	m.session.Do(r, func(resp stores.Response) {
		if m.run != run {
			return
		}
		m.w.Counts.Request(op, resp.Outcome)
		if mutant.answer != nil {
			mutant.answer(m, &r, &resp)
		}
		answer(resp)
	})
}

// write is a request to the store that has no outcome of its own kind.
func (m *Member) write(e events.Effect, r stores.Request) {
	id, kind, op := e.ID, e.Action.ActionKind(), r.Op
	m.ask(e.Deadline, r, func(resp stores.Response) {
		if op == stores.Snapshot && resp.Outcome == events.Done {
			m.post(resp.Snapshot)
		}
		m.post(events.EffectFinished{Effect: id, Ended: m.now(), Action: kind, Outcome: resp.Outcome, Error: resp.Error,
			Result: events.Result{Revision: resp.Revision}})
	})
}

func (m *Member) performLease(e events.Effect) {
	var op events.LeaseOp
	r := stores.Request{Epoch: e.Epoch}
	switch a := e.Action.(type) {
	case events.AcquireLease:
		op, r.Op, r.Expect, r.TTL = events.LeaseAcquire, stores.Acquire, int64(a.Expect), a.TTL
	case events.RenewLease:
		op, r.Op, r.TTL = events.LeaseRenew, stores.Renew, a.TTL
		m.force.Shorten(e.Epoch, m.now().Add(a.TTL))
	case events.ReleaseLease:
		op, r.Op = events.LeaseRelease, stores.Release
		m.force.Resign(e.Epoch)
	case events.HandOverLease:
		op, r.Op, r.To, r.TTL = events.LeaseHandOver, stores.HandOver, a.To, a.TTL
		m.force.Resign(e.Epoch)
	}
	id, epoch := e.ID, e.Epoch
	m.ask(e.Deadline, r, func(resp stores.Response) {
		out := events.LeaseOutcome{Effect: id, Op: op, Outcome: resp.Outcome, Error: resp.Error}
		if op == events.LeaseAcquire || op == events.LeaseRenew {
			switch resp.Outcome {
			case events.Done:
				l := resp.Lease
				l.SentAt = m.clock.at(l.SentAt)
				out.Epoch, out.SentAt, out.TTL = l.Epoch, l.SentAt, l.TTL
				m.force.Hold(l.Epoch, l.SentAt, l.SentAt.Add(l.TTL))
			case events.Lost:
				m.force.Resign(epoch)
			}
		}
		m.post(out)
	})
}

// askPeer asks another member how it is. The question and the answer go their ways each by itself.
func (m *Member) askPeer(e events.Effect, p events.Peer) {
	w, run := m.w, m.run
	deadline := m.clock.when(e.Deadline)
	answer := func(after time.Duration, st events.PeerStatus) {
		if most := deadline.Sub(w.Now()) - time.Millisecond; after >= most {
			after, st = max(most, 0), events.PeerStatus{Name: p.Name, Error: "timeout"}
		}
		w.after(after, func() {
			if m.run == run {
				m.post(events.PeerAnswered{Effect: e.ID, Peer: st})
			}
		})
	}
	never := func() { answer(time.Hour, events.PeerStatus{}) }
	refused := events.PeerStatus{Name: p.Name, Error: "connection refused"}
	peer := w.at(p)
	if peer == nil || kernel.Chance(w.net.env, "a peer's answer is lost", w.Faults.SlowPeer/2) {
		never()
		return
	}
	way, fate := w.net.fate(m, peer, "to a peer")
	switch fate {
	case stores.Vanishes:
		never()
		return
	case stores.Resets:
		answer(way, refused)
		return
	}
	w.after(way, func() {
		back, fate := w.net.fate(peer, m, "from a peer")
		switch {
		case m.run != run:
		case fate == stores.Vanishes || peer.frozen && peer.alive:
			never()
		case fate == stores.Resets || !peer.alive:
			answer(back, refused)
		default:
			if kernel.Chance(w.net.env, "a peer's answer is late", w.Faults.SlowPeer) {
				back += kernel.Between(w.net.env, "how late a peer's answer is", 0, 1900*time.Millisecond)
			}
			answer(back, peer.status())
		}
	})
}

// at finds who answers at a peer's address, which need not be the member of that name.
func (w *World) at(p events.Peer) *Member {
	host, _, _ := strings.Cut(strings.TrimPrefix(p.APIURL, "http://"), ":")
	return w.Member(host)
}

// status is what a member says of itself to another that asks.
func (m *Member) status() events.PeerStatus {
	o := m.pg.Observe()
	st := events.PeerStatus{
		Name: m.called, Reachable: o.Answering, Running: o.Answering, Primary: o.Answering && !o.Server.InRecovery,
		Timeline: o.Server.Timeline, Position: o.Server.Position(), Tags: m.Tags,
		WatchdogFailed: m.w.set.Guard == "required" && !m.guard.alive,
	}
	if !st.Reachable {
		st.Error, st.Mute = "its PostgreSQL does not answer", m.pg.Running()
	}
	return st
}

// finish posts an outcome later, unless the effect is cancelled before.
func (m *Member) finish(e events.Effect, d time.Duration, outcome events.Outcome, r events.Result) {
	m.pending[e.ID] = nil
	run := m.run
	m.w.after(d, func() {
		if _, under := m.pending[e.ID]; m.run == run && under {
			delete(m.pending, e.ID)
			m.post(events.EffectFinished{Effect: e.ID, Action: e.Action.ActionKind(), Outcome: outcome, Result: r})
			m.observe()
		}
	})
}
