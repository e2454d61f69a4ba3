package conform

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// began is the reading of true time when an Env begins: not zero, which means "never" in many places.
const began = events.Instant(time.Hour)

// Env is a kernel.Env in the time of the bubble that it was made in. Its methods of kernel.Env are
// for the model, which runs inside Do; Do and Stop are for everybody else.
type Env struct {
	t     testing.TB
	start time.Time
	seed  uint64

	mu      sync.Mutex
	pcg     *rand.PCG
	agenda  agenda
	seq     uint64
	timer   *time.Timer // of the first entry
	stopped bool
}

var _ kernel.Env = (*Env)(nil)

// NewEnv makes a world with the choices of a seed; those of seed 0 are all harmless. It stops at the end of the test.
func NewEnv(t testing.TB, seed uint64) *Env {
	e := &Env{t: t, start: time.Now(), seed: seed, pcg: rand.NewPCG(seed, 0x7265_6765_6e74)}
	for range 8 { // the first numbers of neighbouring seeds are alike
		e.pcg.Uint64()
	}
	t.Cleanup(e.Stop)
	return e
}

// Do lets f use the model, alone.
func (e *Env) Do(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// Stop forgets what is planned. Nothing happens afterwards.
func (e *Env) Stop() {
	e.Do(func() {
		e.stopped, e.agenda = true, nil
		if e.timer != nil {
			e.timer.Stop()
		}
	})
}

// Now is true time. It may be called by anybody.
func (e *Env) Now() events.Instant { return began.Add(time.Since(e.start)) }

// After plans something (see kernel.Env).
func (e *Env) After(d time.Duration, do func()) {
	if e.stopped {
		return
	}
	e.seq++
	heap.Push(&e.agenda, entry{e.Now().Add(max(d, 0)), e.seq, do})
	if e.agenda[0].seq == e.seq {
		e.arm()
	}
}

// Pick draws a choice (see kernel.Env).
func (e *Env) Pick(_ string, n int) int {
	if n < 1 {
		panic("conform: a choice of none")
	}
	if e.seed == 0 || n == 1 {
		return 0
	}
	return int(e.pcg.Uint64() % uint64(n))
}

func (e *Env) arm() {
	wait := e.agenda[0].at.Sub(e.Now())
	if e.timer == nil {
		e.timer = time.AfterFunc(wait, e.run)
		return
	}
	e.timer.Reset(wait)
}

// run does what is due, in order. A timer that was set anew while it fired runs it once too often, which changes nothing.
func (e *Env) run() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for now := e.Now(); len(e.agenda) > 0 && e.agenda[0].at <= now; {
		next, _ := heap.Pop(&e.agenda).(entry)
		next.do()
	}
	if len(e.agenda) > 0 {
		e.arm()
	}
}

// entry is something planned.
type entry struct {
	at  events.Instant
	seq uint64
	do  func()
}

// agenda is a heap of them.
type agenda []entry

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is for package heap.
func (a *agenda) Push(x any) {
	next, _ := x.(entry)
	*a = append(*a, next)
}

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = entry{}
	*a = (*a)[:len(*a)-1]
	return last
}
