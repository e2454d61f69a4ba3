package zookeeper

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// begun is a session that a member's first adapter goes on with, and the leader node that belongs to it.
type begun struct {
	key     string
	sid     uint64
	timeout time.Duration
	proven  events.Instant
	epoch   uint64
	czxid   uint64
}

// Begin fills the tree: nodes with their zxids, ephemerals with their sessions. It is called before the first leader is elected, who starts all
// timeouts anew.
func (m *Model) Begin(b stores.Beginning) error {
	m.epoch = b.Contents.Revision >> 32
	m.begun = map[string][]begun{}
	t := newTree()
	t.zxid, t.names = b.Contents.Revision, b.Contents.Revision
	t.nodes[keyLives] = &node{czxid: t.zxid, mzxid: t.zxid, version: 1}
	for _, x := range b.Contents.Keys {
		n := &node{value: x.Value, czxid: x.Revision, mzxid: x.Revision, version: 1}
		if l := b.Of(x.Key); l != nil {
			m.beginLease(t, n, l)
		}
		t.nodes[x.Key] = n
	}
	for _, s := range m.servers {
		s.tree = t.clone()
	}
	return nil
}

// beginLease makes a node an ephemeral of a session of its own.
func (m *Model) beginLease(t *tree, n *node, l *stores.Lease) {
	m.nextSID++
	timeout := m.negotiate(l.TTL)
	n.owner, n.lease = m.nextSID, l.Epoch
	t.sessions[n.owner] = int64(timeout)
	if l.Holder != "" {
		m.begun[l.Holder] = append(m.begun[l.Holder], begun{l.Key, n.owner, timeout, l.Ends.Add(-l.TTL), l.Epoch, n.czxid})
	}
}

// goOn gives a member's first adapter the sessions that it had when the world began.
func (a *Session) goOn() {
	for _, was := range a.m.begun[a.member] {
		l := a.lane(was.timeout)
		l.sid, l.proven = was.sid, was.proven
		if was.key == events.KeyLeader {
			a.held = []*holding{{epoch: was.epoch, lane: l, czxid: was.czxid, version: 1, lives: -2}}
		} else {
			a.record = l
		}
	}
	delete(a.m.begun, a.member)
}
