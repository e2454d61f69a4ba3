package runner

import (
	"context"
	"slices"
	"sync"

	"github.com/regent-ha/regent/engine"
)

// waiters are those who wait for a published status of some kind.
type waiters struct {
	mu   sync.Mutex
	list []*waiter
}

type waiter struct {
	ok   func(*engine.Status) bool
	done chan *engine.Status // holds one
}

// notify is called by the loop after each publication.
func (w *waiters) notify(s *engine.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	keep := w.list[:0]
	for _, x := range w.list {
		if x.ok(s) {
			x.done <- s
			continue
		}
		keep = append(keep, x)
	}
	clear(w.list[len(keep):])
	w.list = keep
}

// Wait returns the first published status for which ok holds, the present one included, or the error of ctx, or
// ErrEnded. ok is called from the loop and must be quick.
func (r *Runner) Wait(ctx context.Context, ok func(*engine.Status) bool) (*engine.Status, error) {
	x := &waiter{ok: ok, done: make(chan *engine.Status, 1)}
	w := &r.waiters
	w.mu.Lock()
	if s := r.status.Load(); ok(s) {
		w.mu.Unlock()
		return s, nil
	}
	w.list = append(w.list, x)
	w.mu.Unlock()
	var err error
	select {
	case s := <-x.done:
		return s, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-r.ended:
		err = ErrEnded
	}
	w.forget(x)
	select {
	case s := <-x.done: // it came at the same time
		return s, nil
	default:
		return nil, err
	}
}

func (w *waiters) forget(x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.list, x); i >= 0 {
		w.list = slices.Delete(w.list, i, i+1)
	}
}
