package nats

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Bounds of the servers.
const (
	// markerTTL is subject_delete_marker_ttl as the adapter sets it.
	markerTTL = time.Minute
	// expiryLate is how late the end of a message was seen at most: 3.000 to 3.191 s for 3 s, seen on nats-server 2.15.2.
	expiryLate = 191 * time.Millisecond
	// reproposed is after what time a marker may be proposed again (source: filestore.go shouldProcessSdmLocked).
	reproposed = 2 * time.Second
	// unsyncedFor is the server's default sync_interval (source: filestore.go defaultSyncInterval).
	unsyncedFor = 2 * time.Minute
	// wallStart is the wall clock at instant zero, in microseconds; first sequences are made of it.
	wallStart = 1_790_000_000_000_000
	// leastFirstSeq is the smallest first sequence that the adapter takes for one made of the time.
	leastFirstSeq = 1_000_000_000_000_000
)

// readPrefix begins the keys that linearizable reads write; they are no part of the directory.
const readPrefix = "=read."

// message is a write to one key.
type message struct {
	key, value string
	ttl        time.Duration // zero: for ever
	remove     bool          // a marker of deletion
	token      uint64        // of a lease or a write; zero in what the server writes itself
}

// stored is the last message of a key, as a read shows it. The zero value is a key without any.
type stored struct {
	seq   uint64
	live  bool
	value string
	token uint64
}

// entry is the last message of a key in the stream.
type entry struct {
	stored
	key   string
	epoch uint64         // sequence of the first message with this token
	wall  events.Instant // of the leader that took it
	ttl   time.Duration  // whole seconds
	at    events.Instant // when it was committed
	prev  stored         // what was there before, for direct reads
	// expiring is the term in which its end is under way, zero for none: a new leader begins again.
	expiring uint64
}

func (e *entry) isRead() bool { return strings.HasPrefix(e.key, readPrefix) }

// view is what one server has applied.
type view struct {
	entries []entry // sorted by key
	last    uint64
}

