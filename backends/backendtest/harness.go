package backendtest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

// Harness is what the suite needs to know of one kind of store and of the servers that it runs on.
type Harness struct {
	// Name is the store with its servers and their version, as etcd-3@3.4.23: one column of the matrix that is collected from the
	// lines "conform: <name> <case> ok", or failed, or "without <fault>". Empty: no lines.
	Name string
	// Open opens a new Store for member of scope on the servers under test, with the clock Now. The
	// suite closes it. It is called from the goroutine of a case.
	Open func(t testing.TB, scope, member string) backends.Store
	// Now is the clock of the stores; the boot clock if nil.
	Now func() events.Instant
	// TTL is what the cases ask for: small, and not below the store's least.
	TTL time.Duration
	// Lateness bounds how long after SentAt + TTL a lease or a member record may still be there.
	Lateness time.Duration
	// Prompt is the moment within which a call returns when its ctx has ended, and within which
	// watchers are told of a change. One second if zero.
	Prompt time.Duration
	// Silence bounds the time from the stop of all servers to the DCSReach{false} of a watcher. Five seconds if zero.
	Silence time.Duration
	// Recovery bounds the time from the healing of a fault to the next successful operation of a
	// store, and to watchers being up to date again. Ten seconds if zero.
	Recovery time.Duration
	// Denied opens a store whose credentials are wrong or have no right to the scope. Nil: not available.
	Denied func(t testing.TB, scope, member string) backends.Store
	Faults Faults
}

// Fault breaks something and returns what heals it. The healing returns when the servers that it
// touched run again; it may be called twice.
type Fault func(t testing.TB) (heal func())

// Faults are what can be done to the servers. Nil: not available.
type Faults struct {
	// FreezeAll stops all servers from answering without closing a connection, as SIGSTOP does.
	FreezeAll Fault
	// KillAll kills all servers as a crash does. What they had acknowledged is there after healing.
	KillAll Fault
	// FreezeLeader and KillLeader hit the one of several servers that leads the store.
	FreezeLeader Fault
	KillLeader   Fault
	// FreezeFollower hits one of several servers that does not lead.
	FreezeFollower Fault
}

func (h Harness) withDefaults(t testing.TB) Harness {
	if h.Open == nil || h.TTL <= 0 || h.Lateness <= 0 {
		t.Fatal("backendtest: the harness needs Open, TTL and Lateness")
	}
	if h.Now == nil {
		h.Now = bootclock.Now
	}
	if h.Prompt == 0 {
		h.Prompt = time.Second
	}
	if h.Silence == 0 {
		h.Silence = 5 * time.Second
	}
	if h.Recovery == 0 {
		h.Recovery = 10 * time.Second
	}
	return h
}

// Case is one case of the suite. Run runs all; a model with a clock of its own runs them one by one.
type Case struct {
	// Name begins with the number of the contract.
	Name string
	// Fault tells which fault the case needs, empty for none.
	Fault string
	// available tells whether the harness has it.
	available func(h *Harness) bool
	run       func(e *env)
}

// Run runs the case on the servers of h. It is for harnesses that have what the case needs.
func (c Case) Run(t testing.TB, h Harness) {
	h = h.withDefaults(t)
	c.run(&env{TB: t, h: h, scope: fmt.Sprintf("bt-%s-%08x", c.Name[:2], rand.Uint32())})
}

// Available tells whether h has what the case needs.
func (c Case) Available(h Harness) bool { return c.available == nil || c.available(&h) }

// Cases are all cases, those without faults first.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{snapshotCases, leaseCases, keyCases, memberCases, faultCases} {
		for _, c := range group {
			if c.Fault == "" {
				all = append(all, c)
			}
		}
	}
	for _, c := range faultCases {
		if c.Fault != "" {
			all = append(all, c)
		}
	}
	return all
}

// Run runs the whole suite against h.
func Run(t *testing.T, h Harness) {
	h = h.withDefaults(t)
	var missing []string
	t.Run("calm", func(t *testing.T) {
		for _, c := range Cases() {
			switch {
			case c.Fault != "":
			case !c.Available(h):
				missing = append(missing, c.Name)
			default:
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					h.report(t, c)
					c.Run(t, h)
				})
			}
		}
	})
	for _, c := range Cases() {
		switch {
		case c.Fault == "":
		case !c.Available(h):
			missing = append(missing, c.Name+" ("+c.Fault+")")
		default:
			t.Run(c.Name, func(t *testing.T) {
				h.report(t, c)
				c.Run(t, h)
			})
		}
	}
	for _, c := range Cases() {
		if h.Name != "" && !c.Available(h) {
			t.Logf("conform: %s %s without %s", h.Name, c.Name, cmp.Or(c.Fault, "Denied")) // the only other thing that a case demands
		}
	}
	if len(missing) > 0 {
		t.Logf("the harness lacks what these cases need: %v", missing)
	}
}

