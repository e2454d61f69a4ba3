package backendtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

var leaseCases = []Case{
	{Name: "C3_exclusive_acquire", run: exclusiveAcquire},
	{Name: "C3_acquire_with_expect", run: acquireWithExpect},
	{Name: "C3_restarted_member_claims_its_own_key", run: restartClaims},
	{Name: "C4_lease_ends_in_time", run: leaseEndsInTime},
	{Name: "C4_no_takeover_before_the_end", run: noEarlyTakeover},
	{Name: "C4_closed_store_lets_its_lease_end", run: closedStoreLetsGo},
	{Name: "C5_renewal_keeps_it_alive_and_never_immortal", run: renewalKeepsAlive},
	{Name: "C5_renewal_with_another_ttl", run: renewalWithAnotherTTL},
	{Name: "C5_renewal_after_loss", run: renewalAfterLoss},
	{Name: "C6_watchers_are_told", run: watchersAreTold},
	{Name: "C7_release_touches_only_its_own", run: releaseTouchesOnlyItsOwn},
	{Name: "C7_handover_is_claimed", run: handoverClaimed},
	{Name: "C7_handover_ends_unless_claimed", run: handoverEnds},
	{Name: "C13_prepare_is_seen_by_nobody", run: prepareIsSeenByNobody},
	{Name: "C13_prepared_lease_ends_in_time", run: preparedLeaseEndsInTime},
	{Name: "C13_prepared_handover_is_claimed", run: preparedHandover},
	{Name: "C12_writes_do_not_delay_renewals", run: writesDoNotDelayRenewals},
}

func exclusiveAcquire(e *env) {
	const contenders, rounds = 6, 15
	var stores []backends.Store
	for i := range contenders {
		stores = append(stores, e.open(fmt.Sprintf("n%d", i)))
	}
	var last uint64
	for range rounds {
		errs, leases := make([]error, contenders), make([]backends.Lease, contenders)
		var wg sync.WaitGroup
		for i, s := range stores {
			wg.Go(func() { leases[i], errs[i] = s.Acquire(e.ctx(), 0, e.h.TTL) })
		}
		wg.Wait()
		winner := e.soleWinner(errs)
		l := leases[winner]
		if l.Epoch <= last {
			e.Fatalf("epoch %d after %d", l.Epoch, last)
		}
		last = l.Epoch
		kv := e.snapshot(stores[(winner+1)%contenders])["leader"]
		if want := fmt.Sprintf("n%d", winner); kv.Value != want {
			e.Fatalf("%s won, but the leader key says %q", want, kv.Value)
		}
		e.must("release", stores[winner].Release(e.ctx(), l.Epoch))
	}
}

func acquireWithExpect(e *env) {
	a, b := e.open("n1"), e.open("n2")
	_, err := a.Acquire(e.ctx(), 4711, e.h.TTL)
	e.conflict("acquire an absent key with expect", err)
	l := e.acquire(a, 0)
	rev := e.snapshot(b)["leader"].Revision
	_, err = b.Acquire(e.ctx(), 0, e.h.TTL)
	e.conflict("acquire a held key", err)
	_, err = a.Acquire(e.ctx(), 0, e.h.TTL)
	e.conflict("acquire of one's own key without expect", err)
	_, err = a.Acquire(e.ctx(), rev+1000, e.h.TTL)
	e.conflict("acquire with a wrong revision", err)
	_, err = b.Acquire(e.ctx(), rev, e.h.TTL)
	e.conflict("acquire of a key that names another member", err)
	e.renew(a, l.Epoch, e.h.TTL)
}

