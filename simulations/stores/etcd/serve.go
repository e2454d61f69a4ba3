package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// kind is what is asked of a server: the calls of etcd's API that the adapter makes.
type kind int

const (
	grant kind = iota
	keepAlive
	revoke
	getKey // with quorum, as all reads
	getAll
	txn
)

// cond is the condition of a txn.
type cond int

const (
	always   cond = iota
	atMod         // the key's revision of modification is mod; 0: it is absent
	atModOwn      // also its value is own
	onLease       // it is attached to the lease onto
)

// ask is a request as a server gets it.
type ask struct {
	kind       kind
	key, value string
	lease      int64 // put with it, grant, keepalive, revoke
	ttl        int64 // grant, in seconds
	cond       cond
	mod, onto  int64
	own        string
	del        bool
	sameEpoch  bool // for Truth only: a renewal, not a new tenure
}

// answer is what a server answers.
type answer struct {
	err  *fault
	ok   bool // of a txn's condition
	term uint64
	rev  int64 // of the header
	ttl  int64 // seconds
	has  bool  // there is a key
	kv   kv
	snap events.DCSSnapshot
}

// work is a request on its way.
type work struct {
	ask
	m    *Model
	at   *server // nil: the leader's own
	life int     // of at
	c    *session
	a    *attempt
	then func(*answer)

	ready  events.Instant // when a majority has it on disk
	index  int64          // that at must have applied before it answers
	result answer
	ended  bool // it was answered, or will not be
}

// arrive is when the request reaches its server.
func (w *work) arrive() {
	s := w.at
	if !s.up || s.life != w.life {
		w.broke()
		return
	}
	s.serving = append(s.serving, w)
	if s.frozen {
		s.inbox = append(s.inbox, w.wake)
		return
	}
	w.serve()
}

// wake serves what came while the server was frozen. A request whose client has given up is in the socket with its
// cancellation behind it; seen on 3.4.23: a put is applied after the thaw.
func (w *work) wake() {
	if (w.a.over || w.c.closed) && w.m.env.Pick("a request that was given up is served", 2) == 0 {
		w.finish()
		return
	}
	w.serve()
}

func (w *work) serve() {
	s := w.at
	if s.knows < 0 {
		w.answer(answer{err: noLeader}) // source: server/etcdserver/api/v3rpc/interceptor.go
		return
	}
	switch w.kind {
	case grant, revoke, txn:
		w.m.propose(w)
	case keepAlive:
		w.keepAlive()
	case getKey, getAll:
		w.read()
	}
}

// read asks the leader for its commit index, which it proves by a round with a majority; source:
// server/etcdserver/v3_server.go, linearizableReadLoop.
func (w *work) read() {
	m := w.m
	if !m.canRead(w.at) {
		m.stuck = append(m.stuck, w)
		return
	}
	if len(m.servers) == 1 {
		w.index = m.index
		w.respond()
		return
	}
	m.env.After(kernel.Between(m.env, "a round of the leader", 200*time.Microsecond, 3*time.Millisecond), w.confirmed)
}

func (w *work) confirmed() {
	m := w.m
	switch {
	case w.ended:
	case !m.canRead(w.at):
		m.stuck = append(m.stuck, w)
	default:
		w.index = m.index
		w.afterApply()
	}
}

func (m *Model) canRead(s *server) bool {
	return m.healthy && s.running() && s.knows == m.leader && m.group[s.id] == m.group[m.leader]
}

func (m *Model) serveStuck() {
	stuck := m.stuck
	m.stuck = nil
	for _, w := range stuck {
		switch {
		case w.ended || w.a.over:
			w.finish()
		case m.canRead(w.at):
			w.read()
		default:
			m.stuck = append(m.stuck, w)
		}
	}
}

// keepAlive is answered by whoever leads or believes so, without a majority; followers pass it on.
func (w *work) keepAlive() {
	m, s := w.m, w.at
	if s.leads {
		w.prolong(s)
		return
	}
	leader := m.servers[s.knows]
	if !leader.up || m.group[leader.id] != m.group[s.id] {
		w.lose()
		return
	}
	m.env.After(kernel.Between(m.env, "a keepalive is passed on", 500*time.Microsecond, 3*time.Millisecond), func() {
		leader.run(func() {
			if !leader.leads {
				w.lose()
				return
			}
			w.prolong(leader)
		})
	})
}

