package differential

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Subject is a store that is to be compared with its model.
type Subject struct {
	Kind string
	// Open opens the store of a member on the servers.
	Open func(t testing.TB, scope, member string) backends.Store
	Now  func() events.Instant
	// TTL is what leases ask for.
	TTL time.Duration
	// Steps is how many things are done, 30 if zero.
	Steps int
	// Hurt tells that somebody kills and freezes servers meanwhile. Healed is closed when the servers are well again.
	Hurt   bool
	Healed <-chan struct{}
}

// patience bounds a call on healthy servers; hurtPatience one while servers are hurt, whose outcome may then stay unknown.
const (
	patience     = 10 * time.Second
	hurtPatience = 3 * time.Second
	// endsWithin bounds how long after its ttl a key may still be there.
	endsWithin = 10 * time.Second
)

// recorder does random things to a store and writes them down.
type recorder struct {
	t      testing.TB
	s      Subject
	stores [members]backends.Store
	watch  [members]*watcher
	begin  events.Instant
	d      *draw
	h      *History
	refs   []uint64
}

// Record does random things to a subject, in a directory of its own, and writes down what came of it.
func Record(t testing.TB, s Subject, scope string, seed uint64) *History {
	return newRecorder(t, s, scope, seed).play()
}

// newRecorder opens the stores of the members. It is called from the goroutine of the test, play from any.
func newRecorder(t testing.TB, s Subject, scope string, seed uint64) *recorder {
	if s.Steps == 0 {
		s.Steps = 30
	}
	r := &recorder{t: t, s: s, h: &History{Seed: seed, Kind: s.Kind, Hurt: s.Hurt}}
	r.d = &draw{rand: rand.New(rand.NewPCG(seed, 1)), r: r, leases: [members]Ref{Absent, Absent}, keys: map[string]Ref{}}
	for i := range r.stores {
		r.stores[i] = s.Open(t, scope, memberName(i))
		r.watch[i] = &watcher{now: r.now, last: map[string]Change{}, ends: map[string]int{}}
	}
	return r
}

// play does all steps and closes the stores.
func (r *recorder) play() *History {
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	for i, s := range r.stores {
		watches.Go(func() { // ends with ctx
			if err := s.Watch(ctx, r.watch[i].take); err != nil && ctx.Err() == nil {
				r.t.Errorf("watch of %s: %v", memberName(i), err)
			}
		})
	}
	defer func() {
		cancel()
		watches.Wait()
		for i, s := range r.stores {
			if err := s.Close(); err != nil {
				r.t.Errorf("close the store of %s: %v", memberName(i), err)
			}
		}
	}()
	for i, w := range r.watch {
		if !reached(3*patience, w.began) {
			r.t.Errorf("seed %d: the watch of %s has no snapshot", r.h.Seed, memberName(i))
			return r.h
		}
	}
	r.begin = r.s.Now()
	for len(r.h.Steps) < r.s.Steps {
		r.d.next()
	}
	r.end()
	return r.h
}

func (r *recorder) now() time.Duration { return r.s.Now().Sub(r.begin) }

