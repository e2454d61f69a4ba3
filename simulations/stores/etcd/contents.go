package etcd

import (
	"slices"
	"strings"

	"github.com/regent-ha/regent/events"
)

// contents are what the committed entries have made.
type contents struct {
	rev     int64
	keys    []kv // sorted
	leases  []*lease
	history []change // after the last compaction
	ids     int64    // counts leases
	// compacted is the revision up to which there is no history.
	compacted int64
}

// kv is a key with what etcd knows of it.
type kv struct {
	key, value  string
	create, mod int64
	lease       int64
	epoch       int64 // of the leader key: the revision at which its holder won it; etcd itself knows no such thing
}

// change is one event of a watch.
type change struct {
	fact  events.DCSChange
	index int64 // of the entry that made it
}

// lease is the leader's view of one.
type lease struct {
	id       int64
	ttl      int64 // seconds
	ends     events.Instant
	revoking bool
	waiting  []*work // keepalives that came when it had expired
}

// mostHistory bounds the history; beyond it the older half is compacted, as operators let etcd do.
const mostHistory = 8192

func (c *contents) find(key string) (int, bool) {
	return slices.BinarySearchFunc(c.keys, key, func(k kv, key string) int { return strings.Compare(k.key, key) })
}

// get finds a key. What it returns is good until the next change.
func (c *contents) get(key string) *kv {
	if i, there := c.find(key); there {
		return &c.keys[i]
	}
	return nil
}

func (c *contents) lease(id int64) *lease {
	for _, l := range c.leases {
		if l.id == id && id != 0 {
			return l
		}
	}
	return nil
}

// put writes a key at a new revision.
func (m *Model) put(key, value string, id int64) {
	m.rev++
	i, there := m.find(key)
	if !there {
		m.keys = slices.Insert(m.keys, i, kv{key: key, create: m.rev})
	}
	k := &m.keys[i]
	k.value, k.mod, k.lease, k.epoch = value, m.rev, id, m.rev
	m.note(events.DCSChange{KeyValue: events.KeyValue{Key: key, Value: value, Revision: uint64(m.rev)}})
}

// remove deletes a key at the present revision, which the caller has raised: a lease takes all its keys at one.
func (m *Model) remove(key string) {
	if i, there := m.find(key); there {
		m.keys = slices.Delete(m.keys, i, i+1)
		m.note(events.DCSChange{KeyValue: events.KeyValue{Key: key, Revision: uint64(m.rev)}, Deleted: true})
	}
}

func (m *Model) note(f events.DCSChange) {
	if len(m.history) >= mostHistory {
		m.compact(int64(m.history[mostHistory/2].fact.Revision))
	}
	m.history = append(m.history, change{f, m.index + 1})
}

// compact forgets the history up to a revision.
func (m *Model) compact(rev int64) {
	i := 0
	for i < len(m.history) && int64(m.history[i].fact.Revision) <= rev {
		i++
	}
	m.history = slices.Clone(m.history[i:]) // messages on their way hold parts of the former one
	m.compacted = max(m.compacted, rev)
}

// after is the history after a revision, up to an index.
func (c *contents) after(rev, index int64) []change {
	from := len(c.history)
	for from > 0 && int64(c.history[from-1].fact.Revision) > rev {
		from--
	}
	to := len(c.history)
	for to > from && c.history[to-1].index > index {
		to--
	}
	return c.history[from:to:to]
}

// snapshot is the whole directory.
func (c *contents) snapshot(term uint64) events.DCSSnapshot {
	s := events.DCSSnapshot{Revision: uint64(c.rev), Term: term, Keys: make([]events.KeyValue, len(c.keys))}
	for i := range c.keys {
		k := &c.keys[i]
		s.Keys[i] = events.KeyValue{Key: k.key, Value: k.value, Revision: uint64(k.mod)}
	}
	return s
}

// revoke deletes a lease and its keys.
func (m *Model) revoke(id int64) bool {
	i := slices.IndexFunc(m.leases, func(l *lease) bool { return l.id == id })
	if i < 0 {
		return false
	}
	l := m.leases[i]
	m.leases = slices.Delete(m.leases, i, i+1)
	raised := false
	for k := len(m.keys) - 1; k >= 0; k-- {
		if m.keys[k].lease == id {
			if !raised {
				m.rev, raised = m.rev+1, true
			}
			m.remove(m.keys[k].key)
		}
	}
	for _, w := range l.waiting {
		w.answer(answer{ttl: 0})
	}
	return true
}
