package zookeeper

import (
	"cmp"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

const (
	// beat is how often the watch asks its server for a sync, and how long it waits for the answer: unlike a ping it
	// is answered only by the leader.
	beat = time.Second
	// beginTimeout bounds the beginning of a watch.
	beginTimeout = time.Second
	// silence is after how long without an answer the store is reported unreachable.
	silence = 2500 * time.Millisecond
	// watchTimeout is what is asked for the session of a watch.
	watchTimeout = 10 * time.Second
)

// question is a read of the watch whose answer has not come. What changed after floor may not be known yet.
type question struct {
	path  string // empty: the list of names
	floor uint64
}

// watch is a Watch: a connection with a session of its own, whose reads arm one-shot watches.
type watch struct {
	a        *Session
	sink     func(events.Fact)
	server   int
	c        *conn
	reported bool
	reach    bool
	answered events.Instant
	began    bool // the snapshot of this connection was delivered
	beating  bool // a sync is under way

	// Of this connection:
	known   map[string]uint64 // revisions, as delivered or about to be
	asked   []question        // answers come in this order
	pending []events.DCSChange
	zxid    uint64 // of the newest answer
}

// Watch begins to deliver facts.
func (a *Session) Watch(sink func(events.Fact)) {
	a.watch = &watch{a: a, sink: sink, server: a.next, answered: a.m.env.Now()}
	a.m.env.After(0, a.watch.begin)
}

func (w *watch) leave() {
	if w.c != nil {
		w.c.close()
		w.c = nil
	}
}

func (w *watch) report(reachable bool, reason string) {
	if !w.reported || w.reach != reachable {
		w.reported, w.reach = true, reachable
		w.sink(events.DCSReach{Reachable: reachable, Reason: reason})
	}
}

// begin connects to the next server.
func (w *watch) begin() {
	if w.a.closed {
		return
	}
	m := w.a.m
	c := m.newConn(m.servers[w.server], w.a.line)
	w.c, w.began, w.beating = c, false, false
	w.asked, w.pending, w.known = nil, nil, map[string]uint64{}
	c.onClose = func() { w.lost(c) }
	c.event = w.event
	w.bound(c)
	c.attach(0, m.negotiate(watchTimeout), func(r result) {
		if r.code == ok {
			w.readAll(c)
		}
	})
}

// bound gives a connection up that has not brought a snapshot in time.
func (w *watch) bound(c *conn) {
	patience := beginTimeout
	if left := w.answered.Add(silence).Sub(w.a.m.env.Now()); left > 0 && left < patience {
		patience = left // so that silence is reported in time
	}
	w.a.m.env.After(patience, func() {
		if w.c == c && !w.a.closed && !w.began {
			c.broken()
		}
	})
}

// lost goes on with the next server.
func (w *watch) lost(c *conn) {
	if w.c != c || w.a.closed {
		return
	}
	w.c = nil
	m := w.a.m
	w.server = (w.server + 1) % len(m.servers)
	if m.env.Now().Sub(w.answered) >= silence {
		w.report(false, "no server of ZooKeeper answers")
	}
	m.env.After(100*time.Millisecond, w.begin)
}

// readAll reads everything after a barrier and arms all watches; then it begins to beat.
func (w *watch) readAll(c *conn) {
	c.multi([]op{{kind: opCheck, version: anyVersion}}, func(r result) {
		if r.code != ok && w.c == c {
			c.broken()
		}
	})
	var snap events.DCSSnapshot
	c.read(func(t *tree) {
		snap = events.DCSSnapshot{Revision: t.zxid, Term: t.zxid >> 32, Keys: t.keys()}
		c.armed = map[string]bool{"": true}
		for _, kv := range snap.Keys {
			c.armed[kv.Key] = true
		}
	}, func(r result) {
		if r.code != ok || w.c != c || w.a.closed {
			return
		}
		w.began, w.zxid, w.answered = true, snap.Revision, w.a.m.env.Now()
		for _, kv := range snap.Keys {
			w.known[kv.Key] = kv.Revision
		}
		w.sink(snap)
		w.report(true, "")
		w.beats(c)
	})
}

// beats asks for a sync, and gives the connection up if the former one has no answer yet.
func (w *watch) beats(c *conn) {
	var next func()
	answered := func(r result) {
		if r.code == ok && w.c == c && !w.a.closed {
			w.beating, w.answered = false, w.a.m.env.Now()
		}
	}
	next = func() {
		switch {
		case w.c != c || w.a.closed:
		case w.beating:
			c.broken()
		default:
			w.beating = true
			c.sync(answered)
			w.a.m.env.After(beat, next)
		}
	}
	w.a.m.env.After(beat, next)
}

// event is a watch that fired: what it is about is read again, which arms it again.
func (w *watch) event(path string) {
	if w.c == nil || w.a.closed {
		return
	}
	w.ask(path, w.zxid)
}

func (w *watch) ask(path string, floor uint64) {
	c := w.c
	w.asked = append(w.asked, question{path, floor})
	if path == "" {
		w.askNames(c)
		return
	}
	var n *node
	c.read(func(t *tree) {
		if n = t.nodes[path]; n != nil && c.armed != nil {
			c.armed[path] = true
		}
	}, func(r result) {
		if r.code == ok && w.c == c && !w.a.closed {
			w.learned(path, n, r.zxid)
			w.flush(r.zxid)
		}
	})
}

func (w *watch) askNames(c *conn) {
	var names []string
	c.read(func(t *tree) {
		for path := range t.nodes {
			if !hidden(path) {
				names = append(names, path)
			}
		}
		if c.armed != nil {
			c.armed[""] = true
		}
	}, func(r result) {
		if r.code != ok || w.c != c || w.a.closed {
			return
		}
		slices.Sort(names)
		for _, name := range names {
			if _, known := w.known[name]; !known {
				w.known[name] = 0 // asked for
				w.ask(name, w.asked[0].floor)
			}
		}
		w.flush(r.zxid)
	})
}

// learned notes the change that an answer shows.
func (w *watch) learned(path string, n *node, zxid uint64) {
	revision, known := w.known[path]
	switch {
	case n == nil && known:
		delete(w.known, path)
		if revision != 0 {
			w.pending = append(w.pending, events.DCSChange{KeyValue: events.KeyValue{Key: path, Revision: zxid}, Deleted: true})
		}
	case n != nil && n.mzxid != revision:
		w.known[path] = n.mzxid
		w.pending = append(w.pending, events.DCSChange{KeyValue: events.KeyValue{Key: path, Value: n.value, Revision: n.mzxid}})
	}
}

// flush ends the oldest question and delivers, in the order of their zxids, the changes that nothing unknown can come
// before: an event comes before any answer that shows its change, so all changes up to the answer before the oldest
// open question are known.
func (w *watch) flush(zxid uint64) {
	w.asked = w.asked[1:]
	w.zxid = max(w.zxid, zxid)
	floor := w.zxid
	for _, q := range w.asked {
		floor = min(floor, q.floor)
	}
	slices.SortStableFunc(w.pending, func(a, b events.DCSChange) int { return cmp.Compare(a.Revision, b.Revision) })
	n := 0
	for n < len(w.pending) && w.pending[n].Revision <= floor {
		n++
	}
	ready := slices.Clone(w.pending[:n])
	w.pending = w.pending[n:]
	for _, change := range ready {
		if w.a.closed {
			return
		}
		w.sink(change)
	}
}
