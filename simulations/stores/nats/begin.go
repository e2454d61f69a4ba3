package nats

import (
	"fmt"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// begun is what a member's first session goes on with.
type begun struct {
	held    *held
	record  record
	highest uint64
}

// Begin fills the bucket: keys with their sequences, and ttls with what is left of them. It refuses sequences that no bucket of ours has: the
// first is made of the time.
func (m *Model) Begin(b stores.Beginning) error {
	if b.Contents.Revision == 0 { // nobody has seen anything yet
		return nil
	}
	if b.Contents.Revision < leastFirstSeq {
		return fmt.Errorf("begin a bucket at sequence %d: those of a bucket begin above %d: the contents are those of another kind of store",
			b.Contents.Revision, uint64(leastFirstSeq))
	}
	m.first, m.data.last = b.Contents.Revision, b.Contents.Revision
	m.begun = map[string]*begun{}
	for _, x := range b.Contents.Keys {
		m.first = min(m.first, x.Revision)
		e := entry{key: x.Key, epoch: x.Revision, at: m.env.Now()}
		e.stored = stored{seq: x.Revision, live: true, value: x.Value, token: m.token()}
		if l := b.Of(x.Key); l != nil {
			m.beginLease(&e, l)
		}
		m.data.entries = append(m.data.entries, e)
	}
	return nil
}

// beginLease gives a message its ttl, and lets its writer know it.
func (m *Model) beginLease(e *entry, l *stores.Lease) {
	e.ttl = wholeSeconds(l.TTL)
	e.wall = l.Ends.Add(-e.ttl)
	m.watchEnd(m.ends(e))
	if l.Epoch != 0 {
		e.epoch = l.Epoch
	}
	if l.Holder == "" {
		return
	}
	if m.begun[l.Holder] == nil {
		m.begun[l.Holder] = &begun{highest: m.data.last}
	}
	s, r := m.begun[l.Holder], record{seq: e.seq, safe: l.Ends.Add(-expiryGuard)}
	if e.key == events.KeyLeader {
		s.held = &held{epoch: l.Epoch, token: e.token, last: r}
	} else {
		s.record = r
	}
}

// goOn gives a member's first session what it had when the world began.
func (s *session) goOn() {
	if was := s.m.begun[s.member]; was != nil {
		delete(s.m.begun, s.member)
		s.held, s.record, s.highest = was.held, was.record, was.highest
	}
}
