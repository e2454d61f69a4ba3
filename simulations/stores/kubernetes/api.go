package kubernetes

import (
	"net/http"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// What an API server can be asked.
const (
	verbGet    = iota
	verbList   // quorum (resourceVersion ""), or the state at exactly rv
	verbUpdate // PUT; a create where there is no object
	verbPatch  // merge-PATCH of a member's own pod, without resourceVersion
	verbWatch
)

// call is a request to an API server.
type call struct {
	verb, obj, resource int
	rv                  uint64
	body                *version
	watch               *watch
}

func (c *call) writes() bool { return c.verb == verbUpdate || c.verb == verbPatch }

// Codes of replies that no server gave.
const (
	codeRefused = -iota - 1 // nobody took it
	codeBroken              // the connection broke: it may have been done
	codeSilent              // no answer in time: it may have been done
)

// reply is the answer of an API server.
type reply struct {
	code  int
	rv    uint64 // of the list
	v     *version
	list  []*version
	after time.Duration // Retry-After
}

// exchange is a call that waits for its answer.
type exchange struct {
	answer   func(reply)
	answered bool
}

// end answers, unless something did before.
func (x *exchange) end(r reply) {
	if !x.answered {
		x.answered = true
		x.answer(r)
	}
}

// ask sends a call over a line and answers once, by limit at the latest.
func (m *Model) ask(line stores.Line, i int, c call, limit events.Instant, answer func(reply)) {
	x := &exchange{answer: answer}
	m.env.After(limit.Sub(m.env.Now()), func() { x.end(reply{code: codeSilent}) })
	d, fate := line.Send(i)
	switch fate {
	case stores.Resets:
		m.env.After(d, func() { x.end(reply{code: codeRefused}) })
	case stores.Arrives:
		m.env.After(d, func() { m.arrive(i, c, line, x) })
	}
}

// arrive is a call at an API server.
func (m *Model) arrive(i int, c call, line stores.Line, x *exchange) {
	s := m.servers[i]
	switch {
	case !s.up:
		m.back(i, s.life, line, reply{code: codeRefused}, 0, x)
	case s.frozen:
		s.stopped = append(s.stopped, func() { m.arrive(i, c, line, x) })
	case m.env.Now() < s.ready:
		m.back(i, s.life, line, reply{code: http.StatusServiceUnavailable, after: time.Second}, 0, x)
	default:
		if r, refused := m.trouble.refuse(m, i); refused {
			m.back(i, s.life, line, r, 0, x)
			return
		}
		m.serve(i, c, line, m.env.Now().Add(etcdPatience), s.life, x)
	}
}

// etcdPatience is how long an API server waits for etcd (etcd, server/etcdserver: ReqTimeout is 5 s and two elections).
const etcdPatience = 7 * time.Second

// serve does a call once etcd can.
func (m *Model) serve(i int, c call, line stores.Line, until events.Instant, life int, x *exchange) {
	s := m.servers[i]
	if s.life != life {
		return // back told of the end
	}
	if s.frozen || !m.serves(i) {
		if m.env.Now() >= until {
			m.back(i, life, line, reply{code: http.StatusInternalServerError}, 0, x)
			return
		}
		m.serveLater(i, c, line, until, life, x)
		return
	}
	r := m.do(i, &c, line)
	if r.code == http.StatusOK && c.writes() && m.trouble.swallow() {
		return
	}
	m.back(i, life, line, r, kernel.Between(m.env, "etcd's time for a request", time.Millisecond, 5*time.Millisecond), x)
}

func (m *Model) serveLater(i int, c call, line stores.Line, until events.Instant, life int, x *exchange) {
	m.env.After(100*time.Millisecond, func() {
		if m.servers[i].life != life {
			m.back(i, life, line, reply{code: codeBroken}, 0, x)
			return
		}
		m.serve(i, c, line, until, life, x)
	})
}

// back carries an answer to the client; one of a server that died meanwhile is a broken connection.
func (m *Model) back(i, life int, line stores.Line, r reply, took time.Duration, x *exchange) {
	d, fate := line.Return(i)
	switch fate {
	case stores.Resets:
		m.env.After(took+d, func() { x.end(reply{code: codeBroken}) })
	case stores.Arrives:
		m.env.After(took+d, func() {
			if r.code > 0 && m.servers[i].life != life {
				x.end(reply{code: codeBroken})
				return
			}
			x.end(r)
		})
	}
}

// do is what a call does, at one instant.
func (m *Model) do(i int, c *call, line stores.Line) reply {
	switch c.verb {
	case verbGet:
		if v := m.objs[c.obj]; v != nil {
			return reply{code: http.StatusOK, v: v}
		}
		return reply{code: http.StatusNotFound}
	case verbList:
		return m.list(c)
	case verbUpdate:
		return m.update(c)
	case verbPatch:
		n := m.objs[c.obj].next(c.obj, c.body.by)
		e := &c.body.keys[0]
		n.set(e.key, e.value, c.body.by)
		n.ttl, n.written = c.body.ttl, c.body.written
		m.commit(n)
		return reply{code: http.StatusOK, v: n}
	}
	return m.open(i, c.watch, c.rv, line)
}

// list reads all objects of a resource: as they are now, or as they were at rv.
func (m *Model) list(c *call) reply {
	from, to := 0, firstPod
	if c.resource == pods {
		from, to = firstPod, len(m.objs)
	}
	r := reply{code: http.StatusOK, rv: m.rev, list: make([]*version, 0, to-from)}
	if c.rv > m.rev {
		return reply{code: http.StatusGone}
	}
	for _, v := range m.objs[from:to] {
		if v != nil && c.rv != 0 && v.rv > c.rv {
			if v = m.was(v.obj, c.rv); v == nil && m.base > 0 {
				return reply{code: http.StatusGone} // compacted
			}
		}
		if v != nil {
			r.list = append(r.list, v)
		}
	}
	if c.rv != 0 {
		r.rv = c.rv
	}
	return r
}

// was is an object at an earlier revision.
func (m *Model) was(obj int, rv uint64) *version {
	for i := len(m.log) - 1; i >= 0; i-- {
		if v := m.log[i]; v.obj == obj && v.rv <= rv {
			return v
		}
	}
	return nil
}

// update is a PUT with the resourceVersion of the object that it replaces.
// Stale, missing and no-op: seen on kube-apiserver 1.36.3.
func (m *Model) update(c *call) reply {
	cur := m.objs[c.obj]
	switch {
	case cur == nil && c.rv != 0:
		return reply{code: http.StatusNotFound}
	case cur != nil && c.rv == 0 && c.body.rv == 0:
		return reply{code: http.StatusConflict} // a create: AlreadyExists
	case cur != nil && c.rv == 0:
		return reply{code: http.StatusUnprocessableEntity}
	case cur != nil && (c.rv != cur.rv || c.body.uid != cur.uid):
		return reply{code: http.StatusConflict}
	case c.body.size() > maxAnnotations:
		return reply{code: http.StatusUnprocessableEntity}
	case cur != nil && cur.same(c.body):
		return reply{code: http.StatusOK, v: cur} // nothing is written, and whoever has this rv gets the same answer
	}
	m.commit(c.body)
	return reply{code: http.StatusOK, v: c.body}
}
