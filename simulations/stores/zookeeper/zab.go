package zookeeper

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// peer is a follower as its leader knows it.
type peer struct {
	in    bool
	term  uint64 // of the follower
	heard events.Instant
}

// proposal is a transaction that is not committed yet.
type proposal struct {
	txn  *txn
	acks int // without the leader's own
}

// tracked is a session as only the leader knows it (source: SessionTrackerImpl).
type tracked struct {
	sid     uint64
	timeout time.Duration
	touched events.Instant
	closing bool
	owner   *server // who may send requests for it, nil if unknown
}

// leadership is what a server has as long as it leads.
type leadership struct {
	s           *server
	epoch       uint64
	zxid        uint64
	phase       events.Instant // the ticks of its expiry queue are counted from here
	peers       []peer
	outstanding map[string]change // what proposals will have done (source: PrepRequestProcessor.outstandingChanges)
	proposals   []proposal
	sessions    []tracked
}

// session finds a tracked session, nil if there is none. They are few.
func (l *leadership) session(sid uint64) *tracked {
	for i := range l.sessions {
		if l.sessions[i].sid == sid {
			return &l.sessions[i]
		}
	}
	return nil
}

func (l *leadership) track(sid uint64, timeout time.Duration, owner *server) {
	l.sessions = append(l.sessions, tracked{sid: sid, timeout: timeout, touched: l.s.m.env.Now(), owner: owner})
}

// touch prolongs a session, if it is not over (source: SessionTrackerImpl.touchSession).
func (l *leadership) touch(sid uint64) bool {
	k := l.session(sid)
	if k == nil || k.closing {
		return false
	}
	k.touched = l.s.m.env.Now()
	return true
}

// touchBy notes that a client of s used a session. A follower keeps it for its next answer to a ping: a request that
// it forwards prolongs nothing by itself (source: ZooKeeperServer.submitRequestNow, LearnerHandler.run REQUEST).
func (s *server) touchBy(sid uint64) {
	switch {
	case s.lead != nil:
		s.lead.touch(sid)
	case !slices.Contains(s.touches, sid):
		s.touches = append(s.touches, sid)
	}
}

// expiryTick runs once a tick: sessions end in (timeout, timeout + tick] after their last touch (seen on 3.8.0;
// source: ExpiryQueue.roundToNextInterval).
func (s *server) expiryTick() {
	s.expireDue()
	if s.lead != nil {
		s.after(s.m.o.TickTime, s.expiryTick)
	}
}

func (s *server) expireDue() {
	l := s.lead
	if l == nil {
		return
	}
	now := s.m.env.Now()
	for i := range l.sessions {
		k := &l.sessions[i]
		if k.closing || k.touched.Add(k.timeout) >= now {
			continue
		}
		k.closing = true
		s.propose(l.closeSession(k.sid))
		if s.lead != l {
			return
		}
	}
}

// pingFollowers runs twice a tick. The answer carries the follower's touches (source: Learner.ping). A leader
// without a quorum for syncLimit ticks steps down (source: Leader.lead).
func (s *server) pingFollowers(round int) {
	l := s.lead
	if round%2 == 0 && !l.check(s) {
		return
	}
	for i, o := range s.m.servers {
		if l.peers[i].in {
			s.ping(o)
		}
	}
	s.after(s.m.o.TickTime/2, func() { s.pingFollowers(round + 1) })
}

func (s *server) ping(o *server) {
	s.m.send(s, o, func() {
		if !o.follows(s) {
			return
		}
		o.heard = s.m.env.Now()
		touches := o.touches
		o.touches = nil
		term := s.term
		s.m.send(o, s, func() {
			if s.lead == nil || s.term != term || !s.lead.peers[o.id].in {
				return
			}
			s.lead.peers[o.id].heard = s.m.env.Now()
			for _, sid := range touches {
				s.lead.touch(sid)
			}
		})
	})
}

