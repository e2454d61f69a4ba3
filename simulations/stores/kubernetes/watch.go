package kubernetes

import (
	"net/http"
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

const (
	// pingEvery is how often the leader object is read with quorum: an open watch proves nothing.
	pingEvery = time.Second
	// pingTimeout bounds such a read, and each request that begins a watch.
	pingTimeout = time.Second
	// silence is after how long without an answer the store is reported unreachable.
	silence = 2500 * time.Millisecond
	// behindLimit is how many reads in a row may show a newer leader object than the watch delivered.
	behindLimit = 2
)

// watch is the adapter's two watches and what they have told its engine.
type watch struct {
	s       *session
	sink    func(events.Fact)
	streams []*stream
	turn    int // counts attempts: what belongs to a former one is void
	// cache are the objects as the watches delivered them, tolds the keys as the engine was told, by object.
	cache    []*version
	tolds    [][]told
	max      uint64 // the newest revision told
	live     bool
	behind   int
	answered events.Instant
	reach    int // what was reported: 0 nothing, 1 reachable, -1 not
	sweepAt  events.Instant
	sweepNo  int
}

// told is a key as it was told.
type told struct {
	key, value string
	by         token
	rev        uint64
}

// Watch delivers facts to sink until the session is closed (see stores.Session).
func (s *session) Watch(sink func(events.Fact)) {
	w := &watch{s: s, sink: sink, answered: s.m.env.Now()}
	s.watch = w
	for _, o := range s.seen {
		if o != nil {
			w.planSweep(o)
		}
	}
	w.begin()
}

func (w *watch) told(obj int, key string) *told {
	if obj >= len(w.tolds) {
		return nil
	}
	for i := range w.tolds[obj] {
		if t := &w.tolds[obj][i]; t.key == key {
			return t
		}
	}
	return nil
}

// drop ends the streams; the servers notice nothing.
func (w *watch) drop() {
	w.turn++
	w.live = false
	for _, st := range w.streams {
		st.dead = true
	}
	w.streams = w.streams[:0]
}

// begin lists, tells a snapshot, and watches from its revision.
func (w *watch) begin() {
	w.drop()
	turn, s := w.turn, w.s
	limit := func() events.Instant { return s.m.env.Now().Add(w.patience()) }
	s.readAll(limit, func(r reply, rv uint64, ends, all []*version) {
		if turn != w.turn {
			return
		}
		if r.code != http.StatusOK {
			w.failed(r)
			return
		}
		w.answered = s.m.env.Now()
		w.reset(rv, ends, all)
		w.sink(s.snapshotTold(rv, ends, all))
		w.report(true, "")
		w.open(rv)
	})
}

func (w *watch) patience() time.Duration {
	if w.reach < 0 {
		return pingTimeout
	}
	left := w.answered.Add(silence).Sub(w.s.m.env.Now())
	return min(max(left, 50*time.Millisecond), pingTimeout)
}

func (w *watch) open(rv uint64) {
	turn, s := w.turn, w.s
	s.ask(call{verb: verbWatch, rv: rv, watch: w}, s.m.env.Now().Add(w.patience()), func(r reply) {
		if turn != w.turn {
			return
		}
		if r.code != http.StatusOK {
			w.failed(r)
			return
		}
		w.live, w.behind = true, 0
		w.ping(turn)
	})
}

// ping reads the leader object again and again.
func (w *watch) ping(turn int) {
	s := w.s
	s.m.env.After(pingEvery, func() {
		if s.closed || turn != w.turn {
			return
		}
		s.ask(call{verb: verbGet, obj: objLeader}, s.m.env.Now().Add(w.patience()), func(r reply) {
			if turn != w.turn {
				return
			}
			if r.code != http.StatusOK && r.code != http.StatusNotFound {
				w.failed(r)
				return
			}
			w.answered = s.m.env.Now()
			s.learn(objLeader, r.v)
			if c := w.cached(objLeader); c == r.v || c != nil && r.v != nil && c.uid == r.v.uid && c.rv >= r.v.rv {
				w.behind = 0
			} else if w.behind++; w.behind > behindLimit {
				s.server = (s.server + 1) % len(s.m.servers)
				w.begin()
				return
			}
			w.ping(turn)
		})
	})
}

// failed notes an attempt that came to nothing, and tries again.
func (w *watch) failed(r reply) {
	s := w.s
	w.drop()
	if s.m.env.Now().Sub(w.answered) >= silence || r.code == http.StatusForbidden {
		w.report(false, "the API server does not answer: "+strconv.Itoa(r.code))
	}
	turn := w.turn
	s.m.env.After(100*time.Millisecond, func() {
		if !s.closed && turn == w.turn {
			w.begin()
		}
	})
}

// broken is the end of a stream: by the connection, or by a 410 in it.
func (w *watch) broken(code int) {
	if w.s.closed || len(w.streams) == 0 {
		return
	}
	if code != http.StatusGone {
		w.s.server = (w.s.server + 1) % len(w.s.m.servers)
	}
	w.failed(reply{code: code})
}

func (w *watch) report(up bool, why string) {
	word := -1
	if up {
		word = 1
	}
	if w.reach != word {
		w.reach = word
		w.sink(events.DCSReach{Reachable: up, Reason: why})
	}
}

func (w *watch) cached(obj int) *version {
	if obj >= len(w.cache) {
		return nil
	}
	return w.cache[obj]
}

// reset makes a list the cache.
func (w *watch) reset(rv uint64, lists ...[]*version) {
	w.max = rv
	for i := range w.cache {
		w.cache[i] = nil
	}
	for _, list := range lists {
		for _, v := range list {
			w.grow(v.obj)
			w.cache[v.obj] = v
		}
	}
}

func (w *watch) grow(obj int) {
	for len(w.cache) <= obj {
		w.cache, w.tolds = append(w.cache, nil), append(w.tolds, nil)
	}
}

// snapshotTold is a snapshot for the engine, and remembers what it says.
func (s *session) snapshotTold(rv uint64, lists ...[]*version) events.DCSSnapshot {
	w := s.watch
	snap := s.snapshot(rv, lists...)
	for obj, v := range w.cache {
		fresh := make([]told, 0, 4)
		if v != nil {
			hide := s.hidden(v)
			for i := range v.keys {
				e := &v.keys[i]
				if v.unseen(e, hide) {
					continue
				}
				fresh = append(fresh, told{e.key, e.value, e.by, s.shown(v, e)})
			}
		}
		w.tolds[obj] = fresh
	}
	return snap
}

// event is a new version of an object on a stream.
func (w *watch) event(v *version) {
	s := w.s
	if s.closed {
		return
	}
	w.answered = s.m.env.Now()
	s.learn(v.obj, v)
	w.grow(v.obj)
	w.cache[v.obj] = v
	if v.rv < w.max { // the other watch was faster: the order is gone, so everything is told
		ends, all := w.cache[:min(firstPod, len(w.cache))], w.cache[min(firstPod, len(w.cache)):]
		w.sink(s.snapshotTold(w.max, ends, all))
		return
	}
	w.changes(v)
}

// changes tells which keys a version changed. A renewal changes none.
func (w *watch) changes(v *version) {
	old, now := w.tolds[v.obj], make([]told, 0, len(v.keys))
	i := 0
	for k := range v.keys {
		e := &v.keys[k]
		for i < len(old) && old[i].key < e.key {
			w.tell(old[i].key, "", v.rv, true)
			i++
		}
		if i < len(old) && old[i].key == e.key {
			same := old[i]
			i++
			if same.value == e.value && same.by == e.by {
				now = append(now, same)
				continue
			}
		}
		now = append(now, told{e.key, e.value, e.by, v.rv})
		w.tell(e.key, e.value, v.rv, e.key == events.KeyLeader && e.value == "")
	}
	for ; i < len(old); i++ {
		w.tell(old[i].key, "", v.rv, true)
	}
	w.tolds[v.obj] = now
}

func (w *watch) tell(key, value string, rev uint64, gone bool) {
	w.max = max(w.max, rev)
	w.sink(events.DCSChange{KeyValue: events.KeyValue{Key: key, Value: value, Revision: rev}, Deleted: gone})
}

// planSweep plans a look at what has ended, for when the first of all can have.
func (w *watch) planSweep(o *observed) {
	if !o.there || o.ttl == 0 {
		return
	}
	w.planAt(o.at.Add(o.ttl))
}

func (w *watch) planAt(end events.Instant) {
	if w.sweepAt != 0 && w.sweepAt <= end {
		return
	}
	w.sweepAt = end
	w.sweepNo++
	no := w.sweepNo
	w.s.m.env.After(end.Sub(w.s.now()), func() {
		if !w.s.closed && no == w.sweepNo {
			w.sweep()
		}
	})
}

// sweep removes every lease and record that is over by own observation, each under the resourceVersion that was observed.
func (w *watch) sweep() {
	s, now := w.s, w.s.now()
	w.sweepAt = 0
	for obj, o := range s.seen {
		if o == nil || !o.there || o.ttl == 0 || o.sweeping {
			continue
		}
		if o.at.Add(o.ttl) > now {
			w.planSweep(o)
			continue
		}
		if v := s.known[obj]; v != nil && v.subject() != nil {
			o.sweeping = true
			j := &job{s: s, obj: obj, by: s.token(), sweep: true,
				r: stores.Request{Op: stores.Delete, Key: v.subject().key, Deadline: s.m.env.Now().Add(sweepPatience)}}
			j.answer = func(stores.Response) {
				o.sweeping = false
				if o.there { // renewed, or there was no answer
					w.planAt(max(o.at.Add(o.ttl), s.now().Add(time.Second)))
				}
			}
			j.begin()
		}
	}
}
