package etcd

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// begun is what a member's first session goes on with.
type begun struct {
	held   []held
	record record
}

// Begin fills the store: keys with their revisions, and leases with what is left of them.
func (m *Model) Begin(b stores.Beginning) error {
	m.rev = max(m.rev, int64(b.Contents.Revision))
	m.compacted = m.rev
	if b.Contents.Term > m.term {
		m.term = b.Contents.Term
		for _, s := range m.servers {
			s.term = m.term
		}
	}
	m.begun = map[string]*begun{}
	for _, x := range b.Contents.Keys {
		k := kv{key: x.Key, value: x.Value, create: int64(x.Revision), mod: int64(x.Revision), epoch: int64(x.Revision)}
		m.rev = max(m.rev, k.mod)
		if l := b.Of(x.Key); l != nil {
			m.beginLease(&k, l)
		}
		m.keys = append(m.keys, k)
	}
	return nil
}

// beginLease attaches a key to a lease, and lets its holder know it.
func (m *Model) beginLease(k *kv, l *stores.Lease) {
	secs := seconds(l.TTL)
	granted := &lease{id: m.newID(), ttl: secs, ends: max(l.Ends, m.env.Now().Add(time.Millisecond))}
	m.leases = append(m.leases, granted)
	k.lease = granted.id
	if l.Epoch != 0 {
		k.epoch = int64(l.Epoch)
	}
	if l.Holder == "" {
		return
	}
	if m.begun[l.Holder] == nil {
		m.begun[l.Holder] = &begun{}
	}
	c := m.begun[l.Holder]
	if k.key == events.KeyLeader {
		c.held = []held{{epoch: l.Epoch, id: granted.id, asked: secs}}
	} else {
		c.record = record{lease: granted.id, secs: secs, rev: k.mod, value: k.value}
	}
}

// goOn gives a member's first session what it had when the world began.
func (c *session) goOn() {
	if was := c.m.begun[c.member]; was != nil {
		delete(c.m.begun, c.member)
		c.held, c.record = was.held, was.record
	}
}
