package backendtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

var faultCases = []Case{
	{Name: "C1_resync_after_a_freeze", Fault: "FreezeAll", available: has(func(f *Faults) Fault { return f.FreezeAll }),
		run: func(e *env) { resync(e, e.h.Faults.FreezeAll, true) }},
	{Name: "C1_resync_after_a_crash", Fault: "KillAll", available: has(func(f *Faults) Fault { return f.KillAll }),
		run: func(e *env) { resync(e, e.h.Faults.KillAll, true) }},
	{Name: "C1_watch_beside_a_frozen_follower", Fault: "FreezeFollower", available: has(func(f *Faults) Fault { return f.FreezeFollower }),
		run: func(e *env) { resync(e, e.h.Faults.FreezeFollower, false) }},
	{Name: "C3_never_two_holders_while_the_leader_dies", Fault: "KillLeader", available: has(func(f *Faults) Fault { return f.KillLeader }),
		run: func(e *env) { neverTwoHolders(e, e.h.Faults.KillLeader) }},
	{Name: "C3_never_two_holders_while_the_leader_is_frozen", Fault: "FreezeLeader", available: has(func(f *Faults) Fault { return f.FreezeLeader }),
		run: func(e *env) { neverTwoHolders(e, e.h.Faults.FreezeLeader) }},
	{Name: "C10_frozen_servers", Fault: "FreezeAll", available: has(func(f *Faults) Fault { return f.FreezeAll }), run: frozenServers},
	{Name: "C10_dead_servers", Fault: "KillAll", available: has(func(f *Faults) Fault { return f.KillAll }), run: deadServers},
	{Name: "C12_hung_writes_do_not_delay_renewals", Fault: "FreezeAll", available: has(func(f *Faults) Fault { return f.FreezeAll }), run: hungWrites},
	{Name: "C12_renewals_beside_a_frozen_follower", Fault: "FreezeFollower",
		available: has(func(f *Faults) Fault { return f.FreezeFollower }), run: renewalsBesideFrozen},
}

func has(get func(*Faults) Fault) func(*Harness) bool {
	return func(h *Harness) bool { return get(&h.Faults) != nil }
}

// inject breaks something and makes sure that it is healed, whatever becomes of the case.
func (e *env) inject(f Fault) (heal func()) {
	e.Helper()
	heal = sync.OnceFunc(f(e))
	e.Cleanup(heal)
	return heal
}

// resync breaks the servers under a watcher and demands that it sees all in the end, and, where no
// server answers, that it says so.
func resync(e *env, fault Fault, silent bool) {
	writer, reader := e.open("n1"), e.open("n2")
	w := e.watch(reader)
	_, err := writer.Put(e.ctx(), "config", "before", 0)
	e.must("put", err)
	w.converges(writer, e.h.Recovery)
	lost := w.lost()
	heal := e.inject(fault)
	start := e.h.Now()
	if silent {
		e.poll(e.h.Silence, "DCSReach{false}", func() bool { return w.lost() > lost })
		e.Logf("the watcher said that the store is unreachable after %v", e.h.Now().Sub(start))
		late := e.startWatch(writer)
		e.poll(e.h.Silence, "DCSReach{false} of a watch that began without servers", func() bool { return late.lost() > 0 })
		defer func() { late.converges(writer, e.h.Recovery) }()
	} else {
		e.putWithin(writer, "config", "meanwhile", e.h.Recovery)
		e.poll(e.h.Recovery, "a change made beside the fault", func() bool { kv, _ := w.get("config"); return kv.Value == "meanwhile" })
		e.Logf("a change made beside the fault was seen %v after it", e.h.Now().Sub(start))
	}
	heal()
	start = e.h.Now()
	e.putWithin(writer, "config", "after", e.h.Recovery)
	e.Logf("first write %v after healing", e.h.Now().Sub(start))
	w.converges(writer, e.h.Recovery)
	e.Logf("watcher up to date %v after healing", e.h.Now().Sub(start))
	e.poll(e.h.Recovery, "DCSReach{true}", func() bool { return w.isReachable() || w.lost() == 0 })
	_, err = writer.Put(e.ctx(), "history", "[]", events.Any)
	e.must("put", err)
	w.converges(writer, e.h.Recovery)
}

// putWithin writes until it succeeds, as a caller does that repeats a write of unknown outcome.
func (e *env) putWithin(s backends.Store, key, value string, within time.Duration) {
	e.Helper()
	var last error
	if !e.reached(within, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, last = s.Put(ctx, key, value, events.Any)
		return last == nil
	}) {
		e.Fatalf("no write of %s within %v: %v", key, within, last)
	}
}

// returned is how a call under a fault ended.
type returned struct {
	name string
	err  error
	took time.Duration
}

// callAll calls every operation at once, each under a context of its own that ends after d, every
// one in a scope of its own.
func (e *env) callAll(d time.Duration) (func() []returned, map[string]backends.Store) {
	e.Helper()
	stores, calls := map[string]backends.Store{}, map[string]func(context.Context) error{}
	for name := range operations(nil, 0, 0) {
		s := e.openIn(fmt.Sprintf("%s-%d", e.scope, len(stores)), "n1")
		l := e.acquire(s, 0)
		_, err := s.Put(e.ctx(), "op-delete", "x", 0)
		e.must("put", err)
		stores[name], calls[name] = s, operations(s, l.Epoch, e.h.TTL)[name]
	}
	return func() []returned {
		var mu sync.Mutex
		var all []returned
		var wg sync.WaitGroup
		for name, call := range calls {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), d)
				defer cancel()
				start := e.h.Now()
				err := call(ctx)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, returned{name, err, e.h.Now().Sub(start)})
			})
		}
		wg.Wait()
		return all
	}, stores
}