// check drops silent followers and steps down without a quorum.
func (l *leadership) check(s *server) bool {
	now, n, term := s.m.env.Now(), 1, s.term
	for i := range l.peers {
		p := &l.peers[i]
		if p.in && now.Sub(p.heard) >= s.m.limit() {
			p.in = false
			o := s.m.servers[i]
			s.m.send(s, o, func() { o.lostLeader(s, term) })
		}
		if p.in {
			n++
		}
	}
	if n > len(s.m.servers)/2 {
		return true
	}
	for _, o := range s.m.servers {
		if o.leader == s {
			s.m.send(s, o, func() { o.lostLeader(s, term) })
		}
	}
	s.look()
	return false
}

// node is what a path will be when all proposals are committed.
func (l *leadership) node(path string, local []change) *node {
	for i := len(local) - 1; i >= 0; i-- {
		if local[i].path == path {
			return local[i].node
		}
	}
	if c, there := l.outstanding[path]; there {
		return c.node
	}
	return l.s.tree.nodes[path]
}

// prepare checks a multi for a session, and makes the transaction of it (source: PrepRequestProcessor). All its
// operations happen or none. Session zero is an operator's.
func (l *leadership) prepare(sid uint64, ops []op) *txn {
	l.zxid++
	x := &txn{zxid: l.zxid}
	var room [4]change
	local := room[:0]
	for i, o := range ops {
		n := l.node(o.path, local)
		var c code
		switch {
		case o.kind == opCheck && o.path == "": // the directory itself
		case o.kind == opCreate:
			if n != nil {
				c = nodeExists
				break
			}
			n = &node{value: o.value, czxid: x.zxid, mzxid: x.zxid, lease: o.lease}
			if o.ephemeral {
				n.owner = sid
			}
			if o.path == events.KeyLeader && n.lease == 0 {
				n.lease = x.zxid
			}
			local = append(local, change{o.path, n})
		case n == nil:
			c = noNode
		case o.version != anyVersion && n.version != o.version:
			c = badVersion
		case o.kind == opSet:
			next := *n
			next.value, next.mzxid, next.version = o.value, x.zxid, n.version+1
			local = append(local, change{o.path, &next})
		case o.kind == opDelete:
			local = append(local, change{o.path, nil})
		}
		if c != ok {
			x.result = result{code: c, at: i, zxid: x.zxid}
			return x
		}
	}
	x.changes = slices.Clone(local)
	x.result = result{zxid: x.zxid}
	if len(local) > 0 && local[0].node != nil {
		x.result.owner = local[0].node.owner
	}
	return x
}

// refuse is the transaction of a request that fails.
func (l *leadership) refuse(c code) *txn {
	l.zxid++
	return &txn{zxid: l.zxid, result: result{code: c, zxid: l.zxid}}
}

// closeSession deletes the ephemerals of a session, also those that are only proposed.
func (l *leadership) closeSession(sid uint64) *txn {
	l.zxid++
	x := &txn{zxid: l.zxid, closed: sid, result: result{zxid: l.zxid}}
	paths := l.s.tree.ephemerals(sid)
	for _, p := range l.proposals {
		for _, c := range p.txn.changes {
			if c.node != nil && c.node.owner == sid && !slices.Contains(paths, c.path) {
				paths = append(paths, c.path)
			}
		}
	}
	for _, path := range paths {
		if n := l.node(path, nil); n != nil && n.owner == sid {
			x.changes = append(x.changes, change{path, nil})
		}
	}
	return x
}

// request is a write of a client at one server.
type request struct {
	sid    uint64
	ops    []op
	open   time.Duration // >0: create the session
	close  bool
	origin *server
	reply  func(result)
}

// write brings a request to the leader. A follower forwards it (source: FollowerRequestProcessor).
func (s *server) write(r request) {
	if s.lead != nil {
		s.prep(r)
		return
	}
	l := s.leader
	if l == nil {
		return // its clients are being told
	}
	s.m.send(s, l, func() {
		if s.follows(l) {
			l.prep(r)
		}
	})
}

