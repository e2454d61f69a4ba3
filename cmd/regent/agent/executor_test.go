package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// hold42 makes the bench hold a lease of 30 s.
func (b *bench) hold42() {
	b.lease.Epoch = 42
	b.Do(b.effect(1, events.AcquireLease{TTL: 30 * time.Second}, 5*time.Second))
	synctest.Wait()
}

func TestStaleEffectsAreRefused(t *testing.T) {
	actions := map[string]events.Action{
		"promote": events.Promote{},
		"start":   events.StartPostgres{AsPrimary: true},
		"restart": events.RestartPostgres{AsPrimary: true},
	}
	renewal := func(b *bench, outcome error) {
		b.onStore = func(context.Context, string) error { return outcome }
		e := b.effect(2, events.RenewLease{TTL: 30 * time.Second}, 5*time.Second)
		e.Epoch = 42
		b.Do(e)
		synctest.Wait()
	}
	cases := []struct {
		name    string
		epoch   uint64
		prepare func(*bench)
		fresh   bool
	}{
		{"in force", 42, func(*bench) {}, true},
		{"another epoch", 41, func(*bench) {}, false},
		{"no epoch", 0, func(*bench) {}, false},
		{"just before the end", 42, func(*bench) { time.Sleep(30*time.Second - 1) }, true},
		{"at the end", 42, func(*bench) { time.Sleep(30 * time.Second) }, false},
		{"renewed", 42, func(b *bench) { time.Sleep(20 * time.Second); renewal(b, nil); time.Sleep(20 * time.Second) }, true},
		{"a renewal with an unknown outcome", 42, func(b *bench) {
			time.Sleep(20 * time.Second)
			renewal(b, backends.ErrUnknown)
			time.Sleep(10 * time.Second)
		}, false},
		{"lost", 42, func(b *bench) { renewal(b, backends.ErrConflict) }, false},
		{"released", 42, func(b *bench) {
			b.onStore = func(context.Context, string) error { return backends.ErrUnknown }
			e := b.effect(2, events.ReleaseLease{}, time.Second)
			e.Epoch = 42
			b.Do(e)
			synctest.Wait()
		}, false},
		{"handed over", 42, func(b *bench) {
			e := b.effect(2, events.HandOverLease{To: "n2"}, time.Second)
			e.Epoch = 42
			b.Do(e)
			synctest.Wait()
		}, false},
	}
	for call, action := range actions {
		for _, c := range cases {
			t.Run(call+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					b.hold42()
					c.prepare(b)
					b.onStore = nil
					e := b.effect(9, action, time.Minute)
					e.Epoch = c.epoch
					b.Do(e)
					synctest.Wait()
					outcome, text, _ := b.only(9)
					if want := map[bool]events.Outcome{true: events.Done, false: events.Stale}[c.fresh]; outcome != want {
						t.Errorf("%s (%s), want %s", outcome, text, want)
					}
					if b.called(call) != c.fresh {
						t.Errorf("the driver was called: %v", b.called(call))
					}
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // what makes no primary needs no epoch
		b := newBench(t)
		for i, a := range []events.Action{events.StartPostgres{}, events.RestartPostgres{}, events.StopPostgres{Mode: events.StopFast}} {
			b.Do(b.effect(uint64(10+i), a, time.Minute))
			synctest.Wait()
			if outcome, text, _ := b.only(uint64(10 + i)); outcome != events.Done {
				t.Errorf("%s: %s (%s)", a.ActionKind(), outcome, text)
			}
		}
	})
}

// A promotion that waited behind another effect is judged when its turn comes, not when it was asked for.
func TestStaleIsJudgedWhenItsTurnComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.hold42()
		b.onServer = func(_ context.Context, call string, _ any) (events.Result, error) {
			if call == "follow" {
				time.Sleep(40 * time.Second)
			}
			return events.Result{}, nil
		}
		b.Do(b.effect(2, events.Follow{}, time.Minute))
		synctest.Wait()
		e := b.effect(3, events.Promote{}, time.Minute)
		e.Epoch = 42
		b.Do(e)
		time.Sleep(50 * time.Second)
		if outcome, text, _ := b.only(3); outcome != events.Stale || b.called("promote") {
			t.Fatalf("%s (%s)", outcome, text)
		}
	})
}

// A renewal that was under way when the lease was released does not bring it back.
func TestLateRenewalRevivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.hold42()
		b.onStore = func(_ context.Context, call string) error {
			if call == "renew" {
				time.Sleep(3 * time.Second)
			}
			return nil
		}
		for i, a := range []events.Action{events.RenewLease{TTL: 30 * time.Second}, events.ReleaseLease{}} {
			e := b.effect(uint64(2+i), a, 10*time.Second)
			e.Epoch = 42
			b.Do(e)
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		e := b.effect(9, events.Promote{}, time.Minute)
		e.Epoch = 42
		b.Do(e)
		synctest.Wait()
		if outcome, _, _ := b.only(9); outcome != events.Stale {
			t.Fatalf("promoted under a lease that was released: %s", outcome)
		}
	})
}