func restartClaims(e *env) {
	first, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	old := e.acquire(first, 0)
	second := e.open("n1")
	rev := e.snapshot(second)["leader"].Revision
	l := e.acquire(second, rev)
	if l.Epoch <= old.Epoch {
		e.Fatalf("epoch %d after %d", l.Epoch, old.Epoch)
	}
	e.conflict("handover by the former process", first.HandOver(e.ctx(), old.Epoch, "n2", e.h.TTL))
	e.conflict("release by the former process", first.Release(e.ctx(), old.Epoch))
	_, err := first.Renew(e.ctx(), old.Epoch, e.h.TTL)
	e.conflict("renewal by the former process", err)
	_, err = first.Acquire(e.ctx(), rev, e.h.TTL)
	e.conflict("claim at the former revision", err)
	// The former lease ends; the new one must not.
	end := old.SentAt.Add(old.TTL + e.h.Lateness + e.h.TTL/2)
	for e.h.Now() < end {
		l = e.renew(second, l.Epoch, e.h.TTL)
		pause := e.h.Now().Add(e.h.TTL / 4)
		e.poll(e.h.TTL, "a quarter of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if w.deleted("leader") > 0 {
		e.Error("the end of the former process's lease took the key of the new one")
	}
	e.must("release", second.Release(e.ctx(), l.Epoch))
}

// ends waits for the end of the lease l and checks when it came (C4, C6).
func (e *env) ends(w *watcher, l backends.Lease) (late time.Duration) {
	e.Helper()
	end := l.SentAt.Add(l.TTL)
	e.poll(l.TTL+e.h.Lateness+2*time.Second, "the end of the lease", func() bool { return w.gone("leader") })
	late = w.when("leader").Sub(end)
	if late < 0 {
		e.Errorf("C4: the lease ended %v before SentAt + TTL (%v)", -late, l.TTL)
	}
	if late > e.h.Lateness {
		e.Errorf("C4: the lease ended %v after SentAt + TTL (%v), want at most %v", late, l.TTL, e.h.Lateness)
	}
	return late
}

func leaseEndsInTime(e *env) {
	type run struct {
		w *watcher
		s backends.Store
		l backends.Lease
	}
	var runs []run
	for i := range 4 {
		scope := fmt.Sprintf("%s-%d", e.scope, i)
		r := run{s: e.openIn(scope, "n1")}
		r.w = e.watch(e.openIn(scope, "n2"))
		runs = append(runs, r)
	}
	for i := range runs {
		r := &runs[i]
		r.l = e.acquire(r.s, 0)
		e.poll(e.h.Prompt, "the leader key", func() bool { return !r.w.gone("leader") })
		for range i { // none, one, two, three renewals
			r.l = e.renew(r.s, r.l.Epoch, e.h.TTL)
		}
	}
	var lates []time.Duration
	for _, r := range runs {
		lates = append(lates, e.ends(r.w, r.l))
		_, err := r.s.Renew(e.ctx(), r.l.Epoch, e.h.TTL)
		e.conflict("renewal after the end", err)
	}
	e.Logf("leases of %v ended after SentAt + TTL by %v", runs[0].l.TTL, lates)
}

func noEarlyTakeover(e *env) {
	holder, rival := e.open("n1"), e.open("n2")
	l := e.acquire(holder, 0)
	l = e.renew(holder, l.Epoch, e.h.TTL)
	var won backends.Lease
	deadline := l.SentAt.Add(l.TTL + e.h.Lateness)
	for won.Epoch == 0 {
		next, err := rival.Acquire(e.ctx(), 0, e.h.TTL)
		if err == nil {
			won = next
			break
		}
		e.conflict("acquire of a held key", err)
		if e.h.Now() > deadline {
			e.Fatalf("nobody could take the lease %v after it had to end", e.h.Now().Sub(l.SentAt.Add(l.TTL)))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if now := e.h.Now(); now < l.SentAt.Add(l.TTL) {
		e.Fatalf("taken %v before the end of the former lease", l.SentAt.Add(l.TTL).Sub(now))
	}
	if won.Epoch <= l.Epoch {
		e.Errorf("epoch %d after %d", won.Epoch, l.Epoch)
	}
	e.conflict("release after a takeover", holder.Release(e.ctx(), l.Epoch))
	e.conflict("handover after a takeover", holder.HandOver(e.ctx(), l.Epoch, "n3", e.h.TTL))
	_, err := holder.Renew(e.ctx(), l.Epoch, e.h.TTL)
	e.conflict("renewal after a takeover", err)
	e.renew(rival, won.Epoch, e.h.TTL)
}

func closedStoreLetsGo(e *env) {
	w := e.watch(e.open("n2"))
	s := e.h.Open(e, e.scope, "n1")
	l, err := s.Acquire(e.ctx(), 0, e.h.TTL)
	e.must("acquire", err)
	err = s.PutMember(e.ctx(), "{}", e.h.TTL)
	e.must("put the member record", err)
	e.poll(e.h.Prompt, "the leader key", func() bool { return !w.gone("leader") })
	e.must("close", s.Close())
	e.ends(w, l)
	e.poll(e.h.TTL+e.h.Lateness, "the end of the member record", func() bool { return w.gone("members/n1") })
}

func renewalKeepsAlive(e *env) {
	s := e.open("n1")
	w := e.watch(e.open("n2"))
	l := e.acquire(s, 0)
	e.poll(e.h.Prompt, "the leader key", func() bool { return !w.gone("leader") })
	end := l.SentAt.Add(4 * l.TTL)
	for e.h.Now() < end {
		l = e.renew(s, l.Epoch, e.h.TTL)
		pause := l.SentAt.Add(e.h.TTL / 3)
		e.poll(e.h.TTL, "a third of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if n := w.deleted("leader"); n > 0 {
		e.Fatalf("the leader key went %d times while it was renewed", n)
	}
	if kv, _ := w.get("leader"); kv.Value != "n1" {
		e.Fatalf("the leader key says %q", kv.Value)
	}
	e.ends(w, l)
}

func renewalWithAnotherTTL(e *env) {
	s := e.open("n1")
	w := e.watch(e.open("n2"))
	l := e.acquire(s, 0)
	long := e.h.TTL + 2*time.Second
	longer := e.renew(s, l.Epoch, long)
	if longer.TTL < long {
		e.Fatalf("asked for %v, granted %v", long, longer.TTL)
	}
	for end := l.SentAt.Add(l.TTL + time.Second); e.h.Now() < end; time.Sleep(20 * time.Millisecond) {
		if w.deleted("leader") > 0 {
			e.Fatal("the lease ended with its former ttl")
		}
	}
	shorter := e.renew(s, l.Epoch, e.h.TTL)
	if shorter.TTL >= longer.TTL {
		e.Fatalf("asked for %v, granted %v", e.h.TTL, shorter.TTL)
	}
	e.ends(w, shorter)
}

func renewalAfterLoss(e *env) {
	s, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	l := e.acquire(s, 0)
	_, err := s.Renew(e.ctx(), l.Epoch+1, e.h.TTL)
	e.conflict("renewal of a wrong epoch", err)
	_, err = other.Renew(e.ctx(), l.Epoch, e.h.TTL)
	e.conflict("renewal by another member", err)
	e.renew(s, l.Epoch, e.h.TTL)

	e.must("release", s.Release(e.ctx(), l.Epoch))
	_, err = s.Renew(e.ctx(), l.Epoch, e.h.TTL)
	e.conflict("renewal after release", err)
	e.poll(e.h.Prompt, "the release", func() bool { return w.gone("leader") })

	again := e.acquire(s, 0)
	_, err = s.Renew(e.ctx(), l.Epoch, e.h.TTL)
	e.conflict("renewal of the former epoch", err)
	e.must("delete of the leader key by an operator", other.Delete(e.ctx(), "leader", events.Any))
	_, err = s.Renew(e.ctx(), again.Epoch, e.h.TTL)
	e.conflict("renewal after the key was deleted", err)
	if _, there := e.snapshot(other)["leader"]; there {
		e.Error("a refused renewal brought the leader key back")
	}
	if stolen, err := other.Acquire(e.ctx(), 0, e.h.TTL); err != nil || stolen.Epoch <= again.Epoch {
		e.Errorf("acquire after the key was deleted: epoch %d after %d, %v", stolen.Epoch, again.Epoch, err)
	}
	_, err = s.Renew(e.ctx(), again.Epoch, e.h.TTL)
	e.conflict("renewal after another member won", err)
	e.conflict("release of a lost lease", s.Release(e.ctx(), again.Epoch))
}

func watchersAreTold(e *env) {
	s := e.open("n1")
	w := e.watch(e.open("n2"))
	var worst time.Duration
	for i := range 10 {
		l := e.acquire(s, 0)
		e.poll(e.h.Prompt, "the leader key", func() bool { kv, _ := w.get("leader"); return kv.Value == "n1" })
		e.must("release", s.Release(e.ctx(), l.Epoch))
		returned := e.h.Now()
		e.poll(e.h.Prompt, "the release", func() bool { return w.gone("leader") && w.deleted("leader") == i+1 })
		worst = max(worst, w.when("leader").Sub(returned))
	}
	e.Logf("watchers were told of a release at most %v after it returned", worst)
}

func releaseTouchesOnlyItsOwn(e *env) {
	a, b := e.open("n1"), e.open("n2")
	w := e.watch(b)
	e.conflict("release of nothing", a.Release(e.ctx(), 3))
	l := e.acquire(a, 0)
	before := e.snapshot(b)["leader"]
	e.conflict("release by another member", b.Release(e.ctx(), l.Epoch))
	e.conflict("release of a wrong epoch", a.Release(e.ctx(), l.Epoch+1))
	e.conflict("handover by another member", b.HandOver(e.ctx(), l.Epoch, "n2", e.h.TTL))
	e.conflict("handover of a wrong epoch", a.HandOver(e.ctx(), l.Epoch+1, "n2", e.h.TTL))
	if after := e.snapshot(b)["leader"]; after != before {
		e.Fatalf("refused operations changed the leader key from %+v to %+v", before, after)
	}
	e.must("release", a.Release(e.ctx(), l.Epoch))
	second := e.acquire(b, 0)
	e.conflict("release of an old epoch", a.Release(e.ctx(), l.Epoch))
	if kv := e.snapshot(a)["leader"]; kv.Value != "n2" {
		e.Fatalf("after the release of an old epoch the leader key is %+v", kv)
	}
	e.renew(b, second.Epoch, e.h.TTL)
	e.poll(e.h.Prompt, "one deletion only", func() bool { return w.deleted("leader") == 1 && !w.gone("leader") })
}

func handoverClaimed(e *env) {
	a, b, c := e.open("n1"), e.open("n2"), e.open("n3")
	w := e.watch(c)
	l := e.acquire(a, 0)
	sent := e.h.Now()
	e.must("handover", a.HandOver(e.ctx(), l.Epoch, "n2", e.h.TTL))
	e.poll(e.h.Prompt, "the successor's name", func() bool { kv, _ := w.get("leader"); return kv.Value == "n2" })
	_, err := a.Renew(e.ctx(), l.Epoch, e.h.TTL)
	e.conflict("renewal after the handover", err)
	e.conflict("release after the handover", a.Release(e.ctx(), l.Epoch))
	_, err = c.Acquire(e.ctx(), 0, e.h.TTL)
	e.conflict("acquire of a handed-over key by a third member", err)
	kv, _ := w.get("leader")
	_, err = c.Acquire(e.ctx(), kv.Revision, e.h.TTL)
	e.conflict("claim of a handed-over key by a third member", err)
	next := e.acquire(b, kv.Revision)
	if next.Epoch <= l.Epoch {
		e.Fatalf("epoch %d after %d", next.Epoch, l.Epoch)
	}
	// Neither the end of the predecessor's lease nor that of the handover may take the key.
	for end := sent.Add(e.h.TTL + e.h.Lateness + e.h.TTL/2); e.h.Now() < end; {
		next = e.renew(b, next.Epoch, e.h.TTL)
		pause := e.h.Now().Add(e.h.TTL / 4)
		e.poll(e.h.TTL, "a quarter of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if n := w.deleted("leader"); n > 0 {
		e.Fatalf("the leader key went %d times between handover and claim, or after it", n)
	}
	e.ends(w, next)
}

func handoverEnds(e *env) {
	a, b := e.open("n1"), e.open("n2")
	w := e.watch(b)
	l := e.acquire(a, 0)
	// Longer than the lease, so that the predecessor's own end is seen not to matter.
	ttl := e.h.TTL + time.Second
	sent := e.h.Now()
	e.must("handover", a.HandOver(e.ctx(), l.Epoch, "n9", ttl))
	returned := e.h.Now()
	e.must("put of the predecessor's member record", a.PutMember(e.ctx(), "{}", 3*e.h.TTL))
	e.poll(ttl+e.h.Lateness+2*time.Second, "the end of the handover", func() bool { return w.gone("leader") && w.deleted("leader") == 1 })
	at := w.when("leader")
	if at < sent.Add(ttl) || at > returned.Add(ttl+e.h.Lateness+time.Second) {
		e.Errorf("a handover with a ttl of %v ended after %v", ttl, at.Sub(sent))
	}
	if next := e.acquire(b, 0); next.Epoch <= l.Epoch {
		e.Errorf("epoch %d after %d", next.Epoch, l.Epoch)
	}
}

func writesDoNotDelayRenewals(e *env) {
	s := e.open("n1")
	w := e.watch(e.open("n2"))
	l := e.acquire(s, 0)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	value := string(make([]byte, 8<<10))
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := s.Put(ctx, fmt.Sprintf("load%d", i), value, events.Any); err != nil && ctx.Err() == nil {
					e.Errorf("put under load: %v", err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	var worst time.Duration
	for end := e.h.Now().Add(2 * e.h.TTL); e.h.Now() < end; {
		start := e.h.Now()
		l = e.renew(s, l.Epoch, e.h.TTL)
		worst = max(worst, e.h.Now().Sub(start))
		pause := e.h.Now().Add(e.h.TTL / 10)
		e.poll(e.h.TTL, "a tenth of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if worst > e.h.TTL/2 {
		e.Errorf("a renewal beside writes took %v, more than half of the ttl", worst)
	}
	if w.deleted("leader") > 0 {
		e.Error("the lease was lost beside writes")
	}
	e.Logf("worst renewal beside 8 writers of 8 kB: %v", worst)
}

// prepareIsSeenByNobody prepares twice on one member: others see nothing and are not kept from anything.
func prepareIsSeenByNobody(e *env) {
	a, b := e.open("n1"), e.open("n2")
	before := len(e.snapshot(b))
	e.must("prepare", a.Prepare(e.ctx(), e.h.TTL))
	e.must("prepare again", a.Prepare(e.ctx(), e.h.TTL))
	if n := len(e.snapshot(b)); n != before {
		e.Fatalf("%d keys after a prepare, %d before", n, before)
	}
	ended, cancel := context.WithCancel(e.ctx())
	cancel()
	began := e.h.Now()
	if err := a.Prepare(ended, e.h.TTL); e.h.Now() > began.Add(e.h.Prompt) { // what it returns says nothing: there may be nothing to prepare
		e.Errorf("prepare with an ended context returned %v after %v", err, e.h.Now().Sub(began))
	}
	l := e.acquire(b, 0)
	_, err := a.Acquire(e.ctx(), 0, e.h.TTL)
	e.conflict("prepared acquire while another member leads", err)
	e.renew(b, l.Epoch, e.h.TTL)
	e.must("release", b.Release(e.ctx(), l.Epoch))
	if next := e.acquire(a, 0); next.Epoch <= l.Epoch {
		e.Errorf("epoch %d after %d", next.Epoch, l.Epoch)
	}
}

// prepare tells when it began.
func (e *env) prepare(s backends.Store) events.Instant {
	e.Helper()
	began := e.h.Now()
	e.must("prepare", s.Prepare(e.ctx(), e.h.TTL))
	return began
}

// acquirePrepared acquires what may be dated from a Prepare.
func (e *env) acquirePrepared(s backends.Store, expect uint64, prepared events.Instant) backends.Lease {
	e.Helper()
	l, err := s.Acquire(e.ctx(), expect, e.h.TTL)
	e.must("acquire", err)
	e.checkLease(l, prepared, e.h.TTL)
	return l
}

// preparedLeaseEndsInTime acquires with what was prepared, at once and too late, and checks the end of both leases (C4).
func preparedLeaseEndsInTime(e *env) {
	a := e.open("n1")
	for _, age := range []time.Duration{0, e.h.TTL / 2} {
		w := e.watch(e.open("n2"))
		prepared := e.prepare(a)
		ripe := prepared.Add(age)
		e.poll(e.h.TTL, "the age of what was prepared", func() bool { return e.h.Now() >= ripe })
		asked := e.h.Now()
		l := e.acquirePrepared(a, 0, prepared)
		if l.SentAt < asked.Add(-l.TTL/4) {
			e.Errorf("a lease was used that is %v old, of a ttl of %v", asked.Sub(l.SentAt), l.TTL)
		}
		e.poll(e.h.Prompt, "the leader key", func() bool { return !w.gone("leader") })
		e.ends(w, l)
	}
	l := e.acquirePrepared(a, 0, e.prepare(a))
	l = e.renew(a, l.Epoch, e.h.TTL)
	e.must("release", a.Release(e.ctx(), l.Epoch))
}

// preparedHandover prepares both sides of a handover.
func preparedHandover(e *env) {
	a, b := e.open("n1"), e.open("n2")
	w := e.watch(b)
	l := e.acquire(a, 0)
	e.must("prepare the handover", a.Prepare(e.ctx(), e.h.TTL))
	prepared := e.prepare(b)
	e.must("handover", a.HandOver(e.ctx(), l.Epoch, "n2", e.h.TTL))
	e.poll(e.h.Prompt, "the successor's name", func() bool { kv, _ := w.get("leader"); return kv.Value == "n2" })
	kv, _ := w.get("leader")
	next := e.acquirePrepared(b, kv.Revision, prepared)
	for end := e.h.Now().Add(e.h.TTL + e.h.Lateness + e.h.TTL/2); e.h.Now() < end; {
		next = e.renew(b, next.Epoch, e.h.TTL)
		pause := e.h.Now().Add(e.h.TTL / 4)
		e.poll(e.h.TTL, "a quarter of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if n := w.deleted("leader"); n > 0 {
		e.Fatalf("the leader key went %d times between handover and claim, or after it", n)
	}
	e.ends(w, next)
}
