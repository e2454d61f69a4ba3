package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// noLog forgets everything.
type noLog struct{}

func (noLog) Record(events.Input, *events.Decision) {}
func (noLog) Sync(context.Context) error            { return nil }

// house is a set of doors to a real runner and engine, with the bench's executor.
type house struct {
	*bench
	*doors
}

func newHouse(t *testing.T) *house {
	b := newBench(t)
	h := &house{bench: b, doors: &doors{
		store: fakeStore{b}, poke: func() { b.call("poke") }, now: b.clock, reload: func() error { return nil },
		open: map[string]chan events.AnswerOperator{},
	}}
	h.runner = runner.New(runner.Config{
		Engine: engine.New(engine.Options{}), Recorder: noLog{}, Executor: b.executor, Now: b.clock, Wall: time.Now,
	})
	h.doors.post = func(f events.Fact) { h.runner.Post(b.docs.redact(f)) }
	b.executor.post, b.answer = h.doors.post, h.doors.answer
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // joined at the end of the test
		defer close(ended)
		_, _ = h.runner.Run(ctx) // it ends with its context
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return h
}

func (h *house) observed() events.PostgresObserved {
	return events.PostgresObserved{Observation: events.Observation{Sampled: h.clock(), Data: events.DataPresent, Running: true, PID: 7, Answering: true,
		Server: events.Server{InRecovery: true, Timeline: 1, ReplicationState: "streaming", Version: 150000}, Control: events.Control{SystemID: "1", Timeline: 1}}}
}

func (h *house) enter() {
	h.doors.post(events.Started{Member: events.MemberConfig{Name: "n1", Scope: "demo", GuardPolicy: "off"}})
	h.doors.post(events.DCSSnapshot{Revision: 9, Keys: []events.KeyValue{{Key: "initialize", Value: "1", Revision: 1}, {Key: "leader", Value: "n2", Revision: 2}}})
	h.doors.post(h.observed())
	synctest.Wait()
}

func (h *house) openOrders() int {
	h.doors.mu.Lock()
	defer h.doors.mu.Unlock()
	return len(h.open)
}

func TestAskIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a, err := h.Ask(ctx, events.OperatorRequest{Verb: events.AskUnscheduleRestart})
		if err != nil || a.Code != 404 {
			t.Fatalf("%+v, %v: want 404, for no restart is scheduled", a, err)
		}
		b, err := h.Ask(ctx, events.OperatorRequest{Verb: events.AskRestart})
		if err != nil || b.Code != 200 || !h.called("restart") || b.Request == a.Request {
			t.Fatalf("%+v, %v", b, err)
		}
		if n := h.openOrders(); n != 0 {
			t.Fatalf("%d orders are still open", n)
		}
	})
}

func TestAskGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enter()
		h.onServer = func(ctx context.Context, _ string, _ any) (events.Result, error) {
			time.Sleep(5 * time.Second)
			return events.Result{}, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a, err := h.Ask(ctx, events.OperatorRequest{Verb: events.AskRestart}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%+v, %v", a, err)
		}
		if n := h.openOrders(); n != 0 {
			t.Fatalf("%d orders are still open", n)
		}
		time.Sleep(10 * time.Second) // the answer comes to nobody
		synctest.Wait()
		h.doors.answer(events.AnswerOperator{Request: "r1"})
	})
}

func TestFreshWaitsForALookThatBeganLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.enter()
		before := h.observed()
		time.Sleep(time.Second)
		go func() { // ends with its last post
			time.Sleep(time.Second)
			h.doors.post(before) // began before the question
			time.Sleep(time.Second)
			h.doors.post(h.observed())
		}()
		asked := h.clock()
		s := h.Fresh(t.Context())
		if s.Postgres.Sampled < asked || h.clock().Sub(asked) != 2*time.Second || !h.called("poke") {
			t.Fatalf("sampled %v after the question, answered after %v", s.Postgres.Sampled.Sub(asked), h.clock().Sub(asked))
		}
		time.Sleep(time.Nanosecond)
		asked = h.clock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s := h.Fresh(ctx); s == nil || h.clock().Sub(asked) != time.Second {
			t.Fatalf("a PostgreSQL that is not seen: %v after %v", s, h.clock().Sub(asked))
		}
	})
}

func TestPutTellsConflicts(t *testing.T) {
	h := newHouse(t)
	h.onStore = func(context.Context, string) error { return backends.ErrConflict }
	if _, err := h.Put(t.Context(), "config", "{}", 3); !errors.Is(err, httpapi.ErrConflict) || !errors.Is(err, backends.ErrConflict) {
		t.Fatal(err)
	}
	h.onStore = func(context.Context, string) error { return backends.ErrUnknown }
	if _, err := h.Put(t.Context(), "config", "{}", 3); errors.Is(err, httpapi.ErrConflict) || !errors.Is(err, backends.ErrUnknown) {
		t.Fatal(err)
	}
	h.onStore = nil
	if rev, err := h.Put(t.Context(), "config", "{}", 3); rev != 7 || err != nil {
		t.Fatal(rev, err)
	}
}
