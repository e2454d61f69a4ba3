package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// ask is the kind of an HTTP request.
type ask int

const (
	list    ask = iota // GET /v1/kv/<dir>?recurse
	create             // PUT /v1/session/create
	renew              // PUT /v1/session/renew/<id>
	destroy            // PUT /v1/session/destroy/<id>
	txn                // PUT /v1/txn
)

// mode is a read's consistency.
type mode int

const (
	consistent mode = iota // the leader proves to a majority that it leads, then answers
	byLeader               // the default: who believes to lead answers
	anyServer              // stale: the server that is asked answers
)

// request is what is asked of a server.
type request struct {
	ask     ask
	mode    mode
	index   uint64 // list: answer when the index is above it; zero: at once
	wait    time.Duration
	id      sessionID // renew
	ttl     time.Duration
	node    string // create
	steps   []step // txn
	isWrite bool
}

// result is an answer.
type result struct {
	class  class
	view   []*entry // list
	index  uint64   // list: X-Consul-Index; txn: that of the entry
	id     sessionID
	found  bool // renew
	fault  fault
	reason string
	// maybe tells that an earlier attempt may have been applied.
	maybe bool
	// by is the server that was asked.
	by int
}

// class is what an answer, or the lack of one, says.
type class int

const (
	answered  class = iota
	refused         // not applied, for sure
	ambiguous       // it may have been applied
)

// call is a request on its way through the servers.
type call struct {
	request
	t   *task
	via *server // was asked
	// attempt is the task's number for it: the answer to an earlier one comes too late.
	attempt int
	over    bool   // answered, or given up by the servers
	answer  result // on its way back
}

// arrive takes a request from the network.
func (c *call) arrive() {
	if !c.via.up { // the host answers: nobody listens
		c.back(result{class: refused, reason: "connection refused"})
		return
	}
	c.via.run(func() { c.via.route(c) })
}

// route answers a request or forwards it to the leader. source: rpc.go ForwardRPC
func (s *server) route(c *call) {
	switch l := s.m.leaderSeenBy(s); {
	case c.ask == list && c.mode == anyServer:
		s.blockOrAnswer(c)
	case s.leads:
		s.serve(c)
	case l != nil:
		s.m.env.After(hop, func() {
			if s.reaches(l) {
				l.run(func() { l.serve(c) })
			}
		})
	default:
		s.hold(c)
	}
}

func (m *Model) leaderSeenBy(s *server) *server {
	if m.leader < 0 || m.servers[m.leader].group != s.group {
		return nil
	}
	return m.servers[m.leader]
}

// hold keeps a request until there is a leader, or for RPCHoldTimeout. source: rpc.go canRetry
func (s *server) hold(c *call) {
	s.waiting = append(s.waiting, c)
	s.later(holdTimeout, func() {
		if i := slices.Index(s.waiting, c); i >= 0 {
			s.waiting = slices.Delete(s.waiting, i, i+1)
			c.back(result{class: refused, reason: "no cluster leader"})
		}
	})
}

// serve works on a request as the leader, or as one that still believes to be it.
func (s *server) serve(c *call) {
	if !s.leads { // deposed while the request was on its way
		s.reply(c, result{class: refused, reason: "not the leader"})
		return
	}
	s.open = append(s.open, c)
	switch c.ask {
	case list:
		if c.mode == consistent {
			s.verify(c)
		} else {
			s.blockOrAnswer(c)
		}
	case create:
		s.create(c)
	case renew:
		s.renew(c)
	case destroy:
		s.destroy(c)
	case txn:
		s.transact(c)
	}
}

// verify proves the leadership before a consistent read. source: rpc.go consistentRead
func (s *server) verify(c *call) {
	s.later(2*hop, func() {
		if s.rules() {
			s.blockOrAnswer(c)
			return
		}
		s.later(leaderLease, func() { s.reply(c, result{class: refused, reason: "leadership lost"}) })
	})
}

// blockOrAnswer answers a list, at once or when its index grows. source: rpc.go blockingQuery
func (s *server) blockOrAnswer(c *call) {
	if c.index == 0 || s.st.listIndex() > c.index {
		s.answerList(c)
		return
	}
	s.blocked = append(s.blocked, c)
	wait := kernel.Between(s.m.env, "jitter of a blocking query", c.wait, c.wait+c.wait/16)
	s.later(wait, func() {
		if i := slices.Index(s.blocked, c); i >= 0 {
			s.blocked = slices.Delete(s.blocked, i, i+1)
			s.answerList(c)
		}
	})
}

func (s *server) answerList(c *call) {
	s.reply(c, result{view: s.st.view(), index: s.st.listIndex()})
}

