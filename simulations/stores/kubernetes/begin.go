package kubernetes

import (
	"strings"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Begin fills the objects: keys with the revisions that are recorded beside them, and the lease with its last renewal. Contenders begin to count
// its ttl when they first see it.
func (m *Model) Begin(b stores.Beginning) error {
	m.rev = max(m.rev, b.Contents.Revision)
	m.begun = map[string]held{}
	made := make([]*version, firstPod)
	for _, x := range b.Contents.Keys {
		obj := m.locate(x.Key)
		if obj < 0 {
			obj = m.pod(strings.TrimPrefix(x.Key, events.KeyMembers))
		}
		for len(made) <= obj {
			made = append(made, nil)
		}
		if made[obj] == nil {
			made[obj] = &version{obj: obj}
		}
		m.beginKey(made[obj], x, b.Of(x.Key))
	}
	for _, v := range made {
		if v != nil {
			m.commit(v)
		}
	}
	if l := b.Of(events.KeyLeader); l != nil {
		m.epoch, m.changed = l.Epoch, l.Ends.Add(-l.TTL)
	}
	return nil
}

// beginKey writes a key as an adapter did that is gone.
func (m *Model) beginKey(v *version, x events.KeyValue, l *stores.Lease) {
	m.sessions++
	by := token{m.sessions, 1}
	v.set(x.Key, x.Value, by)
	e := v.get(x.Key)
	e.rev, e.recorded = x.Revision, x.Value
	switch {
	case l == nil:
	case x.Key == events.KeyLeader:
		v.lease, v.by = lease{stamp: by, ttl: whole(l.TTL), transitions: 1}, by
		if l.Holder != "" {
			m.begun[l.Holder] = held{epoch: l.Epoch, by: by}
		}
	default:
		v.ttl, v.written, v.by = whole(l.TTL), l.Ends.Add(-l.TTL), by
	}
}

// goOn gives a member's first session the lease that it had when the world began.
func (s *session) goOn() {
	if h, held := s.m.begun[s.member]; held {
		delete(s.m.begun, s.member)
		s.held = h
	}
}
