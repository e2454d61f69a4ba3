package consul

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// begun is what a member's first adapter goes on with.
type begun struct {
	held   []*hold
	record record
}

// Begin fills the store: keys with their indices, and sessions with what is left of them. A lease lasts a ttl longer here than its holder may
// count on.
func (m *Model) Begin(b stores.Beginning) error {
	st := m.st
	st.index = max(st.index, b.Contents.Revision)
	st.table, st.stones, st.shared = st.index, st.index, nil // so that the index of a list is that of the contents
	m.begun = map[string]*begun{}
	for _, x := range b.Contents.Keys {
		e := &entry{key: x.Key, value: x.Value, create: x.Revision, modify: x.Revision, epoch: x.Revision}
		if l := b.Of(x.Key); l != nil {
			m.beginLease(e, l)
		}
		st.keys = append(st.keys, e)
	}
	return nil
}

// beginLease locks a key by a session, and lets its holder know that.
func (m *Model) beginLease(e *entry, l *stores.Lease) {
	m.sessionIDs++
	ttl, node := granted(l.TTL), ownNode
	if e.key != events.KeyLeader {
		node = l.Holder
	}
	s := &session{id: m.sessionIDs, ttl: ttl, node: node}
	m.st.sessions = append(m.st.sessions, s)
	left := max(l.Ends.Add(ttl).Sub(m.env.Now()), 0)
	m.timers = append(m.timers, timer{id: s.id, ends: m.env.Now().Add(left), armed: true})
	m.watchTimer(s.id, left)
	e.session, e.lock = s.id, 1
	if l.Epoch != 0 {
		e.epoch = l.Epoch
	}
	if l.Holder == "" {
		return
	}
	if m.begun[l.Holder] == nil {
		m.begun[l.Holder] = &begun{}
	}
	a := m.begun[l.Holder]
	if e.key == events.KeyLeader {
		a.held = []*hold{{epoch: l.Epoch, id: s.id, index: e.modify, ttl: ttl, sentAt: l.Ends.Add(-l.TTL), server: -1}}
	} else {
		a.record = record{id: s.id, ttl: ttl, index: e.modify}
	}
}

// goOn gives a member's first adapter what it had when the world began.
func (a *agent) goOn() {
	if was := a.m.begun[a.member]; was != nil {
		delete(a.m.begun, a.member)
		a.held, a.record = was.held, was.record
	}
}
