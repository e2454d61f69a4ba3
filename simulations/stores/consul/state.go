package consul

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// sessionID names a session; zero is none. The real ones are UUIDs and never come back either.
type sessionID uint64

// session is a session without health checks. It is not changed after its creation.
type session struct {
	id   sessionID
	ttl  time.Duration // the contract; the leader's timer is twice that
	node string        // the catalog node that it belongs to
}

// entry is a key. It is not changed after it was stored, so that views may share it.
type entry struct {
	key, value                  string
	flags, create, modify, lock uint64
	session                     sessionID
	// epoch is for judges: the acquisition that the key stems from, where a move to another session keeps it.
	epoch uint64
}

// delay refuses locks of a key for a while.
type delay struct {
	key        string
	set, until events.Instant
}

// state is what raft makes of its log: the state store of agent/consul/state.
type state struct {
	index    uint64 // of the last applied raft entry
	keys     []*entry
	shared   []*entry // keys as views share them, nil after a change
	table    uint64   // the newest index of the tables of keys and tombstones
	stones   uint64   // the newest tombstone, zero when all are reaped
	sessions []*session
	delays   []delay
}

// fault says why a transaction was refused.
type fault int

const (
	fine      fault = iota
	stale           // a check or a CAS did not hold
	taken           // the lock is held by another session, or not by the one that was named
	noSession       // the session does not exist
	delayed         // the lock delay
)

var faultTexts = [...]string{"", "index is stale", "lock is held by another session", "invalid session", "lock delay"}

func (f fault) String() string { return faultTexts[f] }

// verb is what a step of a transaction does (api.KVOp).
type verb int

const (
	set verb = iota
	cas
	lock
	unlock
	erase
	checkIndex
	checkSession
	checkAbsent
)

// step is one operation of a transaction on a key.
type step struct {
	verb         verb
	key, value   string
	flags, index uint64
	session      sessionID
	keepEpoch    bool // for judges: a move of the same lease
}

func (st *state) clone() *state {
	c := *st
	c.keys, c.sessions, c.delays = slices.Clone(st.keys), slices.Clone(st.sessions), slices.Clone(st.delays)
	return &c
}

// view is the directory as a recursive read returns it; the caller must not change it.
func (st *state) view() []*entry {
	if st.shared == nil {
		st.shared = make([]*entry, len(st.keys))
		copy(st.shared, st.keys)
	}
	return st.shared
}

func find(view []*entry, key string) (int, bool) {
	return slices.BinarySearchFunc(view, key, func(e *entry, k string) int { return strings.Compare(e.key, k) })
}

// lookup returns nil for an absent key.
func lookup(view []*entry, key string) *entry {
	if i, there := find(view, key); there {
		return view[i]
	}
	return nil
}

// listIndex is X-Consul-Index of a recursive read: the newest of the entries and the tombstones below
// it, and only if there are none that of the tables. So it goes back when tombstones are reaped or a
// snapshot is restored. source: state/kvs.go kvsListTxn, kvs_endpoint.go List
func (st *state) listIndex() uint64 {
	index := st.stones
	for _, e := range st.keys {
		index = max(index, e.modify)
	}
	if index == 0 {
		index = st.table
	}
	return max(index, 1)
}

func (st *state) session(id sessionID) *session {
	i, there := slices.BinarySearchFunc(st.sessions, id, func(s *session, id sessionID) int {
		switch {
		case s.id < id:
			return -1
		case s.id > id:
			return 1
		}
		return 0
	})
	if !there {
		return nil
	}
	return st.sessions[i]
}

// store puts an entry in its place. An entry that is as before keeps its index: a write of the same
// value, flags and session changes nothing. source: state/kvs.go kvsSetTxn
func (st *state) store(e entry) {
	i, there := find(st.keys, e.key)
	if there {
		old := st.keys[i]
		if old.value == e.value && old.flags == e.flags && old.session == e.session && old.lock == e.lock {
			return
		}
	}
	st.shared = nil
	e.modify, st.table = st.index, st.index
	if e.epoch == 0 {
		e.epoch = st.index
	}
	if there {
		e.create = st.keys[i].create
		st.keys[i] = &e
		return
	}
	e.create = st.index
	st.keys = slices.Insert(st.keys, i, &e)
}

