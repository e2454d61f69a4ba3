package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// hop is the way from one server to another.
const hop = 300 * time.Microsecond

// link is a TCP connection between two servers, one direction of it: in order, and waiting while it is cut.
type link struct {
	split bool // by Model.Split
	cut   int  // by troubles
	held  []func()
}

// reach tells whether packets go from a to b and back.
func (m *Model) reach(a, b *server) bool {
	there, back := &m.links[a.id][b.id], &m.links[b.id][a.id]
	return !there.split && !back.split && there.cut+back.cut == 0
}

// send lets f happen at server b. All hops take the same time, so that messages keep their order.
func (m *Model) send(a, b *server, f func()) {
	l := &m.links[a.id][b.id]
	if len(l.held) > 0 || !m.reach(a, b) {
		l.held = append(l.held, f)
		return
	}
	var h *hopping
	if n := len(m.hops); n > 0 {
		h, m.hops = m.hops[n-1], m.hops[:n-1]
	} else {
		h = &hopping{m: m}
		h.do = h.arrive
	}
	h.to, h.f = b, f
	m.env.After(hop, h.do)
}

// hopping is a message between two servers. Those that arrived are used again.
type hopping struct {
	m  *Model
	to *server
	f  func()
	do func() // arrive
}

func (h *hopping) arrive() {
	to, f := h.to, h.f
	h.to, h.f = nil, nil
	h.m.hops = append(h.m.hops, h)
	to.take(f)
}

// flushLinks sends what waited in links that are no longer cut.
func (m *Model) flushLinks() {
	for _, a := range m.servers {
		for _, b := range m.servers {
			l := &m.links[a.id][b.id]
			if len(l.held) == 0 || !m.reach(a, b) {
				continue
			}
			held := l.held
			l.held = nil
			m.env.After(hop, func() {
				for _, f := range held {
					b.take(f)
				}
			})
		}
	}
}

// server is one server of the ensemble. tree and tail are on its disk.
type server struct {
	m          *Model
	id         int
	up, frozen bool
	inbox      []func() // what arrived while it was frozen
	tree       *tree
	tail       []*txn // logged, not known to be committed
	// term counts its changes of role; what was planned in an earlier one is void.
	term   uint64
	leader *server     // whom it follows, nil while it looks for a leader
	joined uint64      // term of the leader that it follows
	lead   *leadership // while it leads
	heard  events.Instant
	conns  []*conn
	// touches are the sessions that its clients used since the last ping of the leader (source: LearnerSessionTracker).
	touches []uint64
	// lagging commits wait here: the leader's COMMITs arrive, the tree is slow.
	lagging bool
	backlog []func()
}

// take lets something happen at the server as soon as it runs.
func (s *server) take(f func()) {
	switch {
	case !s.up:
	case s.frozen:
		s.inbox = append(s.inbox, f)
	default:
		f()
	}
}

// after plans something at the server in its present role.
func (s *server) after(d time.Duration, f func()) {
	term := s.term
	s.m.env.After(d, func() {
		switch {
		case s.frozen:
			s.take(func() {
				if s.term == term {
					f()
				}
			})
		case s.up && s.term == term:
			f()
		}
	})
}

// serving tells whether it takes requests: it leads, or follows.
func (s *server) serving() bool { return s.lead != nil || s.leader != nil }

// follows tells whether s is a follower of l as it leads now.
func (s *server) follows(l *server) bool { return s.leader == l && l.lead != nil && s.joined == l.term }

// look ends the present role. A server without a role closes the connections of its clients (source:
// Leader.shutdown, Learner.shutdown: closeAllConnections).
func (s *server) look() {
	s.term++
	if s.lead != nil {
		for _, p := range s.lead.proposals { // they are in its log, and may yet be committed by another leader
			s.tail = append(s.tail, p.txn)
		}
	}
	s.lead, s.leader, s.touches, s.lagging = nil, nil, nil, false
	s.catchUp()
	s.closeConns()
	s.m.elect()
}

// lostLeader is the end of the connection to the leader of a term.
func (s *server) lostLeader(l *server, term uint64) {
	if s.leader == l && s.joined == term {
		s.look()
	}
}

func (s *server) lostFollower(f *server, term uint64) {
	if s.lead != nil && s.lead.peers[f.id].in && s.lead.peers[f.id].term == term {
		s.lead.peers[f.id].in = false
		s.lead.check(s)
	}
}

// closeConns closes the connections of its clients, who are told.
func (s *server) closeConns() {
	conns := s.conns
	s.conns = nil
	for _, c := range conns {
		c.gone = true
		c.down(c.broken)
	}
}

// closeSession closes the connections of a session that is over (source: FinalRequestProcessor, closeSession).
func (s *server) closeSession(sid uint64) {
	for _, c := range slices.Clone(s.conns) {
		if c.sid == sid {
			c.gone = true
			c.down(c.broken)
		}
	}
	s.conns = slices.DeleteFunc(s.conns, func(c *conn) bool { return c.sid == sid })
}

