package backendtest

import (
	"fmt"
	"sync"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

var keyCases = []Case{
	{Name: "C8_conditional_put", run: conditionalPut},
	{Name: "C8_conditional_delete", run: conditionalDelete},
	{Name: "C8_one_of_many_wins", run: oneOfManyWins},
	{Name: "C9_denied", available: func(h *Harness) bool { return h.Denied != nil }, run: denied},
}

func conditionalPut(e *env) {
	a, b := e.open("n1"), e.open("n2")
	put := func(s backends.Store, value string, expect int64) (uint64, error) {
		return s.Put(e.ctx(), "failover", value, expect)
	}
	_, err := put(a, "x", 12345)
	e.conflict("put on an absent key with a revision", err)
	r1, err := put(a, "one", 0)
	e.must("put on an absent key", err)
	if got := e.snapshot(b)["failover"]; got.Revision != r1 || got.Value != "one" {
		e.Fatalf("put returned revision %d, snapshot shows %+v", r1, got)
	}
	_, err = put(b, "two", 0)
	e.conflict("put with expect absent on a present key", err)
	r2, err := put(b, "two", int64(r1))
	e.must("put with the right revision", err)
	if r2 <= r1 {
		e.Fatalf("revision %d after %d", r2, r1)
	}
	_, err = put(a, "three", int64(r1))
	e.conflict("put with an old revision", err)
	if got := e.snapshot(a)["failover"]; got.Value != "two" || got.Revision != r2 {
		e.Fatalf("after refused puts the key is %+v", got)
	}
	r3, err := put(a, "two", int64(r2))
	e.must("put of the same value", err)
	if r3 <= r2 {
		e.Fatalf("an equal value did not raise the revision: %d after %d", r3, r2)
	}
	if _, err = put(a, "", events.Any); err != nil { // initialize is empty while bootstrapping
		e.Fatalf("put of an empty value: %v", err)
	}
	if got, there := e.snapshot(b)["failover"]; !there || got.Value != "" {
		e.Fatalf("an empty value came back as %+v, present %v", got, there)
	}
	e.must("delete", a.Delete(e.ctx(), "failover", events.Any))
	r4, err := put(b, "again", 0)
	e.must("put on a deleted key", err)
	if r4 <= r3 {
		e.Fatalf("revision %d of a new key after %d", r4, r3)
	}
	_, err = put(a, "x", int64(r3))
	e.conflict("put with the revision of the key's former life", err)
	_, err = a.Put(e.ctx(), "optime/leader", "67419744", events.Any)
	e.must("put of a key with a slash", err)
	if got := e.snapshot(b)["optime/leader"].Value; got != "67419744" {
		e.Fatalf("optime/leader is %q", got)
	}
}

func conditionalDelete(e *env) {
	a, b := e.open("n1"), e.open("n2")
	w := e.watch(b)
	e.must("delete of an absent key without a condition", a.Delete(e.ctx(), "sync", events.Any))
	e.conflict("delete of an absent key with a revision", a.Delete(e.ctx(), "sync", 7))
	rev, err := a.Put(e.ctx(), "sync", "{}", 0)
	e.must("put", err)
	next, err := b.Put(e.ctx(), "sync", `{"leader":"n1"}`, int64(rev))
	e.must("put", err)
	e.conflict("delete with an old revision", a.Delete(e.ctx(), "sync", int64(rev)))
	if got := e.snapshot(a)["sync"].Revision; got != next {
		e.Fatalf("after a refused delete the key is at %d, want %d", got, next)
	}
	e.must("delete with the right revision", a.Delete(e.ctx(), "sync", int64(next)))
	e.conflict("delete again", a.Delete(e.ctx(), "sync", int64(next)))
	e.poll(e.h.Prompt, "the deletion", func() bool { return w.gone("sync") && w.deleted("sync") == 1 })
}

func oneOfManyWins(e *env) {
	const contenders, rounds = 5, 10
	var stores []backends.Store
	for i := range contenders {
		stores = append(stores, e.open(fmt.Sprintf("n%d", i)))
	}
	var rev int64
	for round := range rounds {
		errs, revs := make([]error, contenders), make([]uint64, contenders)
		var wg sync.WaitGroup
		for i, s := range stores {
			wg.Go(func() { revs[i], errs[i] = s.Put(e.ctx(), "initialize", fmt.Sprintf("%d/%d", round, i), rev) })
		}
		wg.Wait()
		winner := e.soleWinner(errs)
		got := e.snapshot(stores[(winner+1)%contenders])["initialize"]
		if want := fmt.Sprintf("%d/%d", round, winner); got.Value != want || got.Revision != revs[winner] {
			e.Fatalf("round %d: %d won at %d, but the key is %+v", round, winner, revs[winner], got)
		}
		rev = int64(revs[winner])
	}
}

// soleWinner checks that one call succeeded and all others met a conflict.
func (e *env) soleWinner(errs []error) int {
	e.Helper()
	winner := -1
	for i, err := range errs {
		if err != nil {
			e.conflict(fmt.Sprintf("contender %d", i), err)
			continue
		}
		if winner >= 0 {
			e.Fatalf("both %d and %d won", winner, i)
		}
		winner = i
	}
	if winner < 0 {
		e.Fatalf("nobody won: %v", errs)
	}
	return winner
}

func denied(e *env) {
	s := e.h.Denied(e, e.scope, "n1")
	e.Cleanup(func() { e.must("close", s.Close()) })
	for name, call := range operations(s, 1, e.h.TTL) {
		if name == "Release" || name == "Renew" || name == "HandOver" || name == "Acquire" {
			continue // may be refused by what the store object knows, before the server is asked
		}
		err := call(e.ctx())
		if got := backends.Classify(err); got != events.Denied {
			e.Errorf("%s without rights: %v: classified %q", name, err, got)
		}
	}
}