// While a renewal with a shorter ttl is under way, the lease may already end sooner.
func TestShorterLeaseCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.hold42()
		b.onStore = func(context.Context, string) error { return backends.ErrUnknown }
		r := b.effect(2, events.RenewLease{TTL: 5 * time.Second}, time.Second)
		r.Epoch = 42
		b.Do(r)
		time.Sleep(6 * time.Second)
		e := b.effect(9, events.Promote{}, time.Minute)
		e.Epoch = 42
		b.Do(e)
		synctest.Wait()
		if outcome, _, _ := b.only(9); outcome != events.Stale {
			t.Fatalf("promoted under a lease that may have ended: %s", outcome)
		}
	})
}

func TestStoreOutcomes(t *testing.T) {
	failures := map[error]events.Outcome{
		nil: events.Done, backends.ErrConflict: events.Lost, backends.ErrNotApplied: events.Failed,
		backends.ErrUnknown: events.Unknown, backends.ErrDenied: events.Denied,
		errors.New("never classified"): events.Unknown, context.DeadlineExceeded: events.Unknown,
	}
	actions := []events.Action{
		events.AcquireLease{TTL: time.Second}, events.RenewLease{TTL: time.Second}, events.ReleaseLease{}, events.HandOverLease{To: "n2"},
		events.PutKey{Key: "status"}, events.DeleteKey{Key: "sync"}, events.PutMember{}, events.ReadDCS{},
	}
	for failure, want := range failures {
		for _, a := range actions {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.lease.Epoch = 5
				b.onStore = func(context.Context, string) error {
					if failure == nil {
						return nil
					}
					return fmt.Errorf("talk to the store with password=hunter2: %w", failure)
				}
				b.Do(b.effect(1, a, time.Second))
				synctest.Wait()
				outcome, text, _ := b.only(1)
				if outcome != want || (text == "") != (failure == nil) {
					t.Errorf("%s with %v: %s (%s), want %s", a.ActionKind(), failure, outcome, text, want)
				}
				if b.called("poke") {
					t.Errorf("%s: PostgreSQL was looked at", a.ActionKind())
				}
			})
		}
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.onServer = func(ctx context.Context, call string, _ any) (events.Result, error) {
			if call == "clone" {
				<-ctx.Done()
				time.Sleep(100 * time.Millisecond) // it tidies up
				return events.Result{}, ctx.Err()
			}
			return events.Result{}, nil
		}
		b.Do(b.effect(1, events.Clone{}, time.Hour))
		synctest.Wait()
		b.Do(b.effect(2, events.StopPostgres{}, time.Minute)) // waits for the slot
		synctest.Wait()
		if b.called("stop") {
			t.Fatal("two effects worked on the data directory")
		}
		b.Do(b.effect(3, events.Cancel{Effect: 99}, 0))
		b.Do(b.effect(4, events.Cancel{Effect: 1}, 0))
		time.Sleep(time.Second)
		if outcome, _, after := b.only(1); outcome != events.Failed || after != 100*time.Millisecond {
			t.Errorf("%s after %v", outcome, after)
		}
		if outcome, _, after := b.only(2); outcome != events.Done || after != 100*time.Millisecond {
			t.Errorf("the next one: %s after %v", outcome, after)
		}
	})
}

// An outcome is posted by the deadline and a moment, whatever the driver and the store do.
func TestOutcomeByTheDeadline(t *testing.T) {
	const within = 10 * time.Second
	for name, stubborn := range map[string]bool{"obeys its context": false, "never returns": true} {
		for _, a := range []events.Action{
			events.Clone{}, events.Promote{}, events.StopPostgres{}, events.ApplyConfig{Document: []byte("{}")}, events.Checkpoint{},
			events.RenewLease{TTL: time.Second}, events.PutKey{Key: "status"}, events.ReadDCS{}, events.ArmGuard{}, events.DisarmGuard{},
			events.AskPeers{Peers: []events.Peer{{Name: "n2"}}},
		} {
			t.Run(string(a.ActionKind())+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					b.hold42()
					hang := make(chan struct{})
					defer close(hang)
					stall := func(ctx context.Context) error {
						if stubborn {
							<-hang
						} else {
							<-ctx.Done()
						}
						return errors.Join(backends.ErrUnknown, ctx.Err())
					}
					b.onServer = func(ctx context.Context, _ string, _ any) (events.Result, error) { return events.Result{}, stall(ctx) }
					b.onStore = func(ctx context.Context, _ string) error { return stall(ctx) }
					b.onGuard = func(ctx context.Context, _ string) error { return stall(ctx) }
					b.onPeer = func(ctx context.Context, p events.Peer) events.PeerStatus {
						return events.PeerStatus{Name: p.Name, Error: stall(ctx).Error()}
					}
					e := b.effect(7, a, within)
					e.Epoch = 42
					b.Do(e)
					if _, ok := a.(events.AskPeers); ok && !stubborn {
						return // its answers are facts of their own: TestPeersAreAskedAtOnce
					}
					time.Sleep(within - 1)
					synctest.Wait()
					if n := len(b.outcome(7)); n != 0 {
						t.Fatalf("%d outcomes before the deadline", n)
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					outcome, _, after := b.only(7)
					if late := after - within; late < 0 || late > defaultMoment {
						t.Errorf("the outcome came %v after the deadline", late)
					}
					want := events.Unknown
					if !stubborn && exclusive(a.ActionKind()) && onServer(a.ActionKind()) {
						want = events.Failed // the driver has given up, and says so
					}
					if outcome != want {
						t.Errorf("%s, want %s", outcome, want)
					}
				})
			})
		}
	}
}

