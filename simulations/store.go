package simulations

import (
	"sort"
	"time"

	"github.com/regent-ha/regent/events"
)

// store is a model of a linearizable store with leases, in the manner of etcd: one revision for everything,
// leases that end by the store's own clock, watches that lag a little.
type store struct {
	w    *World
	up   bool
	rev  uint64
	keys map[string]*entry
}

type entry struct {
	value   string
	rev     uint64
	expires events.Instant // zero: never
	ttl     time.Duration
	gen     uint64 // grows with each change of expires
}

const storeLatency = 3 * time.Millisecond

func newStore(w *World) *store { return &store{w: w, up: true, keys: map[string]*entry{}} }

// put writes a key and tells the watchers.
func (s *store) put(key, value string, ttl time.Duration) uint64 {
	s.rev++
	e := s.keys[key]
	if e == nil {
		e = &entry{}
		s.keys[key] = e
	}
	e.value, e.rev, e.expires = value, s.rev, 0
	if ttl > 0 {
		s.prolong(key, ttl)
	}
	s.tell(events.DCSChange{KeyValue: events.KeyValue{Key: key, Value: value, Revision: s.rev}})
	return s.rev
}

func (s *store) prolong(key string, ttl time.Duration) {
	e := s.keys[key]
	e.gen++
	gen := e.gen
	e.expires, e.ttl = s.w.now.Add(ttl), ttl
	s.expireAfter(key, gen, ttl+s.w.jitter(300*time.Millisecond))
}

// expireAfter ends a lease, never early; a store that is down does it when it is up again, and gives every
// lease its full time then, as etcd does when it elects a leader.
func (s *store) expireAfter(key string, gen uint64, d time.Duration) {
	s.w.after(d, func() {
		e := s.keys[key]
		if e == nil || e.gen != gen {
			return
		}
		if !s.up {
			s.expireAfter(key, gen, time.Second)
			return
		}
		if s.w.now < e.expires {
			s.expireAfter(key, gen, e.expires.Sub(s.w.now)+time.Millisecond)
			return
		}
		s.remove(key)
	})
}

func (s *store) remove(key string) {
	if s.keys[key] == nil {
		return
	}
	delete(s.keys, key)
	s.rev++
	s.tell(events.DCSChange{KeyValue: events.KeyValue{Key: key, Revision: s.rev}, Deleted: true})
}

// holds tells whether a condition on a key's revision holds; absent keys have revision zero.
func (s *store) holds(key string, expect int64) bool {
	if expect == events.Any {
		return true
	}
	e := s.keys[key]
	if e == nil {
		return expect == 0
	}
	return int64(e.rev) == expect
}

func (s *store) tell(c events.DCSChange) {
	for _, m := range s.w.members {
		if m.storeCut || !s.up {
			m.watchLost = true
			continue
		}
		m.watched(c)
	}
}

func (s *store) snapshot() events.DCSSnapshot {
	snap := events.DCSSnapshot{Revision: s.rev}
	for k, e := range s.keys {
		snap.Keys = append(snap.Keys, events.KeyValue{Key: k, Value: e.value, Revision: e.rev})
	}
	sort.Slice(snap.Keys, func(i, j int) bool { return snap.Keys[i].Key < snap.Keys[j].Key })
	return snap
}

// SetStore takes the store down or brings it back. What it held it still holds; leases start anew.
func (w *World) SetStore(up bool) {
	s := w.store
	s.up = up
	for _, m := range w.members {
		m.reachChanged()
	}
	if !up {
		return
	}
	for _, e := range s.keys {
		if e.expires != 0 {
			e.expires = w.now.Add(e.ttl)
		}
	}
}

// Cut separates a member from the store, or joins them again.
func (w *World) Cut(name string, cut bool) {
	m := w.Member(name)
	m.storeCut = cut
	m.reachChanged()
}

// LeaderKey is what the leader key says.
func (w *World) LeaderKey() string {
	if e := w.store.keys[events.KeyLeader]; e != nil {
		return e.value
	}
	return ""
}

// Put writes a key as an operator's tool would.
func (w *World) Put(key, value string) { w.store.put(key, value, 0) }
