package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// later does something to PostgreSQL after a while, unless the effect is cancelled before.
func (m *Member) later(e events.Effect, d time.Duration, do func() (events.Outcome, events.Result)) {
	m.pending[e.ID] = true
	run := m.run
	m.w.after(m.takes(d), func() {
		if m.run != run || !m.pending[e.ID] {
			return
		}
		outcome, r := events.Failed, events.Result{}
		if !m.fails() {
			outcome, r = do()
		}
		m.finish(e, time.Millisecond, outcome, r)
	})
}

func (m *Member) performPostgres(e events.Effect) {
	p := &m.pg
	done := func() (events.Outcome, events.Result) { return events.Done, events.Result{} }
	switch a := e.Action.(type) {
	case events.Bootstrap:
		m.later(e, 2*time.Second, func() (events.Outcome, events.Result) {
			p.data, p.sysid, p.timeline, p.lsn, p.control = true, m.w.newSystemID(), 1, 16<<20, shutDown
			p.standby, p.label, p.history = false, false, nil
			return events.Done, events.Result{SystemID: p.sysid}
		})
	case events.Clone:
		m.clone(e, a)
	case events.StartPostgres:
		m.startServer(e, a)
	case events.RestartPostgres:
		m.restartServer(e, a)
	case events.StopPostgres:
		m.stopServer(e, a)
	case events.Promote:
		m.promote(e)
	case events.Follow:
		m.later(e, 5*time.Millisecond, func() (events.Outcome, events.Result) {
			if !p.running {
				return events.Failed, events.Result{}
			}
			p.upstream = nameOf(a.From)
			return done()
		})
	case events.CheckDivergence:
		m.later(e, 20*time.Millisecond, func() (events.Outcome, events.Result) { return m.compare(a) })
	case events.CrashRecover:
		m.later(e, 500*time.Millisecond, func() (events.Outcome, events.Result) {
			if p.running {
				return events.Failed, events.Result{}
			}
			p.control, p.standby = shutDown, false
			return done()
		})
	case events.Rewind:
		m.rewind(e, a)
	default:
		m.later(e, 20*time.Millisecond, done)
	}
}

// reaches tells whether this member can connect to another's PostgreSQL.
func (m *Member) reaches(up *Member) bool {
	return up != nil && up.pg.running && !up.pg.starting && !up.pg.hung && !up.isolated && !m.isolated
}

func (m *Member) compare(a events.CheckDivergence) (events.Outcome, events.Result) {
	p, up := &m.pg, m.w.Member(a.Leader.Name)
	unclean := !p.running && p.control == inProduction // where its WAL ends is known only after crash recovery
	if !m.reaches(up) || !up.pg.writable() || up.pg.sysid != p.sysid || unclean {
		return events.Failed, events.Result{}
	}
	r := events.Result{Divergence: events.DivergenceNone}
	if p.half || p.diverged(&up.pg) { // a rewind that did not end is ended by another one
		r.Divergence = events.DivergenceFound
	}
	return events.Done, r
}

// clone takes a while; one whose agent dies leaves pieces behind, which count as an empty directory.
func (m *Member) clone(e events.Effect, a events.Clone) {
	p, run := &m.pg, m.run
	d := m.takes(3 * time.Second)
	m.pending[e.ID] = true
	m.w.after(d/2, func() {
		if m.run != run && p.data && a.Discard && !p.running {
			p.data = false
		}
	})
	m.w.after(d, func() {
		if m.run != run || !m.pending[e.ID] {
			return
		}
		up := m.w.Member(a.From.Name)
		if !m.reaches(up) || p.running || p.data && !a.Discard || m.fails() {
			m.finish(e, time.Millisecond, events.Failed, events.Result{})
			return
		}
		p.data, p.sysid, p.timeline, p.lsn, p.standby, p.label = true, up.pg.sysid, up.pg.timeline, up.pg.lsn, false, true
		p.control, p.half = inProduction, false
		p.history = append(p.history[:0:0], up.pg.history...)
		m.finish(e, time.Millisecond, events.Done, events.Result{SystemID: p.sysid})
	})
}