func (w *work) prolong(leader *server) {
	m := w.m
	l := m.lease(w.lease)
	switch {
	case w.ended:
	case leader.id != m.leader && l != nil:
		// A deposed leader prolongs what only it believes in. Servers of 3.4 always answer so; newer ones first ask a
		// majority (source: server/etcdserver/v3_server.go, LeaseRenew, ensureLeadership).
		if m.env.Pick("a deposed leader answers a keepalive", 2) == 1 {
			w.answer(answer{ttl: l.ttl})
		} else {
			w.answer(answer{err: leaderChanged})
		}
	case l == nil:
		w.answer(answer{}) // seen on 3.4.23: an answer with ttl 0
	case l.ends <= m.env.Now():
		l.waiting = append(l.waiting, w) // source: server/lease/lessor.go, Renew waits for the revocation
	default:
		l.ends = m.ends(l)
		w.answer(answer{ttl: l.ttl})
	}
}

// execute applies a committed entry.
func (m *Model) execute(w *work) {
	r := &w.result
	switch w.kind {
	case grant:
		if m.lease(w.lease) != nil {
			r.err = leaseExists
			break
		}
		l := &lease{id: w.lease, ttl: max(w.ttl, m.minTTL)} // seen on 3.4.23: asked 1, granted 2
		l.ends = m.ends(l)
		m.leases = append(m.leases, l)
		r.ttl = l.ttl
	case revoke:
		if !m.revoke(w.lease) {
			r.err = noLease
		}
	case txn:
		m.executeTxn(w, r)
	}
	r.rev = m.rev
	m.committed()
	w.index = m.index
	if w.at != nil {
		w.afterApply()
	}
}

func (m *Model) executeTxn(w *work, r *answer) {
	k := m.get(w.key)
	var mod, on int64
	value := ""
	if k != nil {
		mod, on, value = k.mod, k.lease, k.value
	}
	switch w.cond {
	case always:
		r.ok = true
	case atMod:
		r.ok = mod == w.mod
	case atModOwn:
		r.ok = mod == w.mod && value == w.own
	case onLease:
		r.ok = k != nil && on == w.onto
	}
	switch {
	case !r.ok:
		if r.has = k != nil; r.has {
			r.kv = *k
		}
	case w.del:
		if k != nil {
			m.rev++
			m.remove(w.key)
		}
	case w.lease != 0 && m.lease(w.lease) == nil:
		r.err = noLease
	default:
		epoch := int64(0)
		if w.sameEpoch {
			epoch = k.epoch
		}
		m.put(w.key, w.value, w.lease)
		if epoch != 0 {
			m.get(w.key).epoch = epoch
		}
	}
}

// afterApply answers when the server has applied what the answer tells of.
func (w *work) afterApply() {
	if w.ended {
		return
	}
	if w.at.applied >= w.index {
		w.respond()
		return
	}
	w.at.waiting = append(w.at.waiting, w)
}

// respond fills in what is read at the last moment and answers.
func (w *work) respond() {
	switch w.kind {
	case getKey:
		if k := w.m.get(w.key); k != nil {
			w.result.has, w.result.kv = true, *k
		}
		w.result.rev = w.m.rev
	case getAll:
		w.result.snap = w.m.snapshot(w.at.term)
		w.result.rev = w.m.rev
	}
	w.reply()
}

func (w *work) answer(a answer) {
	w.result = a
	w.reply()
}

// reply sends the result back, once the server runs.
func (w *work) reply() {
	s := w.at
	switch {
	case w.ended || s == nil || !s.up || s.life != w.life:
	case s.frozen:
		s.inbox = append(s.inbox, w.reply)
	default:
		w.finish()
		if w.c.closed || w.a.over {
			return
		}
		w.result.term = s.term
		wait, fate := w.c.line.Return(s.id)
		switch fate {
		case stores.Vanishes:
		case stores.Resets:
			w.ended = false
			w.broke()
		default:
			w.m.env.After(wait, w.deliver)
		}
	}
}

// deliver is when the answer reaches the client.
func (w *work) deliver() {
	if !w.c.closed && !w.a.over {
		w.then(&w.result)
	}
}

// broke is when the connection ends under a request that was sent.
func (w *work) broke() {
	if w.ended {
		return
	}
	w.finish()
	wait, fate := w.c.line.Return(w.at.id)
	if fate == stores.Vanishes {
		return
	}
	w.m.env.After(wait, func() {
		if !w.c.closed {
			w.c.conns[w.at.id].broke()
			w.a.end(broken)
		}
	})
}

// lose lets an entry that no leader will commit run into its server's own time limit.
func (w *work) lose() {
	if w.at != nil && !w.ended {
		w.m.env.After(requestTimeout, func() { w.answer(answer{err: timedOut}) })
	}
}

func (w *work) finish() {
	w.ended = true
	if w.at == nil {
		return
	}
	if i := slices.Index(w.at.serving, w); i >= 0 {
		w.at.serving = slices.Delete(w.at.serving, i, i+1)
	}
}