// reached waits until ok holds.
func reached(within time.Duration, ok func() bool) bool {
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// end reads the state that everything has led to, and waits until the watches have told it.
func (r *recorder) end() {
	if r.s.Hurt {
		<-r.s.Healed // whoever hurts them closes it in any case
	}
	c := Call{Op: stores.Snapshot}
	r.calls(c)
	for tries := 0; r.s.Hurt && r.last().Answer.Outcome != events.Done && tries < 20; tries++ {
		r.h.Steps = r.h.Steps[:len(r.h.Steps)-1] // a snapshot changes nothing
		r.calls(c)
	}
	last := r.last().Answer
	if last.Outcome != events.Done {
		r.t.Errorf("the last snapshot: %s: %s", last.Outcome, last.Error)
		return
	}
	for i, w := range r.watch {
		if !reached(endsWithin, func() bool { return w.shows(last) }) {
			r.t.Errorf("seed %d: the watch of %s has not told what a snapshot shows\n%s", r.h.Seed, memberName(i), r.h.Print(len(r.h.Steps)))
		}
		r.h.Told[i] = w.told(last.At)
	}
}

func (r *recorder) last() *Step { return &r.h.Steps[len(r.h.Steps)-1] }

// calls makes one call, or several at one time, and writes them down.
func (r *recorder) calls(all ...Call) {
	steps := make([]Step, len(all))
	var running sync.WaitGroup
	for i := range all {
		steps[i] = Step{Call: &all[i], Together: i > 0}
		running.Go(func() { r.call(&steps[i]) })
	}
	running.Wait()
	for i := range steps {
		s := &steps[i]
		s.At, s.End = max(s.At, steps[0].At), max(s.End, steps[0].At)
		r.refs = append(r.refs, s.learned()...)
		r.h.Steps = append(r.h.Steps, *s)
	}
}

// revision is the number of a reference.
func (r *recorder) revision(ref Ref) uint64 { return numberOf(ref, r.refs) }

func numberOf(ref Ref, refs []uint64) uint64 {
	switch {
	case ref == Future:
		most := uint64(0)
		for _, n := range refs {
			most = max(most, n)
		}
		return most + 1_000_000
	case ref < 0 || int(ref) >= len(refs):
		return 0
	}
	return refs[ref]
}

// call makes a call. It only reads what the recorder knows.
func (r *recorder) call(s *Step) {
	c, a := s.Call, &s.Answer
	within := patience
	if r.s.Hurt {
		within = hurtPatience
	}
	if c.Over {
		within = -time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	store := r.stores[c.Member]
	begun := r.s.Now()
	s.At = begun.Sub(r.begin)
	var err error
	var lease backends.Lease
	switch c.Op {
	case stores.Acquire:
		lease, err = store.Acquire(ctx, r.revision(c.Expect), c.TTL)
	case stores.Renew:
		lease, err = store.Renew(ctx, r.revision(c.Epoch), c.TTL)
	case stores.Release:
		err = store.Release(ctx, r.revision(c.Epoch))
	case stores.HandOver:
		err = store.HandOver(ctx, r.revision(c.Epoch), c.To, c.TTL)
	case stores.Prepare:
		err = store.Prepare(ctx, c.TTL)
	case stores.Put:
		a.Revision, err = store.Put(ctx, c.Key, c.Value, expect(c.Expect, r.revision))
	case stores.Delete:
		err = store.Delete(ctx, c.Key, expect(c.Expect, r.revision))
	case stores.PutMember:
		err = store.PutMember(ctx, c.Value, c.TTL)
	case stores.Snapshot:
		var snap events.DCSSnapshot
		snap, err = store.Snapshot(ctx)
		a.Keys, a.At = byKey(snap.Keys), snap.Revision
	}
	s.End = r.now()
	a.Outcome = outcomeOf(err)
	if err != nil {
		a.Error = err.Error()
		return
	}
	if c.Op == stores.Acquire || c.Op == stores.Renew {
		a.Revision, a.TTL, a.Prepared = lease.Epoch, lease.TTL, lease.SentAt < begun
	}
}

// awaitEnd waits until a member's watch tells that a key went, and tells whether it did.
func (r *recorder) awaitEnd(member int, key string, within time.Duration) bool {
	w := r.watch[member]
	s := Step{Gone: key, Member: member, Nth: w.ended(key) + 1, At: r.now()}
	if !reached(within, func() bool { return w.ended(key) >= s.Nth }) {
		if !r.s.Hurt {
			r.t.Errorf("seed %d: %s did not go within %v\n%s", r.h.Seed, key, within, r.h.Print(len(r.h.Steps)))
		}
		return false
	}
	s.End = w.when(key, s.Nth)
	r.h.Steps = append(r.h.Steps, s)
	return true
}