func (v *view) find(key string) (int, bool) {
	lo, hi := 0, len(v.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if v.entries[mid].key < key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(v.entries) && v.entries[lo].key == key
}

func (v *view) get(key string) stored {
	if i, ok := v.find(key); ok {
		return v.entries[i].stored
	}
	return stored{}
}

func (v *view) clone() *view {
	return &view{entries: append([]entry(nil), v.entries...), last: v.last}
}

func (v *view) remove(key string) {
	if i, ok := v.find(key); ok {
		v.entries = append(v.entries[:i], v.entries[i+1:]...)
	}
}

// after lists what is newer than a sequence, in sequence order.
func (v *view) after(seq uint64) []entry {
	n := 0
	for i := range v.entries {
		if v.entries[i].seq > seq {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	newer := make([]entry, 0, n)
	for i := range v.entries {
		if v.entries[i].seq > seq {
			newer = append(newer, v.entries[i])
		}
	}
	slices.SortFunc(newer, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	return newer
}

// undo is how a write that was not synced is forgotten.
type undo struct {
	at     events.Instant
	key    string
	before entry
	was    bool // there was one before
	last   uint64
}

// wall is the wall clock of a server, in the model's time.
func (m *Model) wall(server int) events.Instant { return m.env.Now().Add(m.servers[server].offset) }

// commit applies a write on all servers that can have it, tells the watchers and returns its sequence.
func (m *Model) commit(w message, wall events.Instant) uint64 {
	m.leaveBehind()
	now := m.env.Now()
	m.note(w.key, now)
	i, there := m.data.find(w.key)
	if !there {
		m.data.entries = append(m.data.entries, entry{})
		copy(m.data.entries[i+1:], m.data.entries[i:])
		m.data.entries[i] = entry{key: w.key}
	}
	e := &m.data.entries[i]
	m.data.last++
	e.prev, e.at = e.stored, now
	if !e.live || e.token != w.token || w.remove {
		e.epoch = m.data.last
	}
	e.stored = stored{seq: m.data.last, live: !w.remove, value: w.value, token: w.token}
	// Seen on nats-server 2.15.2: a ttl of 1.9 s ends a message after 1.01 s.
	e.wall, e.ttl, e.expiring = wall, w.ttl.Truncate(time.Second), 0
	if e.ttl > 0 {
		m.watchEnd(m.ends(e))
	}
	m.tell(e)
	return e.seq
}

// note remembers what a write replaces, for as long as it may be unsynced.
func (m *Model) note(key string, now events.Instant) {
	if !m.opt.SyncEveryTwoMinutes {
		return
	}
	old := 0
	for old < len(m.journal) && m.journal[old].at < now.Add(-unsyncedFor) {
		old++
	}
	if old > 64 { // rarely, so that it costs little
		m.journal = append(m.journal[:0], m.journal[old:]...)
	}
	u := undo{at: now, key: key, last: m.data.last}
	if i, ok := m.data.find(key); ok {
		u.before, u.was = m.data.entries[i], true
	}
	m.journal = append(m.journal, u)
}

// forget takes back what was written since an instant: its sequences come again.
func (m *Model) forget(since events.Instant) {
	for n := len(m.journal); n > 0 && m.journal[n-1].at >= since; n-- {
		u := m.journal[n-1]
		m.journal = m.journal[:n-1]
		m.data.last = u.last
		i, there := m.data.find(u.key)
		switch {
		case u.was && there:
			m.data.entries[i] = u.before
			m.data.entries[i].expiring = 0
		case u.was: // a marker that has gone since: what it had replaced is long over
		case there:
			m.data.remove(u.key)
		}
	}
	for i := range m.servers {
		m.servers[i].view, m.servers[i].synced = nil, true
	}
}

// ends is when a message ends by the clock of the leader, in true time.
func (m *Model) ends(e *entry) events.Instant {
	offset := time.Duration(0)
	if m.lead >= 0 {
		offset = m.servers[m.lead].offset
	}
	return e.wall.Add(e.ttl - offset)
}

// watchEnd makes sure that the ends of messages are looked at no later than at an instant.
func (m *Model) watchEnd(at events.Instant) {
	if m.alarm != 0 && m.alarm <= at {
		return
	}
	at = max(at, 1)
	m.alarm = at
	m.env.After(max(at.Sub(m.env.Now()), 0), func() { m.lookAtEnds(at) })
}

// lookAtEnds begins the end of every message that is due, if there is a leader to do it.
func (m *Model) lookAtEnds(planned events.Instant) {
	if m.alarm != planned {
		return
	}
	m.alarm = 0
	if !m.active() {
		return // the next leader looks again
	}
	now := m.env.Now()
	var next events.Instant
	for i := 0; i < len(m.data.entries); i++ {
		e := &m.data.entries[i]
		if e.ttl == 0 || e.expiring == m.term {
			continue
		}
		due := m.ends(e)
		switch {
		case due > now:
			if next == 0 || due < next {
				next = due
			}
		case !e.live: // the end of a marker is told to nobody
			m.data.remove(e.key)
			i--
		default:
			e.expiring = m.term
			late := expiryLate
			if now.Sub(due) > expiryLate {
				late = reproposed
			}
			key, seq, made := e.key, e.seq, m.made
			m.env.After(kernel.Between(m.env, "how late a message ends", 0, late), func() {
				if m.made == made {
					m.expire(key, seq)
				}
			})
		}
	}
	if next != 0 {
		m.watchEnd(next)
	}
}

// expire decides that a message has ended, and writes the marker in a second step, without a condition
// (source: filestore.go expireMsgs, handleRemovalOrSdm). A write that was in flight is acknowledged
// and swept away by it: seen on nats-server 2.15.2, about once in 70 renewals at that very moment.
func (m *Model) expire(key string, seq uint64) {
	i, there := m.data.find(key)
	if !there || m.data.entries[i].seq != seq || m.data.entries[i].expiring != m.term {
		return
	}
	if !m.active() {
		m.data.entries[i].expiring = 0
		return
	}
	marker := message{key: key, remove: true, ttl: markerTTL}
	if len(m.servers) > 1 {
		m.propose(proposal{message: marker, wall: m.wall(m.lead)})
		return
	}
	made := m.made
	m.env.After(kernel.Between(m.env, "between the end of a message and its marker", 0, 500*time.Microsecond), func() {
		i, there := m.data.find(key)
		switch {
		case made != m.made || !there:
		case !m.active():
			m.data.entries[i].expiring = 0
		default:
			m.commit(marker, m.wall(m.lead))
		}
	})
}
