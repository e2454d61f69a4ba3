package agent

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// bench is an executor between fakes. What is called is written down; what a call does is up to its hook.
type bench struct {
	*executor
	t     *testing.T
	begin time.Time
	stop  context.CancelFunc

	mu     sync.Mutex
	calls  []string
	posted []post

	// The hooks get the name of the call and may block; a nil hook succeeds at once.
	onServer func(ctx context.Context, call string, arg any) (events.Result, error)
	onStore  func(ctx context.Context, call string) error
	onGuard  func(ctx context.Context, call string) error
	onPeer   func(ctx context.Context, p events.Peer) events.PeerStatus
	lease    backends.Lease // what Acquire and Renew win
	snapshot events.DCSSnapshot
	written  map[string]string
	fired    bool
}

type post struct {
	after time.Duration
	fact  events.Fact
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, begin: time.Now(), written: map[string]string{}}
	docs := newDocuments()
	b.executor = &executor{
		now: b.clock, store: fakeStore{b}, driver: fakeDriver{b}, fence: fakeFence{b}, peers: fakePeers{b}, docs: docs,
		log: zap.NewNop(), slot: make(chan struct{}, 1), cancels: map[uint64]context.CancelFunc{},
		post: func(f events.Fact) {
			clean := docs.redact(f)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.posted = append(b.posted, post{time.Since(b.begin), clean})
		},
		answer: func(events.AnswerOperator) {},
	}
	b.base, b.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { b.stop(); b.wait() })
	return b
}

func (b *bench) clock() events.Instant { return events.Instant(1e12).Add(time.Since(b.begin)) }

func (b *bench) call(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, name)
}

func (b *bench) called(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.calls, name)
}

// effect is one with that much time.
func (b *bench) effect(id uint64, a events.Action, within time.Duration) events.Effect {
	return events.Effect{ID: id, Deadline: b.clock().Add(within), Action: a}
}

// outcome returns the outcomes of an effect that were posted, and when.
func (b *bench) outcome(id uint64) (found []post) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		switch f := p.fact.(type) {
		case events.EffectFinished:
			if f.Effect == id {
				found = append(found, p)
			}
		case events.LeaseOutcome:
			if f.Effect == id {
				found = append(found, p)
			}
		}
	}
	return found
}

// only returns the one outcome of an effect.
func (b *bench) only(id uint64) (events.Outcome, string, time.Duration) {
	b.t.Helper()
	found := b.outcome(id)
	if len(found) != 1 {
		b.t.Fatalf("effect %d has %d outcomes, want one: %+v", id, len(found), found)
	}
	switch f := found[0].fact.(type) {
	case events.EffectFinished:
		return f.Outcome, f.Error, found[0].after
	case events.LeaseOutcome:
		return f.Outcome, f.Error, found[0].after
	}
	return "", "", 0
}

type fakeDriver struct{ b *bench }

func (d fakeDriver) do(ctx context.Context, call string, arg any) (events.Result, error) {
	d.b.call(call)
	if d.b.onServer == nil {
		return events.Result{}, nil
	}
	return d.b.onServer(ctx, call, arg)
}

func (d fakeDriver) Bootstrap(ctx context.Context, _ func(string)) (events.Result, error) {
	return d.do(ctx, "bootstrap", nil)
}

func (d fakeDriver) Clone(ctx context.Context, from events.Upstream, _ bool, _ func(string)) (events.Result, error) {
	return d.do(ctx, "clone", from)
}

func (d fakeDriver) Start(ctx context.Context, a events.StartPostgres, _ func(string)) (events.Result, error) {
	return d.do(ctx, "start", a)
}

func (d fakeDriver) Stop(ctx context.Context, a events.StopPostgres, _ func(string)) (events.Result, error) {
	return d.do(ctx, "stop", a)
}

func (d fakeDriver) Restart(ctx context.Context, a events.RestartPostgres, _ func(string)) (events.Result, error) {
	return d.do(ctx, "restart", a)
}

func (d fakeDriver) Promote(ctx context.Context, progress func(string)) (events.Result, error) {
	progress("promoting with password=hunter2")
	return d.do(ctx, "promote", nil)
}

