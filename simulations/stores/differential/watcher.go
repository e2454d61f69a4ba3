package differential

import (
	"slices"
	"sync"
	"time"

	"github.com/regent-ha/regent/events"
)

// watcher keeps what a watch tells. Its methods may be called by anybody.
type watcher struct {
	now func() time.Duration

	mu        sync.Mutex
	snapshots int
	changes   []Change
	last      map[string]Change // of each key
	ends      map[string]int
}

func (w *watcher) take(f events.Fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f := f.(type) {
	case events.DCSSnapshot:
		w.snapshots++
		if w.snapshots > 1 {
			w.resync(f)
		}
	case events.DCSChange:
		w.add(Change{KeyValue: f.KeyValue, Deleted: f.Deleted, At: w.now()})
	}
}

func (w *watcher) add(c Change) {
	w.changes = append(w.changes, c)
	w.last[c.Key] = c
	if c.Deleted {
		w.ends[c.Key]++
	}
}

// resync makes changes of a further snapshot, as far as it tells them.
func (w *watcher) resync(f events.DCSSnapshot) {
	for _, kv := range f.Keys {
		if w.last[kv.Key].Revision != kv.Revision {
			w.add(Change{KeyValue: kv, At: w.now()})
		}
	}
	for key, was := range w.last {
		if !was.Deleted && !slices.ContainsFunc(f.Keys, func(kv events.KeyValue) bool { return kv.Key == key }) {
			w.add(Change{KeyValue: events.KeyValue{Key: key, Revision: f.Revision}, Deleted: true, At: w.now()})
		}
	}
}

func (w *watcher) began() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshots > 0
}

// has tells whether a key is there, as far as the watch knows.
func (w *watcher) has(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.last[key]
	return known && !c.Deleted
}

func (w *watcher) ended(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[key]
}

// when is when the nth end of a key was told.
func (w *watcher) when(key string, nth int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changes {
		if c.Key == key && c.Deleted {
			if nth--; nth == 0 {
				return c.At
			}
		}
	}
	return 0
}

// shows tells whether the watch has told all that a snapshot shows.
func (w *watcher) shows(snap Answer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kv := range snap.Keys {
		if w.last[kv.Key].Revision < kv.Revision {
			return false
		}
	}
	for key, c := range w.last {
		there := slices.ContainsFunc(snap.Keys, func(kv events.KeyValue) bool { return kv.Key == key })
		if !c.Deleted && !there && c.Revision <= snap.At {
			return false
		}
	}
	return true
}

// told is what was told, up to a revision.
func (w *watcher) told(upTo uint64) Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := Told{Again: w.snapshots > 1}
	for _, c := range w.changes {
		if c.Revision <= upTo {
			t.Changes = append(t.Changes, c)
		}
	}
	return t
}

// since are the changes that were told, without the first n.
func (w *watcher) since(n int) []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes[min(n, len(w.changes)):]
}
