package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

const (
	hop = 300 * time.Microsecond // between two servers, one way
	// electionFrom and electionTo bound the time without a leader, with raft_multiplier 1.
	electionFrom = time.Second
	electionTo   = 3 * time.Second
	// leaderLease is how long a leader that hears of no majority goes on (LeaderLeaseTimeout).
	leaderLease = 500 * time.Millisecond
	// holdTimeout is how long a server holds a request while there is no leader (RPCHoldTimeout).
	holdTimeout = 7 * time.Second
	// timerFactor is structs.SessionTTLMultiplier.
	timerFactor = 2
	// invalidateBase and invalidateTries: a server goes on trying to end a session whose timer fired.
	invalidateBase  = 10 * time.Second
	invalidateTries = 6
)

// server is one Consul server.
type server struct {
	m      *Model
	id     int
	up     bool
	frozen bool
	group  int
	// leads tells that it believes to lead in term; only the one that Model.leader names does.
	leads   bool
	term    uint64
	started events.Instant
	life    int // grows with every Kill: what was under way in a former life is gone
	// st is the common state while the server follows, a copy of its own while it is cut off.
	st      *state
	backlog []func() // what waits while it is frozen
	waiting []*call  // requests held for want of a leader
	open    []*call  // requests that it works on as leader
	blocked []*call  // of these, blocking queries without news
}

func (s *server) alive() bool { return s.up && !s.frozen }

// run lets the server do something now, or when it is thawed.
func (s *server) run(do func()) {
	switch {
	case !s.up:
	case s.frozen:
		s.backlog = append(s.backlog, do)
	default:
		do()
	}
}

// later lets the server do something d from now, in this life.
func (s *server) later(d time.Duration, do func()) {
	life := s.life
	s.m.env.After(d, func() {
		if s.life == life {
			s.run(do)
		}
	})
}

// reaches tells whether a message from s gets to o now.
func (s *server) reaches(o *server) bool { return o.up && s.group == o.group }

// rules tells whether it truly leads: with a majority, in the newest term.
func (s *server) rules() bool { return s.m.leader == s.id && s.alive() }

// proposal is an entry on its way into the log.
type proposal struct {
	by      *server
	life    int
	term    uint64
	apply   func(st *state, now events.Instant) // in every server
	applied func()                              // on the proposer, when it has committed
	lost    func()                              // on the proposer, when it cannot tell: leadership lost while committing
	// copied tells that a follower has the entry: another leader than the proposer will commit it too.
	copied bool
}

// propose appends an entry to the leader's log; it commits when a majority has it.
func (s *server) propose(p *proposal) {
	p.by, p.life, p.term = s, s.life, s.term
	s.m.env.After(kernel.Between(s.m.env, "time to commit", time.Millisecond, 5*time.Millisecond), p.commit)
}

func (p *proposal) commit() {
	s := p.by
	if s.rules() && s.life == p.life && s.term == p.term {
		s.m.applyEntry(p)
		return
	}
	if s.m.term != p.term { // elected over meanwhile: cut off before it was copied
		p.giveUp()
		return
	}
	p.copied = s.m.env.Pick("an uncommitted entry is on a follower", 2) == 1
	s.m.limbo = append(s.m.limbo, p)
}

// giveUp tells the proposer that the entry is gone, as far as it knows.
func (p *proposal) giveUp() {
	if p.by.life == p.life {
		p.by.run(p.lost)
	}
}

func (m *Model) applyEntry(p *proposal) {
	m.st.index++
	before := m.st.shared
	p.apply(m.st, m.env.Now())
	if before == nil || m.st.shared == nil {
		m.changed()
	}
	if p.by.life == p.life {
		p.by.run(p.applied)
	}
}

// settle decides about the entries that a leader left uncommitted. winner is the leader now.
func (m *Model) settle(winner *server) {
	left := m.limbo
	m.limbo = nil
	for _, p := range left {
		if p.copied || p.by == winner {
			m.applyEntry(p)
		} else {
			p.giveUp()
		}
	}
}

// reconsider is called after everything that changes who reaches whom.
func (m *Model) reconsider() {
	if m.leader >= 0 {
		if l := m.servers[m.leader]; !l.alive() || m.reached(l) < m.majority() {
			m.lose()
		}
	}
	if m.leader < 0 {
		for _, s := range m.servers { // a leader that was away for a moment and that nobody has replaced
			if s.leads && s.term == m.term && s.alive() && m.reached(s) >= m.majority() {
				m.leader = s.id
				m.settle(s)
				break
			}
		}
	}
	if m.leader >= 0 {
		m.election++ // cancels one that was planned
		m.planned = false
		m.follow()
		return
	}
	if m.electorate() != nil && !m.planned {
		m.planned = true
		m.election++
		n := m.election
		m.env.After(kernel.Between(m.env, "time to elect", electionFrom, electionTo), func() {
			if n == m.election {
				m.planned = false
				m.elect()
			}
		})
	}
}

func (m *Model) majority() int { return len(m.servers)/2 + 1 }