// startServer is the driver's Start: it waits for a server that runs in the same role, and refuses to make a
// primary of what was a replica.
func (m *Member) startServer(e events.Effect, a events.StartPostgres) {
	p := &m.pg
	m.pending[e.ID] = true
	replica := p.control == shutDownInRecovery || p.control == inArchiveRecovery
	switch {
	case !p.data, p.half, !p.running && a.AsPrimary && replica, p.running && p.standby == a.AsPrimary, m.fails():
		m.finish(e, m.takes(20*time.Millisecond), events.Failed, events.Result{})
	case p.running:
		m.finish(e, m.takes(20*time.Millisecond), events.Done, events.Result{})
	default:
		p.start(a.AsPrimary, nameOf(a.From), m.takes(300*time.Millisecond), func(ok bool) {
			outcome := events.Done
			if !ok {
				outcome = events.Failed
			}
			if m.pending[e.ID] {
				m.finish(e, time.Millisecond, outcome, events.Result{})
			}
		})
	}
}

func (m *Member) restartServer(e events.Effect, a events.RestartPostgres) {
	m.pending[e.ID] = true
	run := m.run
	m.w.after(m.takes(60*time.Millisecond), func() {
		m.pg.stop(events.StopFast)
		if m.run == run && m.pending[e.ID] {
			m.startServer(e, events.StartPostgres(a))
		}
	})
}

// stopServer signals at once: what was signalled stops, whatever becomes of the agent. A server that hangs stops
// only by SIGKILL, at the deadline, or when it goes on.
func (m *Member) stopServer(e events.Effect, a events.StopPostgres) {
	p, run, pid := &m.pg, m.run, m.pg.pid
	m.pending[e.ID] = true
	d := m.takes(20 * time.Millisecond)
	if a.Mode == events.StopFast {
		d = m.takes(60 * time.Millisecond)
	}
	failed := m.fails()
	var look func()
	look = func() {
		alive := m.run == run && m.pending[e.ID]
		mode := a.Mode
		if m.w.Now() >= e.Deadline {
			mode = events.StopKill
		}
		if p.running && p.pid == pid && p.hung && mode != events.StopKill {
			m.w.after(50*time.Millisecond, look)
			return
		}
		r, outcome := events.Result{}, events.Done
		if p.pid == pid && !failed && (alive || mode != events.StopKill) {
			r.ShutdownLSN = p.stop(mode)
		}
		if failed && p.running {
			outcome = events.Failed
		}
		if alive {
			m.finish(e, time.Millisecond, outcome, r)
		}
	}
	m.w.after(min(d, max(e.Deadline.Sub(m.w.Now()), time.Millisecond)), look)
}

// flushToReplicas is what a fast shutdown does: every walsender sends what there is.
func (m *Member) flushToReplicas() {
	for _, o := range m.w.members {
		if o != m && o.pg.upstream == m.name {
			o.pg.stream()
		}
	}
}

// promote asks the server, which ends recovery whatever becomes of the agent. It may also die of it, or be done
// when the agent has given up.
func (m *Member) promote(e events.Effect) {
	p, pid := &m.pg, m.pg.pid
	m.pending[e.ID] = true
	answer := func(outcome events.Outcome) {
		if m.pending[e.ID] {
			m.finish(e, time.Millisecond, outcome, events.Result{Timeline: p.timeline, History: p.history})
		}
	}
	if !p.running || p.starting {
		answer(events.Failed)
		return
	}
	fails := m.fails()
	how := 0
	if fails {
		how = m.w.postgres.Pick("how a promotion fails", 3)
	}
	m.w.after(m.takes(60*time.Millisecond), func() {
		switch {
		case !p.running || p.pid != pid:
			answer(events.Failed)
			return
		case fails && how == 0: // the request was lost
			answer(events.Failed)
			return
		case fails && how == 1:
			p.die()
			answer(events.Failed)
			return
		}
		p.endRecovery()
		if fails {
			answer(events.Failed)
			return
		}
		answer(events.Done)
	})
}

// rewind changes the data only at its end; one whose agent dies leaves data that nothing but a rewind can use.
func (m *Member) rewind(e events.Effect, a events.Rewind) {
	p, run := &m.pg, m.run
	d := m.takes(time.Second)
	m.pending[e.ID] = true
	m.w.after(d/2, func() {
		if m.run != run && !p.running && p.data {
			p.half = true
		}
	})
	m.w.after(d, func() {
		if m.run != run || !m.pending[e.ID] {
			return
		}
		up := m.w.Member(a.From.Name)
		if !m.reaches(up) || !up.pg.writable() || p.running || m.fails() {
			m.finish(e, time.Millisecond, events.Failed, events.Result{})
			return
		}
		p.lsn, p.timeline, p.standby, p.label, p.control, p.half = up.pg.lsn, up.pg.timeline, false, true, inArchiveRecovery, false
		p.history = append(p.history[:0:0], up.pg.history...)
		m.finish(e, time.Millisecond, events.Done, events.Result{})
	})
}
