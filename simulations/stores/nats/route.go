package nats

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// fault is how one request to the servers failed.
type fault uint8

const (
	fine        fault = iota
	conflict          // 10071 or 10164: the last message is another one, or one is under way
	unavailable       // not sent, or nobody was there to take it
	refused           // not applied for sure, and trying again does not help
	silent            // no answer
)

// result is the answer to a query.
type result struct {
	fault fault
	seq   uint64  // publish
	last  stored  // last
	batch []entry // batch: what is newer, in sequence order
}

type queryKind uint8

const (
	publish queryKind = iota
	last
	batch
	info
	consume
)

// always is the condition of a write without one.
const always = -1

// query is one request on the wire.
type query struct {
	message
	c       *call
	attempt int
	l       *link
	gen     int // of the link
	server  int // that the client is connected to
	kind    queryKind
	expect  int64  // publish
	from    uint64 // batch and consume: what is newer than this
}

// arrive is the query at the server that the client is connected to.
func (q *query) arrive() {
	m := q.l.s.m
	s := &m.servers[q.server]
	switch {
	case !s.up:
		q.l.brokenAt(q.gen)
	case s.frozen:
		s.stuck = append(s.stuck, q.arrive)
	case q.kind == publish:
		m.takeWrite(q)
	default:
		m.takeRequest(q)
	}
}

// takeWrite passes a write to whoever takes itself for the leader of the stream.
func (m *Model) takeWrite(q *query) {
	if !m.exists {
		m.reply(q, q.server, result{fault: unavailable}) // nobody listens on the subject
		return
	}
	interest := false
	for i := range m.servers {
		s := &m.servers[i]
		switch {
		case !s.up || !s.believes:
		case !m.reach(q.server, i):
			interest = true // the route is not known to be dead
		case s.frozen:
			interest = true
			s.stuck = append(s.stuck, func() { m.write(q, i) })
		default:
			interest = true
			m.write(q, i)
		}
	}
	if !interest {
		// Seen on nats-server 2.15.2 after SIGKILL of the leader: no response from stream.
		m.reply(q, q.server, result{fault: unavailable})
	}
}

// write is a write at a server that takes itself for the leader.
func (m *Model) write(q *query, i int) {
	s := &m.servers[i]
	if !s.runs() || !m.exists {
		return
	}
	state := &m.data
	if s.view != nil {
		state = s.view
	}
	if q.expect != always {
		// Seen on nats-server 2.15.2: 10164 while another write to the key is under way, 10071 for another last sequence.
		if m.lead == i && m.inFlight(q.key) || state.get(q.key).seq != uint64(q.expect) {
			m.reply(q, i, result{fault: conflict})
			return
		}
	}
	switch {
	case m.lead != i || !s.believes: // it was deposed: what it proposes nobody takes
	case len(m.servers) == 1:
		m.writeAlone(q)
	default:
		m.propose(proposal{message: q.message, wall: m.wall(i), q: q})
	}
}

// writeAlone is a write on a single server: visible at once, answered when it is on disk.
func (m *Model) writeAlone(q *query) {
	seq := m.commit(q.message, m.wall(0))
	if m.opt.SyncEveryTwoMinutes {
		m.reply(q, 0, result{seq: seq})
		return
	}
	life := m.servers[0].life
	m.env.After(kernel.Between(m.env, "how long a sync takes", syncLeast, syncMost), func() {
		if s := &m.servers[0]; s.up && s.life == life {
			m.whenAwake(0, func() { m.reply(q, 0, result{seq: seq}) })
		}
	})
}

// whenAwake does something on a server, after its thaw if it is frozen.
func (m *Model) whenAwake(i int, do func()) {
	if s := &m.servers[i]; s.frozen {
		s.stuck = append(s.stuck, do)
		return
	}
	do()
}

// takeRequest passes a request of JetStream's API to the leader.
func (m *Model) takeRequest(q *query) {
	answering := -1
	switch {
	case m.servers[q.server].believes:
		answering = q.server // its answer is the first one, also when it was deposed and does not know it
	case m.lead >= 0 && m.servers[m.lead].believes && m.reach(q.server, m.lead):
		answering = m.lead
	case m.lead < 0 && m.env.Pick("whether a leaderless group keeps silent", 2) == 0:
		m.reply(q, q.server, result{fault: unavailable}) // 503
		return
	}
	if answering < 0 {
		return
	}
	m.whenAwake(answering, func() { m.request(q, answering) })
}

// request is a request at a server that takes itself for the leader.
func (m *Model) request(q *query, i int) {
	s := &m.servers[i]
	if !s.runs() || !s.believes {
		return
	}
	if !m.exists {
		m.reply(q, i, result{fault: refused}) // 10059: stream not found
		return
	}
	state := &m.data
	if s.view != nil {
		state = s.view
	}
	switch q.kind {
	case last:
		m.reply(q, i, result{last: state.get(q.key)})
	case batch:
		m.reply(q, i, result{batch: state.after(q.from)})
	case info:
		m.reply(q, i, result{})
	case consume:
		if m.active() { // the meta group has to agree
			m.reply(q, i, result{})
			q.c.s.watch.attach(q)
		}
	}
}

// reply sends an answer from a server by way of the one that the client is connected to.
func (m *Model) reply(q *query, from int, r result) {
	if !m.reach(from, q.server) {
		return
	}
	s := &m.servers[q.server]
	if s.frozen {
		s.stuck = append(s.stuck, func() { m.reply(q, q.server, r) })
		return
	}
	if !s.up || q.l.gen != q.gen || q.l.down || q.l.s.closed {
		return
	}
	l := q.l
	d, fate := l.s.line.Return(q.server)
	if from != q.server {
		d += hop
	}
	switch fate {
	case stores.Arrives:
		at := max(m.env.Now().Add(d), l.inUntil)
		l.inUntil = at
		m.env.After(at.Sub(m.env.Now()), func() {
			if l.gen == q.gen && !l.down {
				q.c.answered(q.attempt, r)
			}
		})
	case stores.Resets:
		l.brokenAt(q.gen)
	}
}

// tell passes what was committed to the consumers that have it.
func (m *Model) tell(e *entry) {
	var fact events.Fact // one for all
	for _, s := range m.sessions {
		c := s.watch.consumer
		if c == nil {
			continue
		}
		if h := &m.servers[c.host]; h.frozen || h.view != nil {
			continue // when it has caught up
		}
		if fact == nil && isDirectory(e.key) {
			fact = changeOf(e)
		}
		c.send(e.seq, fact)
	}
}

func changeOf(e *entry) events.DCSChange {
	change := events.DCSChange{KeyValue: events.KeyValue{Key: e.key, Value: e.value, Revision: e.seq}, Deleted: !e.live}
	if change.Deleted {
		change.Value = ""
	}
	return change
}

// endConsumers ends those that live on a server, or all (-1): they live in memory, and on one server only.
func (m *Model) endConsumers(host int, told bool) {
	for _, s := range m.sessions {
		if c := s.watch.consumer; c != nil && (host < 0 || c.host == host) {
			c.end(told)
		}
	}
}