// report tells in the end how the case went.
func (h Harness) report(t *testing.T, c Case) {
	if h.Name == "" {
		return
	}
	t.Cleanup(func() { // before all others, thus after them
		word := "ok"
		if t.Failed() {
			word = "failed"
		}
		t.Logf("conform: %s %s %s", h.Name, c.Name, word)
	})
}

// env is what a case works with.
type env struct {
	testing.TB
	h     Harness
	scope string
}

// patience bounds an operation on healthy servers, however loaded the machine is.
const patience = 10 * time.Second

func (e *env) open(member string) backends.Store { return e.openIn(e.scope, member) }

func (e *env) openIn(scope, member string) backends.Store {
	e.Helper()
	s := e.h.Open(e, scope, member)
	e.Cleanup(func() {
		if err := s.Close(); err != nil {
			e.Errorf("close the store of %s: %v", member, err)
		}
	})
	return s
}

// ctx is a context for one operation on healthy servers.
func (e *env) ctx() context.Context { return e.within(patience) }

func (e *env) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	e.Cleanup(cancel)
	return ctx
}

// poll waits until ok holds.
func (e *env) poll(within time.Duration, what string, ok func() bool) {
	e.Helper()
	if !e.reached(within, ok) {
		e.Fatalf("not within %v: %s", within, what)
	}
}

func (e *env) reached(within time.Duration, ok func() bool) bool {
	for end := e.h.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if e.h.Now() > end {
			return false
		}
	}
	return true
}

// must fails the case when an operation that has to succeed did not.
func (e *env) must(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// conflict fails the case unless err says that a condition did not hold.
func (e *env) conflict(what string, err error) {
	e.Helper()
	if err == nil {
		e.Fatalf("%s: succeeded, want a conflict", what)
	}
	if got := backends.Classify(err); got != events.Lost {
		e.Fatalf("%s: %v: classified %q, want a conflict", what, err, got)
	}
}

func (e *env) acquire(s backends.Store, expect uint64) backends.Lease {
	e.Helper()
	before := e.h.Now()
	l, err := s.Acquire(e.ctx(), expect, e.h.TTL)
	e.must("acquire", err)
	e.checkLease(l, before, e.h.TTL)
	return l
}

func (e *env) renew(s backends.Store, epoch uint64, ttl time.Duration) backends.Lease {
	e.Helper()
	before := e.h.Now()
	l, err := s.Renew(e.ctx(), epoch, ttl)
	e.must("renew", err)
	e.checkLease(l, before, ttl)
	if l.Epoch != epoch {
		e.Fatalf("renew: epoch %d became %d", epoch, l.Epoch)
	}
	return l
}

// checkLease checks what can be said of any lease that was just won (C4).
func (e *env) checkLease(l backends.Lease, before events.Instant, ttl time.Duration) {
	e.Helper()
	if l.Epoch == 0 {
		e.Fatal("the lease has no epoch")
	}
	if l.SentAt < before || l.SentAt > e.h.Now() {
		e.Fatalf("SentAt %d is not between the call at %d and its return at %d", l.SentAt, before, e.h.Now())
	}
	if l.TTL <= 0 || l.TTL > ttl+2*time.Second {
		e.Fatalf("asked for a ttl of %v, granted %v", ttl, l.TTL)
	}
}

func (e *env) snapshot(s backends.Store) keys {
	e.Helper()
	snap, err := s.Snapshot(e.ctx())
	e.must("snapshot", err)
	return keysOf(snap)
}

// keys are the contents of a cluster's directory.
type keys map[string]events.KeyValue

func keysOf(s events.DCSSnapshot) keys {
	m := keys{}
	for _, kv := range s.Keys {
		m[kv.Key] = kv
	}
	return m
}

// same tells whether both hold the same keys with the same values at the same revisions.
func (m keys) same(o keys) bool {
	if len(m) != len(o) {
		return false
	}
	for k, v := range m {
		if o[k] != v {
			return false
		}
	}
	return true
}