// An effect that hangs keeps the slot: nothing else touches the data directory, and everything still has an outcome.
func TestHungEffectKeepsTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hang := make(chan struct{})
		b.onServer = func(context.Context, string, any) (events.Result, error) { <-hang; return events.Result{}, nil }
		b.Do(b.effect(1, events.Rewind{}, time.Minute))
		synctest.Wait()
		b.Do(b.effect(2, events.StopPostgres{Mode: events.StopKill}, 30*time.Second))
		b.Do(b.effect(3, events.RenewLease{TTL: time.Second}, time.Second))
		b.Do(b.effect(4, events.SyncSlots{}, time.Second))
		time.Sleep(time.Hour)
		for id, want := range map[uint64]events.Outcome{1: events.Unknown, 2: events.Failed, 3: events.Done, 4: events.Unknown} {
			if outcome, text, _ := b.only(id); outcome != want {
				t.Errorf("effect %d: %s (%s), want %s", id, outcome, text, want)
			}
		}
		if b.called("stop") {
			t.Error("two effects worked on the data directory")
		}
		close(hang)
		synctest.Wait()
		b.onServer = nil
		b.Do(b.effect(5, events.StopPostgres{}, time.Minute))
		synctest.Wait()
		if outcome, _, _ := b.only(5); outcome != events.Done {
			t.Errorf("after it had returned: %s", outcome)
		}
		if n := len(b.outcome(1)); n != 1 {
			t.Errorf("the hung effect has %d outcomes", n)
		}
	})
}

func TestPeersAreAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.onPeer = func(ctx context.Context, p events.Peer) events.PeerStatus {
			if p.Name == "frozen" {
				<-ctx.Done()
				return events.PeerStatus{Name: p.Name, Error: ctx.Err().Error()}
			}
			time.Sleep(time.Second)
			return events.PeerStatus{Name: p.Name, Reachable: true}
		}
		b.Do(b.effect(1, events.AskPeers{Peers: []events.Peer{{Name: "n2"}, {Name: "frozen"}, {Name: "n3"}}}, 2*time.Second))
		time.Sleep(time.Hour)
		b.mu.Lock()
		defer b.mu.Unlock()
		got := map[string]time.Duration{}
		for _, p := range b.posted {
			if f, ok := p.fact.(events.PeerAnswered); ok && f.Effect == 1 {
				got[f.Peer.Name] = p.after
			}
		}
		if len(b.posted) != 3 || got["n2"] != time.Second || got["n3"] != time.Second || got["frozen"] != 2*time.Second {
			t.Fatalf("%+v", b.posted)
		}
	})
}

func TestGuardThatFiredIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Do(b.effect(1, events.DisarmGuard{}, time.Second))
		synctest.Wait()
		b.fired = true
		b.Do(b.effect(2, events.DisarmGuard{}, time.Second))
		synctest.Wait()
		if !b.called("disarm") || !b.called("acknowledge") {
			t.Fatalf("called: %v", b.calls)
		}
		b.fence = nil
		b.Do(b.effect(3, events.DisarmGuard{}, time.Second))
		b.Do(b.effect(4, events.ArmGuard{}, time.Second))
		synctest.Wait()
		off, _, _ := b.only(3)
		arm, _, _ := b.only(4)
		if off != events.Done || arm != events.Failed {
			t.Fatalf("without a guard: disarm %s, arm %s", off, arm)
		}
	})
}

func TestWaitJoinsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		done := false
		b.onServer = func(ctx context.Context, _ string, _ any) (events.Result, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			done = true
			return events.Result{}, ctx.Err()
		}
		b.Do(b.effect(1, events.Clone{}, time.Hour))
		synctest.Wait()
		b.stop()
		b.wait()
		if !done {
			t.Fatal("wait did not join the effect")
		}
		b.Do(b.effect(2, events.Promote{}, time.Hour))
		synctest.Wait()
		if len(b.outcome(2)) != 0 || b.called("promote") {
			t.Fatal("an effect was begun after the end")
		}
	})
}