// drop deletes a key and leaves a tombstone. source: state/kvs.go kvsDeleteTxn
func (st *state) drop(key string) {
	if i, there := find(st.keys, key); there {
		st.shared = nil
		st.keys = slices.Delete(st.keys, i, i+1)
		st.stones, st.table = st.index, st.index
	}
}

// transact applies all steps or none. Every transaction is a raft entry, also one that is refused.
// source: state/txn.go TxnRW
func (st *state) transact(steps []step) fault {
	before, table, stones := st.view(), st.table, st.stones
	for i := range steps {
		if f := st.do(&steps[i]); f != fine {
			st.keys = append(st.keys[:0], before...)
			st.shared, st.table, st.stones = before, table, stones
			return f
		}
	}
	return fine
}

func (st *state) do(s *step) fault {
	old := lookup(st.keys, s.key)
	switch s.verb {
	case set:
		st.store(st.written(old, s))
	case cas: // index 0 is "absent". source: state/kvs.go kvsSetCASTxn
		if (old == nil) != (s.index == 0) || old != nil && old.modify != s.index {
			return stale
		}
		st.store(st.written(old, s))
	case lock:
		return st.acquire(old, s)
	case unlock: // source: state/kvs.go kvsUnlockTxn
		if old == nil || old.session != s.session {
			return taken
		}
		e := *old
		e.session, e.value, e.flags = 0, s.value, s.flags
		st.store(e)
	case erase:
		st.drop(s.key)
	case checkIndex:
		if old == nil || old.modify != s.index {
			return stale
		}
	case checkSession:
		if old == nil || old.session != s.session {
			return stale
		}
	case checkAbsent:
		if old != nil {
			return stale
		}
	}
	return fine
}

// written is a set or a CAS: the session of the key stays. source: state/kvs.go kvsSetTxn, updateSession false
func (st *state) written(old *entry, s *step) entry {
	e := entry{key: s.key, value: s.value, flags: s.flags}
	if old != nil {
		e.session, e.lock = old.session, old.lock
	}
	return e
}

// acquire locks a key. A session that has the lock already gets it again, with the same lock index:
// that proves no new term. source: state/kvs.go kvsLockTxn
func (st *state) acquire(old *entry, s *step) fault {
	if st.session(s.session) == nil {
		return noSession
	}
	e := entry{key: s.key, value: s.value, flags: s.flags, session: s.session, lock: 1}
	if old != nil {
		switch old.session {
		case s.session:
			e.lock = old.lock
		case 0:
			e.lock = old.lock + 1
		default:
			return taken
		}
		if s.keepEpoch {
			e.epoch = old.epoch
		}
	}
	st.store(e)
	return fine
}

// destroy ends a session; its keys go with it (Behavior=delete) and may not be locked for the lock delay.
// Every server applies this, so each has the delay in its memory. source: state/session.go deleteSessionTxn
func (st *state) destroy(id sessionID, now events.Instant) (changed bool) {
	s := st.session(id)
	if s == nil {
		return false
	}
	st.sessions = slices.DeleteFunc(st.sessions, func(o *session) bool { return o == s })
	st.delays = slices.DeleteFunc(st.delays, func(d delay) bool { return d.until <= now })
	for i := 0; i < len(st.keys); {
		e := st.keys[i]
		if e.session != id {
			i++
			continue
		}
		st.drop(e.key)
		st.delays = append(st.delays, delay{key: e.key, set: now, until: now.Add(lockDelay)})
		changed = true
	}
	return changed
}

// delayed tells whether a lock of key is refused by a server that runs since started: the delay is in its memory only,
// and is checked before the entry enters raft. source: kvs_endpoint.go kvsPreApply
func (st *state) delayed(key string, now, started events.Instant) bool {
	for _, d := range st.delays {
		if d.key == key && d.until > now && d.set >= started {
			return true
		}
	}
	return false
}
