package simulations

import (
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// perform is the modelled executor.
func (m *Member) perform(e events.Effect) {
	switch a := e.Action.(type) {
	case events.AcquireLease, events.RenewLease, events.ReleaseLease, events.HandOverLease:
		m.performLease(e)
	case events.PutKey:
		m.write(e, func() (events.Outcome, uint64) {
			if !m.w.store.holds(a.Key, a.Expect) {
				return events.Lost, 0
			}
			return events.Done, m.w.store.put(a.Key, a.Value, 0)
		})
	case events.DeleteKey:
		m.write(e, func() (events.Outcome, uint64) {
			if !m.w.store.holds(a.Key, a.Expect) {
				return events.Lost, 0
			}
			m.w.store.remove(a.Key)
			return events.Done, 0
		})
	case events.PutMember:
		m.write(e, func() (events.Outcome, uint64) {
			return events.Done, m.w.store.put(events.KeyMembers+m.name, a.Value, a.TTL)
		})
	case events.PrepareLease: // this store has nothing to get ready
		m.finish(e, time.Millisecond, events.Done, events.Result{})
	case events.ReadDCS:
		m.write(e, func() (events.Outcome, uint64) {
			m.post(m.w.store.snapshot())
			return events.Done, 0
		})
	case events.AskPeers:
		run := m.run
		m.w.after(m.w.jitter(time.Millisecond), func() {
			if m.run == run {
				m.observe()
			}
		})
		for _, p := range a.Peers {
			m.askPeer(e, p)
		}
	case events.ArmGuard:
		outcome := events.Failed
		if m.guardAlive && !m.guardFired && a.Deadline > m.w.now {
			m.guardDeadline, outcome = a.Deadline, events.Done
		}
		m.finish(e, time.Millisecond, outcome, events.Result{})
	case events.DisarmGuard:
		m.guardDeadline, m.guardFired = 0, false
		m.finish(e, time.Millisecond, events.Done, events.Result{})
	case events.AnswerOperator:
	case events.Cancel:
		if m.pending[a.Effect] {
			delete(m.pending, a.Effect)
			m.postAfter(time.Millisecond, events.EffectFinished{Effect: a.Effect, Outcome: events.Failed, Error: "cancelled"})
		}
	case events.Exit:
		m.Exit = a.Code
		m.Kill()
	default:
		m.performPostgres(e)
	}
}

// write is a request to the store that has no outcome of its own kind.
func (m *Member) write(e events.Effect, do func() (events.Outcome, uint64)) {
	outcome, rev := events.Unknown, uint64(0)
	m.request(e, func() { outcome, rev = do() }, func(o events.Outcome) {
		f := events.EffectFinished{Effect: e.ID, Action: e.Action.ActionKind(), Outcome: o}
		if o == events.Done {
			f.Outcome, f.Result.Revision = outcome, rev
		} else {
			f.Error = "timeout"
		}
		m.post(f)
	})
}

func (m *Member) performLease(e events.Effect) {
	sent := m.w.now
	out := events.LeaseOutcome{Effect: e.ID, SentAt: sent, Outcome: events.Unknown}
	s := m.w.store
	var do func()
	mine := func() bool { k := s.keys[events.KeyLeader]; return k != nil && k.value == m.name && k.rev == e.Epoch }
	switch a := e.Action.(type) {
	case events.AcquireLease:
		out.Op, out.TTL = events.LeaseAcquire, a.TTL
		do = func() {
			out.Outcome = events.Lost
			if s.holds(events.KeyLeader, int64(a.Expect)) {
				out.Outcome, out.Epoch = events.Done, s.put(events.KeyLeader, m.name, a.TTL)
			}
		}
	case events.RenewLease:
		out.Op, out.TTL = events.LeaseRenew, a.TTL
		do = func() {
			out.Outcome = events.Lost
			if mine() {
				s.prolong(events.KeyLeader, a.TTL)
				out.Outcome, out.Epoch = events.Done, e.Epoch
			}
		}
	case events.ReleaseLease:
		out.Op = events.LeaseRelease
		do = func() {
			if out.Outcome = events.Lost; mine() {
				s.remove(events.KeyLeader)
				out.Outcome = events.Done
			}
		}
	case events.HandOverLease:
		out.Op = events.LeaseHandOver
		do = func() {
			if out.Outcome = events.Lost; mine() {
				s.put(events.KeyLeader, a.To, a.TTL)
				out.Outcome = events.Done
			}
		}
	}
	m.request(e, do, func(o events.Outcome) {
		if o != events.Done {
			out = events.LeaseOutcome{Effect: e.ID, Op: out.Op, Outcome: o, Error: "timeout"}
		}
		m.post(out)
	})
}

func (m *Member) askPeer(e events.Effect, p events.Peer) {
	peer := m.w.Member(p.Name)
	if peer == nil || peer.isolated || m.isolated || peer.frozen || m.w.chance(m.w.Faults.SlowPeer/2) {
		m.postAfter(max(e.Deadline.Sub(m.w.now)-time.Millisecond, 0), events.PeerAnswered{Effect: e.ID, Peer: events.PeerStatus{Name: p.Name, Error: "timeout"}})
		return
	}
	m.w.after(m.w.jitter(2*time.Millisecond), func() {
		st := events.PeerStatus{Name: p.Name, Error: "connection refused"}
		if peer.alive {
			o := peer.pg.observation()
			st = events.PeerStatus{
				Name: p.Name, Reachable: o.Answering, Running: o.Answering, Primary: o.Answering && !o.Server.InRecovery,
				Timeline: o.Server.Timeline, Position: o.Server.Position(), Tags: peer.Tags,
				WatchdogFailed: m.w.set.Guard == "required" && !peer.guardAlive,
			}
		}
		way := m.w.jitter(2 * time.Millisecond)
		if m.w.chance(m.w.Faults.SlowPeer) {
			way += m.w.within(1900 * time.Millisecond)
		}
		m.postAfter(way, events.PeerAnswered{Effect: e.ID, Peer: st})
	})
}

// finish posts an outcome later, unless the effect is cancelled before.
func (m *Member) finish(e events.Effect, d time.Duration, outcome events.Outcome, r events.Result) {
	m.pending[e.ID] = true
	run := m.run
	m.w.after(d, func() {
		if m.run == run && m.pending[e.ID] {
			delete(m.pending, e.ID)
			m.post(events.EffectFinished{Effect: e.ID, Action: e.Action.ActionKind(), Outcome: outcome, Result: r})
			m.observe()
		}
	})
}

func nameOf(u events.Upstream) string {
	host := strings.TrimPrefix(u.ConnURL, "postgres://")
	name, _, _ := strings.Cut(host, ":")
	return name
}
