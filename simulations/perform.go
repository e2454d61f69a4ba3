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
	case events.ReadDCS:
		m.write(e, func() (events.Outcome, uint64) {
			m.post(m.w.store.snapshot())
			return events.Done, 0
		})
	case events.AskPeers:
		m.observe()
		for _, p := range a.Peers {
			m.askPeer(e, p)
		}
	case events.ArmGuard:
		outcome := events.Failed
		if m.guardAlive && !m.guardFired {
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

// write models a round trip to the store: a request may be lost on the way, and then nobody answers.
func (m *Member) write(e events.Effect, do func() (events.Outcome, uint64)) {
	run := m.run
	m.w.after(m.w.jitter(storeLatency), func() {
		if !m.w.store.up || m.storeCut {
			wait := max(e.Deadline.Sub(m.w.now), time.Millisecond)
			m.postAfter(wait, events.EffectFinished{Effect: e.ID, Action: e.Action.ActionKind(), Outcome: events.Unknown, Error: "timeout"})
			return
		}
		outcome, rev := do()
		if m.run == run {
			m.postAfter(m.w.jitter(storeLatency), events.EffectFinished{
				Effect: e.ID, Action: e.Action.ActionKind(), Outcome: outcome, Result: events.Result{Revision: rev},
			})
		}
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
	m.w.after(m.w.jitter(storeLatency), func() {
		if !s.up || m.storeCut {
			m.postAfter(max(e.Deadline.Sub(m.w.now), time.Millisecond), out)
			return
		}
		do()
		m.postAfter(m.w.jitter(storeLatency), out)
	})
}

func (m *Member) askPeer(e events.Effect, p events.Peer) {
	peer := m.w.Member(p.Name)
	if peer == nil || peer.isolated || m.isolated || peer.frozen {
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
			}
		}
		m.postAfter(m.w.jitter(2*time.Millisecond), events.PeerAnswered{Effect: e.ID, Peer: st})
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

// later does something to PostgreSQL after a while, unless the effect is cancelled before.
func (m *Member) later(e events.Effect, d time.Duration, do func() (events.Outcome, events.Result)) {
	m.pending[e.ID] = true
	run := m.run
	m.w.after(m.w.jitter(d), func() {
		if m.run != run || !m.pending[e.ID] {
			return
		}
		outcome, r := do()
		m.finish(e, time.Millisecond, outcome, r)
	})
}

func (m *Member) performPostgres(e events.Effect) {
	p := &m.pg
	done := func() (events.Outcome, events.Result) { return events.Done, events.Result{} }
	switch a := e.Action.(type) {
	case events.Bootstrap:
		m.later(e, 2*time.Second, func() (events.Outcome, events.Result) {
			p.data, p.sysid, p.timeline, p.lsn, p.clean = true, "7000000000000000001", 1, 16<<20, true
			return events.Done, events.Result{SystemID: p.sysid}
		})
	case events.Clone:
		m.later(e, 3*time.Second, func() (events.Outcome, events.Result) { return m.clone(a) })
	case events.StartPostgres:
		m.startServer(e, a)
	case events.RestartPostgres:
		p.running = false
		m.startServer(e, events.StartPostgres(a))
	case events.StopPostgres:
		m.stopServer(e, a)
	case events.Promote:
		m.later(e, 60*time.Millisecond, func() (events.Outcome, events.Result) { return m.promote() })
	case events.Follow:
		m.later(e, 5*time.Millisecond, func() (events.Outcome, events.Result) { p.upstream = nameOf(a.From); return done() })
	case events.CheckDivergence:
		m.later(e, 20*time.Millisecond, func() (events.Outcome, events.Result) {
			up := m.w.Member(a.Leader.Name)
			if up == nil || !up.pg.writable() {
				return events.Failed, events.Result{}
			}
			r := events.Result{Divergence: events.DivergenceNone}
			if p.diverged(&up.pg) {
				r.Divergence = events.DivergenceFound
			}
			return events.Done, r
		})
	case events.CrashRecover:
		m.later(e, 500*time.Millisecond, func() (events.Outcome, events.Result) { p.clean = true; return done() })
	case events.Rewind:
		m.later(e, time.Second, func() (events.Outcome, events.Result) { return m.rewind(a) })
	default:
		m.later(e, 20*time.Millisecond, done)
	}
}

func (m *Member) clone(a events.Clone) (events.Outcome, events.Result) {
	up := m.w.Member(a.From.Name)
	if up == nil || !up.pg.running || up.pg.starting {
		return events.Failed, events.Result{}
	}
	p := &m.pg
	p.data, p.sysid, p.timeline, p.lsn, p.standby, p.clean = true, up.pg.sysid, up.pg.timeline, up.pg.lsn, true, true
	p.history = append(p.history[:0:0], up.pg.history...)
	return events.Done, events.Result{SystemID: p.sysid}
}

func (m *Member) startServer(e events.Effect, a events.StartPostgres) {
	m.pending[e.ID] = true
	m.pg.start(a.AsPrimary, nameOf(a.From), func() { m.finish(e, time.Millisecond, events.Done, events.Result{}) })
}

func (m *Member) stopServer(e events.Effect, a events.StopPostgres) {
	d := 60 * time.Millisecond
	if a.Mode != events.StopFast {
		d = 20 * time.Millisecond
	}
	p := &m.pg
	pid := p.pid
	m.later(e, d, func() (events.Outcome, events.Result) {
		r := events.Result{}
		if p.running && p.pid == pid {
			if a.Mode == events.StopFast && !p.starting {
				p.clean = true
				r.ShutdownLSN = p.lsn
				m.flushToReplicas()
			} else {
				p.clean = false
			}
			p.running, p.starting, p.streaming = false, false, false
			m.post(events.PostgresExited{PID: pid, Gone: true})
		}
		return events.Done, r
	})
}

// flushToReplicas is what a fast shutdown does: every walsender sends what there is.
func (m *Member) flushToReplicas() {
	for _, o := range m.w.members {
		if o != m && o.pg.upstream == m.name {
			o.pg.stream()
		}
	}
}

func (m *Member) promote() (events.Outcome, events.Result) {
	p := &m.pg
	if !p.running || p.starting {
		return events.Failed, events.Result{}
	}
	if p.recovery {
		p.history = append(p.history, events.TimelineSwitch{Parent: p.timeline, Switch: p.lsn, Reason: "no recovery target specified"})
		for _, o := range m.w.members { // a new timeline takes the first number that is free in the archive of all
			p.timeline = max(p.timeline, o.pg.timeline)
		}
		p.timeline++
		p.recovery, p.standby, p.upstream = false, false, ""
	}
	return events.Done, events.Result{Timeline: p.timeline, History: p.history}
}

func (m *Member) rewind(a events.Rewind) (events.Outcome, events.Result) {
	up := m.w.Member(a.From.Name)
	if up == nil || !up.pg.writable() {
		return events.Failed, events.Result{}
	}
	p := &m.pg
	p.lsn, p.timeline, p.standby, p.clean = up.pg.lsn, up.pg.timeline, true, true
	p.history = append(p.history[:0:0], up.pg.history...)
	return events.Done, events.Result{}
}