// elect plans an election if one could succeed. FastLeaderElection waits 200 ms for better votes (source:
// FastLeaderElection.finalizeWait), then the new leader brings its followers up to date.
func (m *Model) elect() {
	if m.electing || !m.couldElect() {
		return
	}
	m.electing = true
	d := 250*time.Millisecond + time.Duration(m.env.Pick("election", 8))*100*time.Millisecond
	if m.epoch == 0 {
		d = 0 // a fresh ensemble is ready when the simulation begins
	}
	m.env.After(d, func() {
		m.electing = false
		m.decide()
		m.elect()
	})
}

func (s *server) looking() bool { return s.up && !s.frozen && !s.serving() }

// couldElect tells whether some server without a role can find a leader, or a majority to become one.
func (m *Model) couldElect() bool {
	for _, s := range m.servers {
		if s.looking() && (m.joinable(s) != nil || m.votersFor(s) != nil) {
			return true
		}
	}
	return false
}

// joinable is a running leader with a quorum that s can join.
func (m *Model) joinable(s *server) *server {
	for _, l := range m.servers {
		if l != s && l.up && !l.frozen && l.lead != nil && l.lead.epoch == m.epoch && m.reach(s, l) {
			return l
		}
	}
	return nil
}

// votersFor are those who would vote for s if it is the best: without a role, and within reach. Nil if too few.
func (m *Model) votersFor(s *server) []*server {
	var all []*server
	for _, o := range m.servers {
		if o == s || o.looking() && m.reach(s, o) {
			all = append(all, o)
		}
	}
	if len(all) <= len(m.servers)/2 {
		return nil
	}
	return all
}

// last is the zxid of the end of its log.
func (s *server) last() uint64 {
	if n := len(s.tail); n > 0 {
		return max(s.tail[n-1].zxid, s.tree.zxid)
	}
	return s.tree.zxid
}

// decide ends an election: the longest log wins, then the highest id (source: FastLeaderElection.totalOrderPredicate).
func (m *Model) decide() {
	for _, s := range m.servers {
		if s.looking() {
			if l := m.joinable(s); l != nil {
				s.join(l)
			}
		}
	}
	var best *server
	var voters []*server
	for _, s := range m.servers {
		if !s.looking() {
			continue
		}
		if v := m.votersFor(s); v != nil && (best == nil || s.last() >= best.last()) {
			best, voters = s, v
		}
	}
	if best == nil {
		return
	}
	best.begin()
	for _, v := range voters {
		if v != best {
			v.join(best)
		}
	}
}

// begin makes s the leader of a new epoch. What its log holds is committed (source: Leader.lead, NEWLEADER), and
// every session has its full timeout again (source: SessionTrackerImpl's constructor).
func (s *server) begin() {
	m := s.m
	m.epoch++
	s.term++
	for _, x := range s.tail {
		if x.zxid > s.tree.zxid {
			s.tree.apply(x)
		}
	}
	s.tail = nil
	s.lead = &leadership{s: s, epoch: m.epoch, zxid: m.epoch << 32, peers: make([]peer, len(m.servers)), outstanding: map[string]change{}}
	sids := make([]uint64, 0, len(s.tree.sessions))
	for sid := range s.tree.sessions {
		sids = append(sids, sid)
	}
	slices.Sort(sids)
	for _, sid := range sids {
		s.lead.track(sid, time.Duration(s.tree.sessions[sid]), nil)
	}
	phase := m.o.TickTime * time.Duration(m.env.Pick("phase of the ticks", 8)) / 8
	s.lead.phase = m.env.Now().Add(phase)
	s.after(phase+m.o.TickTime, s.expiryTick)
	if len(m.servers) > 1 {
		s.after(m.o.TickTime/2, func() { s.pingFollowers(1) })
	}
}

// join makes s a follower of l, with l's state. What it had logged and l has not is truncated.
func (s *server) join(l *server) {
	s.term++
	s.leader, s.joined, s.heard = l, l.term, s.m.env.Now()
	s.tree, s.tail, s.touches, s.lagging = l.tree.clone(), nil, nil, false
	for _, p := range l.lead.proposals { // under way: they come with the rest
		s.tail = append(s.tail, p.txn)
	}
	l.lead.peers[s.id] = peer{in: true, term: s.term, heard: s.m.env.Now()}
	for _, p := range l.lead.proposals {
		x := p.txn
		s.m.send(s, l, func() { l.acked(s, x) })
	}
	s.after(s.m.o.TickTime, s.watchLeader)
}

// limit is after how much silence a connection between servers is given up.
func (m *Model) limit() time.Duration { return time.Duration(m.o.SyncLimit) * m.o.TickTime }

// watchLeader gives a silent leader up (source: Learner.syncWithLeader, setSoTimeout(tickTime × syncLimit)). Until
// then the follower serves its clients from what it has.
func (s *server) watchLeader() {
	if silent := s.m.env.Now().Sub(s.heard); silent >= s.m.limit() {
		s.look()
		return
	}
	s.after(s.m.o.TickTime, s.watchLeader)
}