func (m *Model) reached(s *server) int {
	n := 0
	for _, o := range m.servers {
		if o.alive() && o.group == s.group {
			n++
		}
	}
	return n
}

// electorate is a server of the group that can elect, nil if there is none.
func (m *Model) electorate() *server {
	for _, s := range m.servers {
		if s.alive() && m.reached(s) >= m.majority() {
			return s
		}
	}
	return nil
}

// lose takes the power to commit from the leader; it may not know yet.
func (m *Model) lose() {
	l := m.servers[m.leader]
	m.leader = -1
	if l.leads && l.alive() {
		term := l.term
		l.later(leaderLease, func() {
			if l.leads && l.term == term && !l.rules() {
				l.stepDown()
			}
		})
	}
}

// stepDown ends a leader's belief. Its session timers are cleared. source: leader.go revokeLeadership
func (s *server) stepDown() { s.leads = false }

// elect makes a server with the whole log the leader.
func (m *Model) elect() {
	of := m.electorate()
	if of == nil {
		return
	}
	var fit []*server
	var newest uint64
	for _, s := range m.servers {
		if s.alive() && s.group == of.group {
			newest = max(newest, s.st.index)
		}
	}
	for _, s := range m.servers {
		if s.alive() && s.group == of.group && s.st.index == newest {
			fit = append(fit, s)
		}
	}
	w := fit[m.env.Pick("which server wins the election", len(fit))]
	m.term++
	for _, s := range m.servers {
		if s.alive() && s.group == of.group {
			s.leads = false
		}
	}
	w.leads, w.term, m.leader = true, m.term, w.id
	m.follow()
	m.settle(w)
	m.st.index++ // the new leader's own entry
	m.resetTimers()
}

// follow lets all servers that hear of the leader have its state, and answers what waited for a leader.
func (m *Model) follow() {
	l := m.servers[m.leader]
	for _, s := range m.servers {
		if !s.alive() || s.group != l.group {
			continue
		}
		s.st = m.st
		if s != l && s.leads {
			s.stepDown()
		}
		if len(s.waiting) > 0 {
			s.later(kernel.Between(m.env, "pause before asking the leader", 0, holdTimeout/16), s.release)
		}
	}
}

// release sends on what was held for want of a leader.
func (s *server) release() {
	held := s.waiting
	s.waiting = nil
	for _, c := range held {
		s.route(c)
	}
}

// cutOff gives servers that hear of no leader a state of their own; all but the majority's stands still.
func (s *server) cutOff() {
	if s.st == s.m.st {
		s.st = s.m.st.clone()
	}
}

// timer is a session's timer in the leader's memory.
type timer struct {
	id   sessionID
	ends events.Instant
	// armed tells that an event is planned that looks at it.
	armed bool
}

// resetTimers gives every session twice its ttl from now. source: session_ttl.go initializeSessionTimers
func (m *Model) resetTimers() {
	m.timers = m.timers[:0]
	for _, s := range m.st.sessions {
		m.timers = append(m.timers, timer{id: s.id})
		m.resetTimer(s)
	}
}

func (m *Model) timer(id sessionID) *timer {
	for i := range m.timers {
		if m.timers[i].id == id {
			return &m.timers[i]
		}
	}
	return nil
}

// resetTimer starts a session's timer anew. source: session_ttl.go createSessionTimer
func (m *Model) resetTimer(s *session) {
	t := m.timer(s.id)
	if t == nil {
		m.timers = append(m.timers, timer{id: s.id})
		t = &m.timers[len(m.timers)-1]
	}
	t.ends = m.env.Now().Add(timerFactor * s.ttl)
	if !t.armed {
		t.armed = true
		m.watchTimer(s.id, timerFactor*s.ttl)
	}
}

// watchTimer looks at a timer when it may have run out. It runs on in a leader's memory, whoever that is.
func (m *Model) watchTimer(id sessionID, d time.Duration) {
	term := m.term
	m.env.After(d, func() {
		t := m.timer(id)
		if t == nil || term != m.term { // a new leader has timers of its own
			return
		}
		if left := t.ends.Sub(m.env.Now()); left > 0 {
			m.watchTimer(id, left)
			return
		}
		m.timers = slices.DeleteFunc(m.timers, func(t timer) bool { return t.id == id })
		for _, s := range m.servers {
			if s.leads && s.term == m.term {
				s.run(func() { s.invalidate(id, 0) })
			}
		}
	})
}

// invalidate ends a session through raft. When that fails the server tries again after 10 s, 20 s, …, whoever
// leads then and though the session may have been renewed meanwhile. source: session_ttl.go invalidateSession
func (s *server) invalidate(id sessionID, try int) {
	again := func() {
		if try+1 < invalidateTries {
			s.later(invalidateBase<<try, func() { s.invalidate(id, try+1) })
		}
	}
	if !s.leads {
		again()
		return
	}
	s.propose(&proposal{
		apply:   func(st *state, now events.Instant) { st.destroy(id, now) },
		applied: func() {},
		lost:    again,
	})
}
