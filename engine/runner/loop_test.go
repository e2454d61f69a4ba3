package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// campaign brings a rig to where it asks for the lease.
func (r *rig) campaign() {
	r.post(started(), snapshot(10, "n2"), replica(r.now()), leaderGone(11))
}

func TestRecordThenPublishThenAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.campaign()
		synctest.Wait()
		log := r.log()
		if len(r.saw(events.ActAcquireLease)) != 1 {
			t.Fatalf("no lease was asked for: %s\n%s", log, r.Status().Why)
		}
		seq, stage := 0, 0
		for _, line := range log {
			word, rest, _ := strings.Cut(line, " ")
			switch word {
			case "record":
				seq++
				if rest != fmt.Sprintf("%d published=false", seq) {
					t.Errorf("recorded %q, want input %d, before its picture is published", rest, seq)
				}
				stage = 1
			case "observe":
				if stage != 1 || rest != fmt.Sprintf("%d published=true", seq) {
					t.Errorf("observed %q at stage %d of input %d", rest, stage, seq)
				}
				stage = 2
			case "sync":
				if stage != 2 {
					t.Errorf("synced at stage %d of input %d, want it after the publication", stage, seq)
				}
				stage = 3
			case "do":
				if stage < 2 || rest == string(events.ActAcquireLease) && stage != 3 {
					t.Errorf("%s was begun at stage %d of input %d", rest, stage, seq)
				}
			}
		}
		if seq != 4 {
			t.Errorf("%d inputs were recorded, want 4", seq)
		}
	})
}

// What can be undone does not wait for the disk, and the lease only makes it begin; a promotion waits for its budget.
func TestOnlyIrreversibleEffectsWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.syncing = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r.start()
		begin := time.Now()
		r.post(started(), snapshot(10, "n2"), replica(r.now()))
		synctest.Wait()
		if d := time.Since(begin); d != 0 || slices.Contains(r.log(), "sync") || len(r.saw(events.ActPutMember)) == 0 {
			t.Fatalf("took %v: %s", d, r.log())
		}
		r.post(leaderGone(11))
		synctest.Wait()
		asked := r.saw(events.ActAcquireLease)
		if d := time.Since(begin); d != 0 || len(asked) != 1 || !slices.Contains(r.log(), "sync") {
			t.Fatalf("took %v, want the log to be told to sync, and the lease to be asked for at once: %s", d, r.log())
		}
		r.post(events.LeaseOutcome{Effect: asked[0].ID, Op: events.LeaseAcquire, Outcome: events.Done, Epoch: 12, SentAt: r.now(), TTL: 30 * time.Second},
			events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyLeader, Value: "n1", Revision: 12}})
		time.Sleep(1999 * time.Microsecond)
		synctest.Wait()
		if len(r.saw(events.ActPromote)) != 0 {
			t.Fatal("the promotion was begun before the log had its chance")
		}
		time.Sleep(time.Microsecond)
		synctest.Wait()
		if len(r.saw(events.ActPromote)) != 1 {
			t.Fatalf("no promotion after the budget, in %s: %s", r.Status().State, r.log())
		}
	})
}

func TestPostKeepsOrderAndNeverBlocks(t *testing.T) {
	const posters, each = 8, 100
	r := newRig(t) // not started: nobody takes from the queue
	r.post(started())
	var done sync.WaitGroup
	for p := range posters {
		done.Go(func() {
			for i := range each {
				r.Post(events.Progress{Effect: uint64(p), Text: fmt.Sprint(i)})
			}
		})
	}
	done.Wait()
	r.start()
	for p := range posters { // and now against a running loop
		done.Go(func() {
			for i := range each {
				r.Post(events.Progress{Effect: uint64(p), Text: fmt.Sprint(each + i)})
			}
		})
	}
	done.Wait()
	eventually(t, "all facts are consumed", func() bool { return len(r.consumed()) >= 1+2*posters*each })
	next := make([]int, posters)
	for i, in := range r.consumed() {
		if in.Seq != uint64(i+1) {
			t.Fatalf("input %d has seq %d", i+1, in.Seq)
		}
		if f, ok := in.Fact.(events.Progress); ok {
			if f.Text != fmt.Sprint(next[f.Effect]) {
				t.Fatalf("of poster %d: %s, want %d", f.Effect, f.Text, next[f.Effect])
			}
			next[f.Effect]++
		}
	}
}

func TestTimerFiresAtWakeAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.post(started(), snapshot(10, "n2"), replica(r.now()))
		synctest.Wait()
		for range 20 {
			before := len(r.consumed())
			at := r.wakes()
			left := at.Sub(r.now())
			if left <= 0 {
				t.Fatalf("asleep, though it wanted to be woken %v ago", -left)
			}
			time.Sleep(left - time.Nanosecond)
			synctest.Wait()
			if n := len(r.consumed()); n != before && left > time.Millisecond {
				t.Fatalf("woke early: %+v", r.consumed()[before:])
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			got := r.consumed()[before:]
			if len(got) == 0 || got[0].Fact != (events.TimerFired{}) || got[0].At < at || got[0].At > at.Add(time.Millisecond) {
				t.Fatalf("want a timer at %d, got %+v", at, got)
			}
			for _, e := range r.saw(events.ActReadDCS) { // so that it does not only wait for these
				r.post(answer(e, r.now()))
			}
			synctest.Wait()
		}
	})
}

// A machine that was suspended has a boot clock ahead of the timers: what is due is found out within a moment.
func TestSuspendIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var ahead atomic.Int64
		r.cfg.Now = func() events.Instant { return r.now().Add(time.Duration(ahead.Load())) }
		r.start()
		r.post(started())
		synctest.Wait()
		before := len(r.consumed())
		wait := r.wakes().Sub(r.now())
		if wait <= nap {
			t.Fatalf("it wants to be woken in %v already: no suspend would be noticed later than that", wait)
		}
		ahead.Store(int64(time.Minute))
		time.Sleep(nap)
		synctest.Wait()
		if n := len(r.consumed()); n == before {
			t.Fatalf("%v after the suspend the engine was not told that its time had come", nap)
		}
	})
}

func TestSleepingLoopStepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(r.consumed()); n != 0 {
			t.Fatalf("%d inputs, and nothing had happened", n)
		}
	})
}

func TestExitEndsRunWithItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.do = func(e events.Effect) {
			if e.Action.ActionKind() == events.ActStopPostgres {
				r.Post(answer(e, r.now()))
			}
		}
		var exit *events.Exit
		observe := r.cfg.Observe
		r.cfg.Observe = func(in events.Input, d *events.Decision, s *engine.Status) {
			observe(in, d, s)
			for _, e := range d.Effects {
				if a, ok := e.Action.(events.Exit); ok {
					exit = &a
				}
			}
		}
		r.start()
		r.post(started(), snapshot(10, "n2"), replica(r.now()), events.ShutdownAsked{Reason: "a test"})
		select {
		case <-r.ended:
		case <-time.After(time.Minute):
			t.Fatalf("still running: %s: %s", r.Status().State, r.log())
		}
		if r.err != nil || exit == nil || r.code != exit.Code {
			t.Fatalf("Run ended with %d, %v; the engine's word was %+v", r.code, r.err, exit)
		}
		if len(r.saw(events.ActExit)) != 0 {
			t.Fatal("Exit was given to the executor")
		}
		if r.Status().State != engine.Exited {
			t.Fatalf("the last picture is of %s", r.Status().State)
		}
		r.Post(events.TimerFired{}) // after the end: dropped, and no harm
	})
}

func TestExitCodeIsTheEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.do = func(e events.Effect) {
			if a, ok := e.Action.(events.AskPeers); ok { // another n1 answers
				r.Post(events.PeerAnswered{Effect: e.ID, Peer: events.PeerStatus{Name: a.Peers[0].Name, Reachable: true}})
			}
		}
		r.start()
		s := snapshot(10, "n2")
		s.Keys = append(s.Keys, events.KeyValue{Key: events.KeyMembers + "n1", Value: `{"api_url":"http://10.0.0.9:8008/patroni"}`, Revision: 4})
		r.post(started(), s, replica(r.now()))
		select {
		case <-r.ended:
		case <-time.After(time.Minute):
			t.Fatalf("still running: %s: %s", r.Status().State, r.log())
		}
		if r.code != 1 || r.err != nil {
			t.Fatalf("Run ended with %d, %v; want 1: the name is taken", r.code, r.err)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.post(started())
		synctest.Wait()
		r.stop()
		if !errors.Is(r.err, context.Canceled) || r.code != 0 {
			t.Fatalf("Run ended with %d, %v", r.code, r.err)
		}
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
