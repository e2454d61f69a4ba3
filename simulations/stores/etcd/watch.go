package etcd

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Durations of the adapter's watch; source: backends/etcd/watch.go.
const (
	pingEvery   = time.Second
	pingTimeout = time.Second
	silence     = 2500 * time.Millisecond
	behindLimit = 2
)

// watch is the state of Watch across its sessions with servers.
type watch struct {
	c        *session
	sink     func(events.Fact)
	answered events.Instant // when the store last proved that it can be reached
	reported bool           // whether anything was reported of reachability
	reach    bool           // what was
	fresh    bool           // the session that ended had delivered a snapshot
	failures int

	// Of the present session.
	st       *stream
	server   int
	start    events.Instant
	revision uint64 // of the newest thing that the server told
	leader   uint64 // revision of the leader key, zero if it is absent
	behind   int    // pings in a row that knew a newer leader key
}

// Watch begins to deliver facts.
func (c *session) Watch(sink func(events.Fact)) {
	c.watch = &watch{c: c, sink: sink, answered: c.m.env.Now(), failures: 1}
	c.watch.session()
}

func (w *watch) report(reachable bool, reason string) {
	if !w.reported || w.reach != reachable {
		w.reported, w.reach = true, reachable
		w.sink(events.DCSReach{Reachable: reachable, Reason: reason})
	}
}

// once makes one call on one server within a time.
func (c *session) once(server int, within time.Duration, q ask, done func(*fault, *answer)) {
	var result *answer
	a := &attempt{c: c, server: server, ended: func(f *fault) { done(f, result) }}
	c.m.env.After(within, func() { a.end(gaveUp) })
	a.call(q, func(got *answer) {
		result = got
		if !a.failed(got) {
			a.end(nil)
		}
	})
}

// patience is how long the next attempt may take, so that silence is reported in time.
func (w *watch) patience() time.Duration {
	if w.reported && !w.reach {
		return pingTimeout
	}
	left := w.answered.Add(silence).Sub(w.c.m.env.Now())
	return min(max(left, leastShare), pingTimeout)
}

// session delivers a snapshot and the changes after it from one server, until that server fails.
func (w *watch) session() {
	c := w.c
	if c.closed {
		return
	}
	w.server, w.start = int(c.order()[0]), c.m.env.Now()
	c.once(w.server, w.patience(), ask{kind: getAll}, func(f *fault, got *answer) {
		if f != nil {
			w.failed(f.text)
			return
		}
		w.begin(got.snap)
	})
}

func (w *watch) begin(snap events.DCSSnapshot) {
	c := w.c
	st := &stream{w: w, server: c.m.servers[w.server], sent: int64(snap.Revision)}
	w.st = st
	st.open()
	c.first, c.suspect[w.server] = w.server, 0
	w.answered, w.fresh = c.m.env.Now(), true
	w.revision, w.leader, w.behind = snap.Revision, 0, 0
	for i := range snap.Keys {
		if snap.Keys[i].Key == events.KeyLeader {
			w.leader = snap.Keys[i].Revision
		}
	}
	w.sink(snap)
	w.report(true, "")
	w.pingLater(st)
}

// pingLater reads the leader key with quorum in a while: an open stream proves nothing.
func (w *watch) pingLater(st *stream) {
	w.c.m.env.After(pingEvery, func() {
		if !st.live() {
			return
		}
		w.c.once(w.server, pingTimeout, ask{kind: getKey, key: events.KeyLeader}, func(f *fault, got *answer) {
			if st.live() {
				w.pong(st, f, got)
			}
		})
	})
}

func (w *watch) pong(st *stream, f *fault, got *answer) {
	if f != nil {
		w.failed(f.text)
		return
	}
	w.answered = w.c.m.env.Now()
	leader := uint64(0)
	if got.has {
		leader = uint64(got.kv.mod)
	}
	if uint64(got.rev) < w.revision {
		w.failed("the store's revision went back: another or a restored store")
		return
	}
	if leader == w.leader {
		w.behind = 0
	} else if w.behind++; w.behind > behindLimit { // one or two may overtake the stream
		w.failed("the watch does not deliver what a read with quorum shows")
		return
	}
	w.pingLater(st)
}

// changes takes what the stream delivers.
func (w *watch) changes(all []change, revision int64) {
	w.revision = max(w.revision, uint64(revision))
	for i := range all {
		f := all[i].fact
		if f.Key == events.KeyLeader {
			w.leader, w.behind = f.Revision, 0
			if f.Deleted {
				w.leader = 0
			}
		}
		w.sink(f)
	}
}

// failed takes note of the end of a session, or of an attempt at one, and begins the next.
func (w *watch) failed(reason string) {
	c := w.c
	w.st = nil
	now := c.m.env.Now()
	c.suspect[w.server] = now.Add(suspicion)
	if now.Sub(w.answered) >= silence {
		w.report(false, reason)
	}
	if w.fresh {
		w.fresh, w.failures = false, 0
	}
	pause := time.Duration(0)
	if w.failures > 0 && w.failures%len(c.conns) == 0 || w.failures == 0 && now.Sub(w.start) < pingEvery {
		pause = 100 * time.Millisecond
	}
	w.failures++
	c.m.env.After(pause, w.session)
}
