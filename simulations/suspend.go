package simulations

import "time"

// Suspend stops everything on the member's host: agent, guard and PostgreSQL. Its boot clock goes on. Nobody hears of it but by silence.
func (m *Member) Suspend() {
	if m.asleep || m.down {
		return
	}
	m.asleep, m.frozenBefore = true, m.frozen
	m.line.asleep = true
	m.frozen = true
	m.pg.Suspend()
}

// Wake lets everything go on. The guard, whose priority is above PostgreSQL's, comes first: a deadline that has passed is acted upon before anybody can
// write (G11 of package fence).
func (m *Member) Wake() {
	if !m.asleep {
		return
	}
	m.asleep, m.line.asleep = false, false
	m.guard.due()
	m.guard.sees()
	m.pg.Wake()
	run := m.run
	m.w.after(wakeUp, func() {
		if m.run == run && m.alive && !m.asleep && !m.frozenBefore {
			m.Thaw()
		}
	})
}

// wakeUp is what an agent needs until it decides again; effects whose time is over have ended by then.
const wakeUp = 60 * time.Millisecond

// dropped ends a suspend because the host is gone.
func (m *Member) dropped() { m.asleep, m.line.asleep = false, false }
