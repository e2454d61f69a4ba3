package runner

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

func (r *rig) waiting() int {
	r.waiters.mu.Lock()
	defer r.waiters.mu.Unlock()
	return len(r.waiters.list)
}

func in(state events.LifecycleState) func(*engine.Status) bool {
	return func(s *engine.Status) bool { return s.State == state }
}

func TestWaitForThePresentStatus(t *testing.T) {
	r := newRig(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // what holds now needs no time
	s, err := r.Wait(ended, in(engine.Starting))
	if err != nil || s != r.Status() || r.waiting() != 0 {
		t.Fatalf("%v, %v, %d waiting", s, err, r.waiting())
	}
}

func TestWaitForALaterStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.post(started(), snapshot(10, "n2"))
		go func() { // ends when it has posted
			time.Sleep(3 * time.Second)
			r.post(replica(r.now()))
		}()
		begin := time.Now()
		s, err := r.Wait(t.Context(), in(engine.Following))
		if err != nil || s.State != engine.Following || time.Since(begin) != 3*time.Second {
			t.Fatalf("%v, %v after %v", s, err, time.Since(begin))
		}
		if r.waiting() != 0 {
			t.Fatal("the waiter stayed")
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s, err := r.Wait(ctx, in(engine.Leading)); !errors.Is(err, context.DeadlineExceeded) || s != nil {
			t.Fatalf("%v, %v", s, err)
		}
		if r.waiting() != 0 {
			t.Fatal("the waiter stayed")
		}
	})
}

func TestWaitEndsWithTheRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		got := make(chan error, 1)
		go func() { // joined by the receive below
			_, err := r.Wait(t.Context(), in(engine.Leading))
			got <- err
		}()
		synctest.Wait()
		r.stop()
		if err := <-got; !errors.Is(err, ErrEnded) || r.waiting() != 0 {
			t.Fatalf("%v, %d waiting", err, r.waiting())
		}
	})
}

// Many wait, for different things, and give up at different times, while the loop publishes.
func TestManyWaitersAndNoLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiters = 300
		r := newRig(t)
		r.start()
		r.post(started(), snapshot(10, "n2"))
		synctest.Wait()
		var won, gaveUp, wrong atomic.Int64
		var done sync.WaitGroup
		for i := range waiters {
			done.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%3)*time.Second)
				defer cancel()
				s, err := r.Wait(ctx, func(s *engine.Status) bool {
					return s.Postgres.Server.ReplayedLSN >= events.LSN(1000+i)
				})
				switch {
				case err != nil:
					gaveUp.Add(1)
				case s.Postgres.Server.ReplayedLSN < events.LSN(1000+i):
					wrong.Add(1)
				default:
					won.Add(1)
				}
			})
		}
		for i := range 200 { // up to 1199: a third of the waiters can only give up
			o := replica(r.now())
			o.Observation.Server.ReplayedLSN = events.LSN(1000 + i)
			r.post(o)
			time.Sleep(time.Millisecond)
		}
		done.Wait()
		if won.Load() != 200 || gaveUp.Load() != 100 || wrong.Load() != 0 || r.waiting() != 0 {
			t.Fatalf("won %d, gave up %d, wrong %d, still listed %d", won.Load(), gaveUp.Load(), wrong.Load(), r.waiting())
		}
	})
}
