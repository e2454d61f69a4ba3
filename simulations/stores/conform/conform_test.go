package conform

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

func TestPlansHappenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEnv(t, 1)
		var got []int
		e.Do(func() {
			e.After(2*time.Second, func() { got = append(got, 3) })
			e.After(time.Second, func() {
				got = append(got, 1)
				e.After(0, func() { got = append(got, 2) })
			})
			for i := 4; i < 20; i++ {
				e.After(2*time.Second, func() { got = append(got, i) })
			}
		})
		time.Sleep(3 * time.Second)
		e.Do(func() {
			if len(got) != 19 || !slices.IsSorted(got) {
				t.Errorf("happened: %v", got)
			}
			if d := e.Now().Sub(kernel.Begin); d != 3*time.Second {
				t.Errorf("%v have passed", d)
			}
		})
	})
}

func TestSeedZeroIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		harmless, drawn := NewEnv(t, 0), NewEnv(t, 1)
		sum := 0
		for range 100 {
			if harmless.Pick("x", 10) != 0 {
				t.Fatal("a choice of seed 0 was not 0")
			}
			sum += drawn.Pick("x", 10)
		}
		if sum < 300 || sum > 600 {
			t.Errorf("100 choices of 10 make %d", sum)
		}
	})
}

// mute is a session that answers only what it is told to.
type mute struct {
	env    *Env
	after  time.Duration // negative: never
	answer stores.Response
	sink   func(events.Fact)
	closed bool
}

func (m *mute) Do(r stores.Request, answer func(stores.Response)) {
	wait := m.after
	if wait < 0 {
		wait = r.Deadline.Sub(m.env.Now())
	}
	m.env.After(wait, func() {
		if !m.closed {
			answer(m.answer)
		}
	})
}

func (m *mute) Watch(sink func(events.Fact)) { m.sink = sink }

func (m *mute) Close() { m.closed = true }

func open(t *testing.T, m *mute) *Store {
	s := &Store{t: t, env: m.env, session: m, closed: make(chan struct{})}
	s.again = func() stores.Session { return m }
	return s
}

func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mute{env: NewEnv(t, 0), after: time.Second}
		s := open(t, m)
		for _, o := range []events.Outcome{events.Done, events.Lost, events.Failed, events.Unknown, events.Denied} {
			m.answer = stores.Response{Outcome: o, Error: "because"}
			if _, err := s.Snapshot(t.Context()); backends.Classify(err) != o {
				t.Errorf("%s became %v", o, err)
			}
		}
		m.after, m.answer = -1, stores.Response{Outcome: events.Failed}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Snapshot(ctx); backends.Classify(err) != events.Failed || time.Since(start) != time.Second {
			t.Errorf("at the deadline: %v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := s.Delete(ctx, "x", 0); backends.Classify(err) != events.Unknown {
			t.Errorf("cancelled: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Put(t.Context(), "x", "", 0); backends.Classify(err) != events.Failed {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestWatchKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mute{env: NewEnv(t, 0)}
		s := open(t, m)
		var mu sync.Mutex
		var got []uint64
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Watch(ctx, func(f events.Fact) {
				mu.Lock()
				defer mu.Unlock()
				snap, _ := f.(events.DCSSnapshot)
				got = append(got, snap.Revision)
			}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for i := range 100 {
			m.env.Do(func() { m.sink(events.DCSSnapshot{Revision: uint64(i)}) })
		}
		synctest.Wait()
		mu.Lock()
		if len(got) != 100 || !slices.IsSorted(got) {
			t.Errorf("delivered: %v", got)
		}
		mu.Unlock()
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
