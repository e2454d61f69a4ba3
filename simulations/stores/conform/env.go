package conform

import (
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Env is a kernel whose time is that of the bubble that it was made in. Its methods of kernel.Env are for the model, which runs
// inside Do; Do, Now and Stop are for everybody else.
type Env struct {
	start time.Time

	mu      sync.Mutex
	k       *kernel.Kernel
	choices *kernel.Domain
	timer   *time.Timer // of the next thing that is planned
	stopped bool
}

var _ kernel.Env = (*Env)(nil)

// NewEnv makes a world with the choices of a seed; those of seed 0 are all harmless. It stops at the end of the test.
func NewEnv(t testing.TB, seed uint64) *Env {
	tape := kernel.Harmless()
	if seed != 0 {
		tape = kernel.Seeded(seed)
	}
	e := &Env{start: time.Now(), k: kernel.New(tape)}
	e.choices = e.k.Domain("store")
	e.timer = time.AfterFunc(time.Hour, func() { e.Do(func() {}) })
	e.timer.Stop()
	t.Cleanup(e.Stop)
	return e
}

// Do lets f use the model, alone, after everything that is due.
func (e *Env) Do(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		f()
		return
	}
	for e.k.Next(e.Now()) {
	}
	f()
	if due := e.k.Due(); due != 0 {
		e.timer.Reset(due.Sub(e.Now()))
	}
}

// Stop forgets what is planned. Nothing happens afterwards.
func (e *Env) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	e.timer.Stop()
}

// Now is true time. It may be called by anybody.
func (e *Env) Now() events.Instant { return kernel.Begin.Add(time.Since(e.start)) }

// After plans something (see kernel.Env).
func (e *Env) After(d time.Duration, do func()) { e.k.After(d, do) }

// Pick draws a choice (see kernel.Env).
func (e *Env) Pick(label string, n int) int { return e.choices.Pick(label, n) }
