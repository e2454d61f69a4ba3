package etcd

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// stream is a watch on a server, which tells what that server has applied, in order.
type stream struct {
	w      *watch
	server *server
	life   int
	sent   int64          // revision up to which the server has sent
	last   events.Instant // when the last message arrives
	held   []func()       // messages behind a lost one
}

// retransmit is after how long TCP sends again what was lost.
const retransmit = 200 * time.Millisecond

// live tells whether the client still listens.
func (st *stream) live() bool { return !st.w.c.closed && st.w.st == st }

// open asks the server for the stream. The client does not wait for it.
func (st *stream) open() {
	m := st.server.m
	st.life = st.server.life
	wait, fate := st.w.c.line.Send(st.server.id)
	switch fate {
	case stores.Vanishes:
		m.env.After(unackedLimit, st.broke)
	case stores.Resets:
		m.env.After(wait, st.broke)
	default:
		m.env.After(wait, func() {
			if !st.server.up || st.server.life != st.life {
				st.broke()
				return
			}
			st.server.run(st.register)
		})
	}
}

func (st *stream) register() {
	s := st.server
	switch {
	case !st.live() || s.life != st.life:
	case s.knows < 0:
		st.cancel(noLeader.text)
	case st.sent < s.m.compacted: // seen on 3.4.23: cancelled with the compact revision
		st.cancel(compacted)
	default:
		s.streams = append(s.streams, st)
		st.push()
	}
}

const compacted = "watch cancelled by the server: the revision was compacted"

// stream lets the server's watches have what it has applied.
func (s *server) stream() {
	ended := false
	for _, st := range s.streams {
		if ended = ended || !st.live(); st.live() {
			st.push()
		}
	}
	if ended {
		s.streams = slices.DeleteFunc(s.streams, func(st *stream) bool { return !st.live() })
	}
}

// push sends what the server has applied since it last did.
func (st *stream) push() {
	m := st.server.m
	if st.sent >= m.rev {
		return
	}
	if st.sent < m.compacted {
		st.cancel(compacted)
		return
	}
	news := m.after(st.sent, st.server.applied)
	if len(news) == 0 {
		return
	}
	rev := int64(news[len(news)-1].fact.Revision)
	st.sent = rev
	st.send(func() { st.w.changes(news, rev) })
}

func (st *stream) cancel(reason string) { st.send(func() { st.w.failed(reason) }) }

// send brings a message to the client, in order.
func (st *stream) send(do func()) {
	env := st.server.m.env
	if len(st.held) > 0 {
		st.held = append(st.held, do)
		return
	}
	wait, fate := st.w.c.line.Return(st.server.id)
	switch fate {
	case stores.Resets:
		env.After(wait, st.broke)
		return
	case stores.Vanishes:
		st.held = append(st.held, do)
		env.After(retransmit, st.again)
		return
	}
	now := env.Now()
	st.last = max(st.last, now.Add(wait))
	env.After(st.last.Sub(now), func() {
		if st.live() {
			do()
		}
	})
}

// again sends what was lost and what waits behind it.
func (st *stream) again() {
	held := st.held
	st.held = nil
	if !st.live() || !st.server.up || st.server.life != st.life {
		return
	}
	for _, do := range held {
		st.send(do)
	}
}

// broke is the end of the connection, as the client sees it.
func (st *stream) broke() {
	if st.live() {
		st.w.c.conns[st.server.id].broke()
		st.w.failed(broken.text)
	}
}
