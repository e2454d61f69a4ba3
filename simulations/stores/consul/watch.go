package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

const (
	// watchWait is how long a blocking query waits for news: each is also the proof that the store answers, so it is short.
	watchWait = 2 * time.Second
	// watchLate is what an answer may take beyond the wait and its jitter.
	watchLate = 400 * time.Millisecond
	// firstPatience bounds the read that begins a snapshot.
	firstPatience = time.Second
	// silence is after how long without an answer the store is reported unreachable.
	silence = 2500 * time.Millisecond
)

// watch follows the directory with blocking queries and turns the differences between their answers into changes.
type watch struct {
	a     *agent
	sink  func(events.Fact)
	view  []*entry // as told to the sink
	index uint64   // of view; zero: read anew and tell a snapshot
	// answeredAt is when the store last proved that it can be reached.
	answeredAt events.Instant
	told       bool // something about reachability was told
	reachable  bool
	failures   int
	changes    []events.DCSChange // reused
}

// Watch delivers facts until Close.
func (a *agent) Watch(sink func(events.Fact)) {
	a.watch = &watch{a: a, sink: sink, answeredAt: a.m.env.Now()}
	a.watch.query()
}

func (w *watch) query() {
	now := w.a.m.env.Now()
	patience := firstPatience
	if w.index != 0 {
		patience = watchWait + watchWait/16 + watchLate
	} else if !w.told || w.reachable {
		// so that silence is told in time
		patience = min(max(w.answeredAt.Add(silence).Sub(now), leastShare), firstPatience)
	}
	w.a.on(w.a.order(0), now.Add(patience), patience, request{ask: list, index: w.index, wait: watchWait}, w.took)
}

func (w *watch) took(r *result) {
	now := w.a.m.env.Now()
	if r.class != answered {
		w.failed(r, now)
		return
	}
	w.answeredAt, w.failures = now, 0
	if w.index != 0 && (r.index < w.index || !w.tell(r)) {
		w.index = 0 // it went back: reaped tombstones, a restored snapshot, another store
	} else if w.index == 0 {
		w.sink(snapshotOf(r.view, r.index))
		w.view, w.index = r.view, r.index
	}
	w.report(true, "")
	if !w.a.closed {
		w.query()
	}
}

func (w *watch) report(reachable bool, reason string) {
	if !w.told || w.reachable != reachable {
		w.told, w.reachable = true, reachable
		w.sink(events.DCSReach{Reachable: reachable, Reason: reason})
	}
}

func (w *watch) failed(r *result, now events.Instant) {
	w.failures++
	if now.Sub(w.answeredAt) >= silence {
		w.index = 0
		w.report(false, r.reason)
		if w.a.closed {
			return
		}
	}
	if w.failures%len(w.a.m.servers) != 0 {
		w.query()
		return
	}
	w.a.m.env.After(breather, func() {
		if !w.a.closed {
			w.query()
		}
	})
}

// tell delivers what differs from the last answer, in the order of revisions. It tells false, and delivers nothing,
// when an older revision came back.
func (w *watch) tell(r *result) bool {
	if r.index == w.index {
		return true
	}
	w.changes = w.changes[:0]
	was, is := w.view, r.view
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].key < is[0].key: // when exactly is not known, only that it is so at r.index
			w.deleted(was[0], r.index)
			was = was[1:]
		case len(was) == 0 || is[0].key < was[0].key:
			if is[0].modify <= w.index {
				return false
			}
			w.changes = append(w.changes, events.DCSChange{KeyValue: keyValue(is[0])})
			is = is[1:]
		default:
			if was[0] != is[0] && !w.differs(was[0], is[0]) {
				return false
			}
			was, is = was[1:], is[1:]
		}
	}
	slices.SortStableFunc(w.changes, func(a, b events.DCSChange) int {
		switch {
		case a.Revision < b.Revision:
			return -1
		case a.Revision > b.Revision:
			return 1
		}
		return 0
	})
	w.view, w.index = r.view, r.index
	for _, c := range w.changes {
		if w.a.closed {
			break
		}
		w.sink(c)
	}
	return true
}

func (w *watch) deleted(e *entry, revision uint64) {
	w.changes = append(w.changes, events.DCSChange{KeyValue: events.KeyValue{Key: e.key, Revision: revision}, Deleted: true})
}

// differs takes a key that is in both answers. A deletion between them shows in the index of the key's creation.
func (w *watch) differs(was, is *entry) bool {
	if is.modify == was.modify {
		return is.value == was.value
	}
	if is.modify <= w.index {
		return false
	}
	if is.create != was.create {
		w.deleted(was, is.create-1)
	}
	w.changes = append(w.changes, events.DCSChange{KeyValue: keyValue(is)})
	return true
}