// checkUnder checks what calls returned while no server answered, and afterwards that what was
// reported as not applied was not.
func (e *env) checkUnder(d time.Duration, all []returned, stores map[string]backends.Store, heal func()) {
	e.Helper()
	notApplied := map[string]bool{}
	for _, r := range all {
		class := backends.Classify(r.err)
		if r.took > d+e.h.Prompt {
			e.Errorf("C10: %s returned %v after its context of %v had ended", r.name, r.took-d, d)
		}
		if class != events.Unknown && class != events.Failed {
			e.Errorf("C9: %s without an answer from any server: %v: classified %q", r.name, r.err, class)
		}
		notApplied[r.name] = class == events.Failed
		e.Logf("%s: %q after %v", r.name, class, r.took.Round(time.Millisecond))
	}
	heal()
	start := e.h.Now()
	e.putWithin(stores["Put"], "config", "x", e.h.Recovery)
	e.Logf("first write %v after healing", e.h.Now().Sub(start))
	for name, key := range map[string]string{"Put": "op-put", "Put absent": "op-create", "PutMember": "members/n1"} {
		if _, there := e.snapshot(stores[name])[key]; there && notApplied[name] {
			e.Errorf("C9: %s was reported as not applied, but %s is there", name, key)
		}
	}
	if _, there := e.snapshot(stores["Delete"])["op-delete"]; !there && notApplied["Delete"] {
		e.Error("C9: Delete was reported as not applied, but the key is gone")
	}
}

func frozenServers(e *env) {
	const d = 700 * time.Millisecond
	calls, stores := e.callAll(d)
	heal := e.inject(e.h.Faults.FreezeAll)
	e.checkUnder(d, calls(), stores, heal)
}

func deadServers(e *env) {
	const d = 700 * time.Millisecond
	calls, stores := e.callAll(d)
	heal := e.inject(e.h.Faults.KillAll)
	e.checkUnder(d, calls(), stores, heal)
}

func hungWrites(e *env) {
	s := e.open("n1")
	l := e.acquire(s, 0)
	heal := e.inject(e.h.Faults.FreezeAll)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var hung sync.WaitGroup
	for i := range 32 {
		hung.Go(func() {
			if _, err := s.Put(ctx, fmt.Sprintf("hung%d", i), "x", events.Any); err != nil && ctx.Err() == nil &&
				backends.Classify(err) == events.Lost {
				e.Errorf("a put without condition met a conflict: %v", err)
			}
		})
	}
	hung.Go(func() { _ = s.PutMember(ctx, "{}", e.h.TTL) }) // only its hanging matters
	const d = 400 * time.Millisecond
	start := e.h.Now()
	short, stop := context.WithTimeout(context.Background(), d)
	_, err := s.Renew(short, l.Epoch, e.h.TTL)
	stop()
	if took := e.h.Now().Sub(start); took > d+e.h.Prompt {
		e.Errorf("beside hung writes a renewal with a context of %v returned after %v", d, took)
	}
	if class := backends.Classify(err); class != events.Unknown && class != events.Failed {
		e.Errorf("renewal without an answer: %v: classified %q", err, class)
	}
	heal()
	start = e.h.Now()
	ok := e.reached(e.h.Recovery, func() bool {
		again, stop := context.WithTimeout(context.Background(), d)
		defer stop()
		_, err = s.Renew(again, l.Epoch, e.h.TTL)
		return err == nil || backends.Classify(err) == events.Lost
	})
	if !ok {
		e.Errorf("no renewal within %v of the thaw: %v", e.h.Recovery, err)
	}
	e.Logf("renewal answered (%q) %v after the thaw", backends.Classify(err), e.h.Now().Sub(start))
	cancel()
	hung.Wait()
}

func renewalsBesideFrozen(e *env) {
	const holders = 3 // so that some of them talk to the server that freezes
	type holder struct {
		s backends.Store
		w *watcher
		l backends.Lease
	}
	var all []*holder
	for i := range holders {
		scope := fmt.Sprintf("%s-%d", e.scope, i)
		h := &holder{s: e.openIn(scope, "n1")}
		h.w = e.watch(e.openIn(scope, "n2"))
		h.l = e.acquire(h.s, 0)
		all = append(all, h)
	}
	heal := e.inject(e.h.Faults.FreezeFollower)
	start := e.h.Now()
	var wg sync.WaitGroup
	for i, h := range all {
		wg.Go(func() {
			for e.h.Now() < start.Add(3*e.h.TTL) {
				ctx, cancel := context.WithTimeout(context.Background(), e.h.TTL/2)
				l, err := h.s.Renew(ctx, h.l.Epoch, e.h.TTL)
				cancel()
				switch {
				case err == nil:
					h.l = l
				case backends.Classify(err) == events.Lost || e.h.Now() > h.l.SentAt.Add(h.l.TTL):
					e.Errorf("C12: holder %d lost its lease beside a frozen follower: %v", i, err)
					return
				}
				time.Sleep(e.h.TTL / 8)
			}
		})
	}
	wg.Wait()
	for i, h := range all {
		if h.w.deleted("leader") > 0 {
			e.Errorf("C12: the key of holder %d went beside a frozen follower", i)
		}
	}
	heal()
}