func (s *server) prep(r request) {
	l := s.lead
	var x *txn
	k := l.session(r.sid)
	switch {
	case r.open > 0:
		l.zxid++
		x = &txn{zxid: l.zxid, opened: r.sid, timeout: int64(r.open), result: result{zxid: l.zxid}}
		l.track(r.sid, r.open, r.origin)
	case k == nil || k.closing:
		x = l.refuse(sessionExpired)
	case k.owner != nil && k.owner != r.origin:
		x = l.refuse(sessionMoved)
	case r.close:
		k.closing = true
		x = l.closeSession(r.sid)
	default:
		k.owner = r.origin
		x = l.prepare(r.sid, r.ops)
	}
	x.origin, x.reply = r.origin, r.reply
	s.propose(x)
}

// propose logs a transaction here and at the followers.
func (s *server) propose(x *txn) {
	l := s.lead
	for _, c := range x.changes {
		l.outstanding[c.path] = c
	}
	l.proposals = append(l.proposals, proposal{txn: x})
	term := s.term
	for i, o := range s.m.servers {
		if !l.peers[i].in {
			continue
		}
		s.m.send(s, o, func() {
			if s.term != term || !o.follows(s) {
				return
			}
			o.heard = s.m.env.Now()
			o.tail = append(o.tail, x)
			s.m.send(o, s, func() {
				if s.term == term {
					s.acked(o, x)
				}
			})
		})
	}
	if len(s.m.servers) == 1 {
		s.after(hop, func() { // the sync of its log
			if len(l.proposals) > 0 && l.proposals[0].txn == x {
				s.commit()
			}
		})
	}
}

// acked counts that o has logged x. A majority commits, in order.
func (s *server) acked(o *server, x *txn) {
	l := s.lead
	if l == nil || !l.peers[o.id].in {
		return
	}
	l.peers[o.id].heard = s.m.env.Now()
	for i := range l.proposals {
		if l.proposals[i].txn == x {
			l.proposals[i].acks++
		}
	}
	for s.lead == l && len(l.proposals) > 0 && l.proposals[0].acks+1 > len(s.m.servers)/2 {
		s.commit()
	}
}

// commit commits the first proposal.
func (s *server) commit() {
	l := s.lead
	x := l.proposals[0].txn
	l.proposals = append(l.proposals[:0], l.proposals[1:]...)
	for _, c := range x.changes {
		if now := l.outstanding[c.path]; now.node == c.node {
			delete(l.outstanding, c.path)
		}
	}
	if x.closed != 0 {
		l.sessions = slices.DeleteFunc(l.sessions, func(k tracked) bool { return k.sid == x.closed })
	}
	term := s.term
	for i, o := range s.m.servers {
		if !l.peers[i].in {
			continue
		}
		s.m.send(s, o, func() {
			if s.term == term && o.follows(s) {
				o.committed(x)
			}
		})
	}
	s.applied(x)
}

// committed is a follower that learns of a commit.
func (s *server) committed(x *txn) {
	s.heard = s.m.env.Now()
	do := func() {
		for i := range s.tail {
			if s.tail[i] == x {
				s.tail = append(s.tail[:i], s.tail[i+1:]...)
				break
			}
		}
		s.applied(x)
	}
	if s.lagging {
		s.backlog = append(s.backlog, do)
		return
	}
	do()
}

// applied brings a transaction into the tree, fires watches, then answers (source: FinalRequestProcessor).
func (s *server) applied(x *txn) {
	if x.zxid <= s.tree.zxid {
		return
	}
	s.tree.apply(x)
	if x.opened != 0 && s.leader != nil { // (source: LearnerSessionTracker.commitSession)
		s.touchBy(x.opened)
	}
	for _, c := range s.conns {
		c.fire(x)
	}
	if x.closed != 0 {
		s.closeSession(x.closed)
	}
	if x.origin == s && x.reply != nil {
		x.reply(x.result)
	}
}
