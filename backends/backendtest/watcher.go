package backendtest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// watcher folds what a store's Watch delivers and checks the order that C1 promises.
type watcher struct {
	e      *env
	cancel context.CancelFunc
	done   chan struct{}

	mu         sync.Mutex
	now        keys // nil before the first snapshot
	snapshots  int
	revision   uint64 // of the last fact
	reachable  bool   // by DCSReach
	reaches    int
	losses     int // DCSReach{false}
	broken     []string
	changedAt  map[string]events.Instant
	deletions  map[string]int
	returned   bool
	watchError error
}

// watch starts s.Watch and waits for the first snapshot.
func (e *env) watch(s backends.Store) *watcher {
	e.Helper()
	w := e.startWatch(s)
	e.poll(patience, "the first snapshot of a watch", func() bool { return w.count() > 0 })
	return w
}

func (e *env) startWatch(s backends.Store) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{e: e, cancel: cancel, done: make(chan struct{}),
		changedAt: map[string]events.Instant{}, deletions: map[string]int{}}
	go func() {
		defer close(w.done)
		err := s.Watch(ctx, w.sink)
		w.mu.Lock()
		w.returned, w.watchError = true, err
		w.mu.Unlock()
	}()
	e.Cleanup(func() {
		w.stop()
		for _, b := range w.broken {
			e.Errorf("C1: %s", b)
		}
	})
	return w
}

// stop ends the watch and checks that it returns within a moment (C10).
func (w *watcher) stop() {
	w.e.Helper()
	w.cancel()
	select {
	case <-w.done:
	case <-time.After(w.e.h.Prompt + time.Second):
		w.e.Errorf("C10: Watch did not return within %v of the end of its context", w.e.h.Prompt+time.Second)
	}
}

func (w *watcher) sink(f events.Fact) {
	at := w.e.h.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f := f.(type) {
	case events.DCSSnapshot:
		w.takeSnapshot(f, at)
	case events.DCSChange:
		w.takeChange(f, at)
	case events.DCSReach:
		w.reaches++
		w.reachable = f.Reachable
		if !f.Reachable {
			w.losses++
		}
	default:
		w.broken = append(w.broken, fmt.Sprintf("Watch delivered a %T", f))
	}
}

func (w *watcher) takeSnapshot(s events.DCSSnapshot, at events.Instant) {
	for i := 1; i < len(s.Keys); i++ {
		if s.Keys[i-1].Key >= s.Keys[i].Key {
			w.broken = append(w.broken, fmt.Sprintf("snapshot %d: %q before %q", s.Revision, s.Keys[i-1].Key, s.Keys[i].Key))
		}
	}
	w.snapshots++
	was := w.now
	w.now, w.revision = keysOf(s), s.Revision
	for key := range was {
		if _, there := w.now[key]; !there {
			w.changedAt[key] = at
		}
	}
	for key, kv := range w.now {
		if old, there := was[key]; !there || old.Revision != kv.Revision {
			w.changedAt[key] = at
		}
	}
}

func (w *watcher) takeChange(c events.DCSChange, at events.Instant) {
	if w.now == nil {
		w.broken = append(w.broken, fmt.Sprintf("change of %s before any snapshot", c.Key))
		return
	}
	if c.Revision < w.revision {
		w.broken = append(w.broken, fmt.Sprintf("change of %s at %d after a fact at %d", c.Key, c.Revision, w.revision))
	}
	if old, ok := w.now[c.Key]; ok && c.Revision <= old.Revision {
		w.broken = append(w.broken, fmt.Sprintf("change of %s at %d, which was known at %d", c.Key, c.Revision, old.Revision))
	}
	w.revision = max(w.revision, c.Revision)
	w.changedAt[c.Key] = at
	if c.Deleted {
		delete(w.now, c.Key)
		w.deletions[c.Key]++
		return
	}
	w.now[c.Key] = c.KeyValue
}

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshots
}

// lost counts how often the store was reported unreachable.
func (w *watcher) lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.losses
}

func (w *watcher) isReachable() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reachable
}

func (w *watcher) get(key string) (events.KeyValue, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kv, ok := w.now[key]
	return kv, ok
}

// gone tells whether key is absent now.
func (w *watcher) gone(key string) bool {
	_, there := w.get(key)
	return !there
}

func (w *watcher) deleted(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deletions[key]
}

// when tells when the last deletion or change of a key was delivered, be it by a snapshot.
func (w *watcher) when(key string) events.Instant {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changedAt[key]
}

func (w *watcher) state() keys {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.now)
}

// converges waits until the watcher shows what a linearizable snapshot of s shows.
func (w *watcher) converges(s backends.Store, within time.Duration) {
	w.e.Helper()
	var want keys
	ok := w.e.reached(within, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		snap, err := s.Snapshot(ctx)
		if err != nil {
			return false
		}
		want = keysOf(snap)
		return w.state().same(want)
	})
	if !ok {
		w.e.Fatalf("the watcher did not converge within %v:\nhas  %v\nwant %v", within, w.state(), want)
	}
}
