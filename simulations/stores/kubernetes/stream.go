package kubernetes

import (
	"net/http"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// stream is one watch of one resource at an API server: an HTTP response without end, so what is lost on the way is
// sent again, and nothing overtakes it.
type stream struct {
	m        *Model
	w        *watch
	line     stores.Line
	server   int
	resource int
	pos      int // index in the log of the next event to look at
	last     events.Instant
	waiting  bool // for the retransmission of a lost packet
	dead     bool
}

// open begins both watches of an adapter after rv.
func (m *Model) open(i int, w *watch, rv uint64, line stores.Line) reply {
	if rv > m.rev || m.base > 0 && (len(m.log) == 0 || m.log[0].rv > rv+1) && rv < m.rev {
		return reply{code: http.StatusGone} // older than the window of the watch cache. Source: storage/cacher, "too old resource version"
	}
	s := m.servers[i]
	pos := m.base
	for j := len(m.log) - 1; j >= 0; j-- {
		if m.log[j].rv <= rv {
			pos = m.base + j + 1
			break
		}
	}
	s.streams = slices.DeleteFunc(s.streams, func(x *stream) bool { return x.dead })
	for r := range resources {
		if s.lagging <= m.env.Now() {
			s.cached[r] = m.base + len(m.log)
		}
		st := &stream{m: m, w: w, line: line, server: i, resource: r, pos: pos}
		s.streams = append(s.streams, st)
		w.streams = append(w.streams, st)
		st.pump()
	}
	return reply{code: http.StatusOK}
}

// publish lets the watch caches of all servers learn of the newest event.
func (m *Model) publish(resource int) {
	end := m.base + len(m.log)
	for _, s := range m.servers {
		if len(s.streams) == 0 {
			continue
		}
		m.env.After(kernel.Between(m.env, "lag of a watch cache", 500*time.Microsecond, 6*time.Millisecond), func() {
			if s.up && !s.frozen && s.lagging <= m.env.Now() {
				m.reach(s, resource, end)
			}
		})
	}
}

// reach brings a watch cache up to an index and feeds its watches.
func (m *Model) reach(s *server, resource, end int) {
	s.cached[resource] = max(s.cached[resource], end)
	for _, st := range s.streams {
		if st.resource == resource {
			st.pump()
		}
	}
}

// catchUp is what a server does after a freeze or a lag.
func (m *Model) catchUp(s *server) {
	if !s.up || s.frozen || s.lagging > m.env.Now() {
		return
	}
	for r := range resources {
		m.reach(s, r, m.base+len(m.log))
	}
}

// pump sends what the cache has and the watch has not.
func (st *stream) pump() {
	m := st.m
	s := m.servers[st.server]
	for !st.dead && !st.waiting && !s.frozen && st.pos < s.cached[st.resource] {
		if st.pos < m.base {
			st.breaks(http.StatusGone, 0)
			return
		}
		v := m.log[st.pos-m.base]
		if resourceOf(v.obj) != st.resource {
			st.pos++
			continue
		}
		d, fate := st.line.Return(st.server)
		switch fate {
		case stores.Vanishes:
			st.waiting = true
			m.env.After(200*time.Millisecond, func() {
				st.waiting = false
				st.pump()
			})
			return
		case stores.Resets:
			st.breaks(codeBroken, d)
			return
		}
		st.pos++
		st.last = max(st.last, m.env.Now().Add(d))
		m.env.After(st.last.Sub(m.env.Now()), func() {
			if !st.dead {
				st.w.event(v)
			}
		})
	}
}

// breaks ends a stream and lets its client know.
func (st *stream) breaks(code int, d time.Duration) {
	if st.dead {
		return
	}
	st.dead = true
	st.m.env.After(d, func() { st.w.broken(code) })
}

// cutStreams ends all watches at a server that dies: its kernel resets the connections.
func (m *Model) cutStreams(s *server) {
	for _, st := range s.streams {
		if d, fate := st.line.Return(st.server); fate != stores.Vanishes {
			st.breaks(codeBroken, d)
		}
		// else the client does not learn of it, and nothing comes any more
		st.dead = st.dead || !s.up
	}
	s.streams = nil
}

// forget drops all but the newest n events from the watch caches. Watches that still need them get a 410.
func (m *Model) forget(n int) {
	drop := len(m.log) - n
	if drop <= 0 {
		return
	}
	m.base += drop
	m.log = append([]*version(nil), m.log[drop:]...)
}