// changed wakes the blocking queries; what changes before they have looked is seen together.
func (m *Model) changed() {
	if m.leader < 0 {
		return
	}
	if l := m.servers[m.leader]; len(l.blocked) > 0 && !m.waking {
		m.waking = true
		m.env.After(2*hop, func() { // each proves the leadership again before it reads
			m.waking = false
			l.run(l.wake)
		})
	}
}

func (s *server) wake() {
	if !s.rules() {
		return // they return when their time is over
	}
	woken := s.blocked
	s.blocked = nil
	index := s.st.listIndex()
	for _, c := range woken {
		if index > c.index {
			s.answerList(c)
		} else {
			s.blocked = append(s.blocked, c)
		}
	}
}

// abandon answers all blocking queries: the state was replaced (AbandonCh). source: rpc.go blockingQuery
func (s *server) abandon() {
	woken := s.blocked
	s.blocked = nil
	for _, c := range woken {
		s.answerList(c)
	}
}

// create makes a session; its timer starts when the entry was applied. source: session_endpoint.go Apply
func (s *server) create(c *call) {
	if c.ttl < minTTL {
		s.reply(c, result{class: refused, reason: "invalid session TTL"})
		return
	}
	s.m.sessionIDs++
	made := &session{id: s.m.sessionIDs, ttl: c.ttl, node: c.node}
	s.propose(&proposal{
		apply: func(st *state, _ events.Instant) {
			i, _ := slices.BinarySearchFunc(st.sessions, made.id, func(o *session, id sessionID) int { return int(o.id) - int(id) })
			st.sessions = slices.Insert(st.sessions, i, made)
		},
		applied: func() {
			if s.rules() {
				s.m.resetTimer(made)
			}
			s.reply(c, result{id: made.id})
		},
		lost: func() { s.lost(c) },
	})
}

// lost answers a write whose leader lost its leadership while committing.
func (s *server) lost(c *call) {
	s.reply(c, result{class: ambiguous, reason: "leadership lost while committing log"})
}

// renew resets the timer in this server's memory. Nothing goes through raft, and nobody asks whether the server still
// leads: one that was deposed says yes as well, and that counts for nothing. source: session_endpoint.go Renew
func (s *server) renew(c *call) {
	found := s.st.session(c.id)
	if found != nil && s.rules() {
		s.m.resetTimer(found)
	}
	s.reply(c, result{found: found != nil})
}

func (s *server) destroy(c *call) {
	s.propose(&proposal{
		apply:   func(st *state, now events.Instant) { st.destroy(c.id, now) },
		applied: func() { s.reply(c, result{}) },
		lost:    func() { s.lost(c) },
	})
}

func (s *server) transact(c *call) {
	for i := range c.steps {
		if p := &c.steps[i]; p.verb == lock && s.st.delayed(p.key, s.m.env.Now(), s.started) {
			s.reply(c, result{fault: delayed})
			return
		}
	}
	var refusedBy fault
	var index uint64
	s.propose(&proposal{
		apply: func(st *state, _ events.Instant) {
			refusedBy = st.transact(c.steps)
			index = st.index
		},
		applied: func() { s.reply(c, result{fault: refusedBy, index: index}) },
		lost:    func() { s.lost(c) },
	})
}

// reply sends an answer back, through the server that was asked.
func (s *server) reply(c *call, r result) {
	if c.over {
		return
	}
	s.close(c)
	if c.via == s {
		c.back(r)
		return
	}
	c.answer = r
	life := c.via.life
	s.m.env.After(hop, func() {
		if s.group == c.via.group && c.via.life == life {
			c.via.run(c.home)
		}
	})
}

func (s *server) close(c *call) {
	c.over = true
	if i := slices.Index(s.open, c); i >= 0 {
		s.open = slices.Delete(s.open, i, i+1)
	}
}

// back sends an answer to the client's host.
func (c *call) back(r result) {
	c.answer = r
	c.t.receive(c)
}

func (c *call) home() { c.t.receive(c) }

// die breaks what a killed server had under way.
func (s *server) die() {
	open := s.open
	s.open, s.blocked, s.waiting, s.backlog = nil, nil, nil, nil
	for _, c := range open {
		if c.over || c.via == s {
			continue
		}
		via, life := c.via, c.via.life
		again := *c // the follower asks anew, if it is a read; one that was a write may have happened
		c.over = true
		again.over = false
		s.m.env.After(hop, func() {
			if via.life != life {
				return
			}
			via.run(func() {
				if again.isWrite {
					again.back(result{class: ambiguous, reason: "EOF from the leader"})
				} else {
					via.route(&again)
				}
			})
		})
	}
	for _, a := range s.m.agents {
		a.broken(s)
	}
}