func (d fakeDriver) Follow(ctx context.Context, a events.Follow, _ func(string)) (events.Result, error) {
	return d.do(ctx, "follow", a)
}

func (d fakeDriver) Checkpoint(ctx context.Context, _ func(string)) (events.Result, error) {
	return d.do(ctx, "checkpoint", nil)
}

func (d fakeDriver) CheckDivergence(ctx context.Context, leader events.Upstream, _ func(string)) (events.Result, error) {
	return d.do(ctx, "check divergence", leader)
}

func (d fakeDriver) CrashRecover(ctx context.Context, _ func(string)) (events.Result, error) {
	return d.do(ctx, "crash recover", nil)
}

func (d fakeDriver) Rewind(ctx context.Context, from events.Upstream, _ func(string)) (events.Result, error) {
	return d.do(ctx, "rewind", from)
}

func (d fakeDriver) SyncSlots(ctx context.Context, members, _ []string, _ func(string)) (events.Result, error) {
	return d.do(ctx, "sync slots", members)
}

func (d fakeDriver) ApplyConfig(ctx context.Context, document json.RawMessage, _ func(string)) (events.Result, error) {
	return d.do(ctx, "apply config", string(document))
}

func (d fakeDriver) Poke() { d.b.call("poke") }

type fakeStore struct{ b *bench }

func (s fakeStore) do(ctx context.Context, call string) error {
	s.b.call(call)
	if s.b.onStore == nil {
		return nil
	}
	return s.b.onStore(ctx, call)
}

func (s fakeStore) Watch(ctx context.Context, _ func(events.Fact)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s fakeStore) Snapshot(ctx context.Context) (events.DCSSnapshot, error) {
	return s.b.snapshot, s.do(ctx, "snapshot")
}

func (s fakeStore) Acquire(ctx context.Context, _ uint64, ttl time.Duration) (backends.Lease, error) {
	l := s.b.lease
	l.SentAt, l.TTL = s.b.clock(), ttl
	return l, s.do(ctx, "acquire")
}

func (s fakeStore) Prepare(ctx context.Context, _ time.Duration) error { return s.do(ctx, "prepare") }

func (s fakeStore) Renew(ctx context.Context, _ uint64, ttl time.Duration) (backends.Lease, error) {
	l := s.b.lease
	l.SentAt, l.TTL = s.b.clock(), ttl
	return l, s.do(ctx, "renew")
}

func (s fakeStore) Release(ctx context.Context, _ uint64) error { return s.do(ctx, "release") }

func (s fakeStore) HandOver(ctx context.Context, _ uint64, _ string, _ time.Duration) error {
	return s.do(ctx, "hand over")
}

func (s fakeStore) Put(ctx context.Context, key, value string, _ int64) (uint64, error) {
	err := s.do(ctx, "put")
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.written[key] = value
	return 7, err
}

func (s fakeStore) Delete(ctx context.Context, _ string, _ int64) error { return s.do(ctx, "delete") }

func (s fakeStore) PutMember(ctx context.Context, _ string, _ time.Duration) error {
	return s.do(ctx, "put member")
}

func (s fakeStore) Limits() backends.Limits { return backends.Limits{Kind: "fake"} }
func (s fakeStore) Close() error            { return nil }

type fakeFence struct{ b *bench }

func (f fakeFence) do(ctx context.Context, call string) error {
	f.b.call(call)
	if f.b.onGuard == nil {
		return nil
	}
	return f.b.onGuard(ctx, call)
}

func (f fakeFence) Arm(ctx context.Context, _ events.Instant) error { return f.do(ctx, "arm") }
func (f fakeFence) Disarm(ctx context.Context) error                { return f.do(ctx, "disarm") }
func (f fakeFence) AcknowledgeFired(ctx context.Context) error      { return f.do(ctx, "acknowledge") }
func (f fakeFence) State() events.GuardTick                         { return events.GuardTick{Alive: true, Fired: f.b.fired} }

type fakePeers struct{ b *bench }

func (p fakePeers) PeerStatus(ctx context.Context, peer events.Peer) events.PeerStatus {
	if p.b.onPeer == nil {
		return events.PeerStatus{Name: peer.Name, Reachable: true}
	}
	return p.b.onPeer(ctx, peer)
}
