package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

// What the contract cannot see: the form of what is in the stream, and what this store alone can do
// wrong. Cases that need a bucket to themselves have a namespace of their own.

func TestAdapter(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 1)
	for name, run := range map[string]func(*testing.T, *fleet){
		"every lease message has a ttl": leaseMessagesHaveTTL, "late renewal": lateRenewal, "lost answers": lostAnswers,
		"recreated bucket": recreatedBucket, "foreign bucket": foreignBucket, "sequences that went back": sequencesWentBack,
		"unfit bucket": correctedBucket, "clock skew": clockSkew, "renewals at the end": renewalsAtTheEnd,
		"renewal latency": renewalLatency, "wrong password": wrongPassword, "concurrent renewals": concurrentRenewals,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); run(t, f) })
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// opened opens a store for the length of the test.
func (f *fleet) opened(t testing.TB, cfg Config) *Store {
	t.Helper()
	s := f.open(t, cfg)
	t.Cleanup(func() { ok(t, s.Close()) })
	return s
}

// of is a configuration with a bucket to itself.
func (f *fleet) of(namespace, member string) Config {
	cfg := f.config("scope", member)
	cfg.Namespace = namespace
	return cfg
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func conflict(t testing.TB, err error) {
	t.Helper()
	if backends.Classify(err) != events.Lost {
		t.Fatalf("want a conflict, got %v", err)
	}
}

func acquire(t testing.TB, s *Store, expect uint64, ttl time.Duration) backends.Lease {
	t.Helper()
	l, err := s.Acquire(within(t, 10*time.Second), expect, ttl)
	ok(t, err)
	return l
}

func renew(t testing.TB, s *Store, epoch uint64, ttl time.Duration) backends.Lease {
	t.Helper()
	l, err := s.Renew(within(t, 10*time.Second), epoch, ttl)
	ok(t, err)
	return l
}

// rawKey reads a key past the adapter.
func rawKey(t testing.TB, js jetstream.JetStream, s *Store, key string) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := js.Stream(within(t, 10*time.Second), s.ops.name)
	ok(t, err)
	m, err := stream.GetLastMsgForSubject(within(t, 10*time.Second), s.subject(key))
	ok(t, err)
	return m
}

func leaseMessagesHaveTTL(t *testing.T, f *fleet) {
	js := f.admin(t)
	a, b := f.opened(t, f.config("ttl", "n1")), f.opened(t, f.config("ttl", "n2"))
	ctx := within(t, 20*time.Second)
	check := func(what, key, want string) {
		t.Helper()
		if got := rawKey(t, js, a, key).Header.Get(ttlHeader); got != want {
			t.Errorf("after %s the ttl of %s in the store is %q, want %q", what, key, got, want)
		}
	}
	l := acquire(t, a, 0, 2500*time.Millisecond)
	check("acquire", events.KeyLeader, "3s")
	if l.TTL != 3*time.Second {
		t.Errorf("asked for 2.5 s, granted %v, want it rounded up", l.TTL)
	}
	for range 3 {
		renew(t, a, l.Epoch, 5*time.Second)
		check("renew", events.KeyLeader, "5s")
	}
	if got := rawKey(t, js, a, events.KeyLeader); got.Sequence == l.Epoch || string(got.Data) != "n1" {
		t.Errorf("after renewals the key is %q at %d, the epoch %d", got.Data, got.Sequence, l.Epoch)
	}
	ok(t, a.HandOver(ctx, l.Epoch, "n2", 4*time.Second))
	check("handover", events.KeyLeader, "4s")
	next := acquire(t, b, rawKey(t, js, a, events.KeyLeader).Sequence, 6*time.Second)
	check("claim", events.KeyLeader, "6s")
	ok(t, b.Release(ctx, next.Epoch))
	check("release", events.KeyLeader, "60s") // of the marker
	for range 2 {
		ok(t, a.PutMember(ctx, "{}", 7*time.Second))
		check("put member", "members/n1", "7s")
	}
	_, err := a.Put(ctx, "config", "{}", events.Any)
	ok(t, err)
	check("put", "config", "")
}

// lateRenewal: a renewal that was acknowledged when its predecessor may have expired is written once more.
func lateRenewal(t *testing.T, f *fleet) {
	var ahead atomic.Int64
	cfg := f.of("late", "n1")
	cfg.Now = func() events.Instant { return bootclock.Now() + events.Instant(ahead.Load()) }
	s, js := f.opened(t, cfg), f.admin(t)
	l := acquire(t, s, 0, 20*time.Second)
	for _, c := range []struct {
		pass time.Duration
		want uint64
	}{{0, 1}, {10 * time.Second, 1}, {19950 * time.Millisecond, 2}, {25 * time.Second, 2}, {0, 1}} {
		before := rawKey(t, js, s, events.KeyLeader).Sequence
		ahead.Add(int64(c.pass))
		r := renew(t, s, l.Epoch, 20*time.Second)
		if r.SentAt > cfg.Now() || r.Epoch != l.Epoch {
			t.Errorf("renewal: %+v", r)
		}
		if n := rawKey(t, js, s, events.KeyLeader).Sequence - before; n != c.want {
			t.Errorf("a renewal after %v took %d writes, want %d", c.pass, n, c.want)
		}
	}
}

// lostAnswers: requests arrive, their answers do not.
func lostAnswers(t *testing.T, f *fleet) {
	p := newProxy(t, f.servers[0].port)
	cfg := f.config("lost", "n1")
	cfg.Servers = []string{p.url()}
	s, rival, js := f.opened(t, cfg), f.opened(t, f.config("lost", "n2")), f.admin(t)
	l := acquire(t, s, 0, 20*time.Second)
	blind := func(what string, call func(context.Context) error) {
		t.Helper()
		before := rawKey(t, js, s, events.KeyLeader).Sequence
		p.mute()
		err := call(within(t, 300*time.Millisecond))
		if backends.Classify(err) != events.Unknown {
			t.Errorf("%s without an answer: %v", what, err)
		}
		p.cut()
		if rawKey(t, js, s, events.KeyLeader).Sequence == before {
			t.Errorf("%s never arrived, which proves nothing", what)
		}
	}
	for range 2 {
		blind("renewal", func(ctx context.Context) error { _, err := s.Renew(ctx, l.Epoch, 20*time.Second); return err })
		renew(t, s, l.Epoch, 20*time.Second)
		renew(t, s, l.Epoch, 20*time.Second)
	}
	blind("release", func(ctx context.Context) error { return s.Release(ctx, l.Epoch) })
	_, err := s.Renew(within(t, 10*time.Second), l.Epoch, 20*time.Second)
	conflict(t, err)

	// A lost answer, and then another member that has the key: lost for sure.
	l = acquire(t, s, 0, 20*time.Second)
	blind("renewal", func(ctx context.Context) error { _, err := s.Renew(ctx, l.Epoch, 20*time.Second); return err })
	ok(t, rival.Delete(within(t, 10*time.Second), events.KeyLeader, events.Any))
	next := acquire(t, rival, 0, 20*time.Second)
	_, err = s.Renew(within(t, 10*time.Second), l.Epoch, 20*time.Second)
	conflict(t, err)

	// A handover whose answer was lost took place: the lease is no longer ours.
	blind("handover of what is not ours", func(ctx context.Context) error {
		err := rival.HandOver(within(t, 5*time.Second), next.Epoch, "n1", 20*time.Second)
		ok(t, err)
		_, err = s.Acquire(ctx, rawKey(t, js, s, events.KeyLeader).Sequence, 20*time.Second)
		if backends.Classify(err) == events.Failed { // the read before the write got no answer
			return backends.ErrUnknown
		}
		return err
	})

	// Inside one call: the answer is lost, the connection comes back, the call finds out.
	l = acquire(t, s, rawKey(t, js, s, events.KeyLeader).Sequence, 20*time.Second)
	p.mute()
	cut := time.AfterFunc(200*time.Millisecond, p.cut)
	defer cut.Stop()
	renew(t, s, l.Epoch, 20*time.Second)
	p.mute()
	cut.Reset(200 * time.Millisecond)
	ok(t, s.Release(within(t, 10*time.Second), l.Epoch))
	p.mute()
	cut.Reset(200 * time.Millisecond)
	rev, err := s.Put(within(t, 10*time.Second), "history", "[]", 0)
	ok(t, err)
	if got := rawKey(t, js, s, "history"); got.Sequence != rev {
		t.Errorf("put said revision %d, the key is at %d", rev, got.Sequence)
	}
}

// recreatedBucket: somebody deletes the bucket under running stores.
func recreatedBucket(t *testing.T, f *fleet) {
	s, js := f.opened(t, f.of("recreated", "n1")), f.admin(t)
	facts := make(chan events.Fact, 256)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := s.Watch(ctx, func(f events.Fact) { facts <- f }); !errors.Is(err, context.Canceled) {
			t.Errorf("watch ended with %v", err)
		}
	})
	defer watching.Wait()
	defer cancel()
	l := acquire(t, s, 0, 20*time.Second)
	_, err := s.Put(within(t, 10*time.Second), "config", "{}", 0)
	ok(t, err)
	awaitSnapshot(t, facts, func(events.DCSSnapshot) bool { return true })
	highest := s.highestSeen()

	ok(t, js.DeleteStream(within(t, 10*time.Second), s.ops.name))
	snap := awaitSnapshot(t, facts, func(snap events.DCSSnapshot) bool { return len(snap.Keys) == 0 })
	if snap.Revision <= highest {
		t.Errorf("the new bucket's revision %d is not above the old one's %d", snap.Revision, highest)
	}
	_, err = s.Renew(within(t, 10*time.Second), l.Epoch, 20*time.Second)
	conflict(t, err)
	again := acquire(t, s, 0, 20*time.Second)
	if again.Epoch <= highest {
		t.Errorf("epoch %d after revision %d", again.Epoch, highest)
	}
	if _, err := s.Put(within(t, 10*time.Second), "config", "{}", int64(highest)); backends.Classify(err) != events.Lost {
		t.Errorf("put with a revision of the former bucket: %v", err)
	}
}

func awaitSnapshot(t *testing.T, facts <-chan events.Fact, fits func(events.DCSSnapshot) bool) events.DCSSnapshot {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case f := <-facts:
			if snap, is := f.(events.DCSSnapshot); is && fits(snap) {
				return snap
			}
		case <-end:
			t.Fatal("no such snapshot")
		}
	}
}

// foreignBucket: a bucket whose sequences begin at one is refused, with a remedy.
func foreignBucket(t *testing.T, f *fleet) {
	_, err := f.admin(t).CreateKeyValue(within(t, 10*time.Second), jetstream.KeyValueConfig{Bucket: "regent-foreign", Storage: jetstream.FileStorage})
	ok(t, err)
	_, err = Open(within(t, 10*time.Second), f.of("foreign", "n1"))
	if !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), "delete it and let regent create it") {
		t.Fatalf("want a refusal with a remedy, got %v", err)
	}
}

// sequencesWentBack: a bucket restored or recreated with old sequences under a running store gives no lease.
func sequencesWentBack(t *testing.T, f *fleet) {
	s, js := f.opened(t, f.of("back", "n1")), f.admin(t)
	l := acquire(t, s, 0, 20*time.Second)
	stream, err := js.Stream(within(t, 10*time.Second), s.ops.name)
	ok(t, err)
	cfg := stream.CachedInfo().Config
	cfg.FirstSeq -= 1_000_000
	ok(t, js.DeleteStream(within(t, 10*time.Second), s.ops.name))
	_, err = js.CreateStream(within(t, 10*time.Second), cfg)
	ok(t, err)
	_, err = s.Acquire(within(t, 10*time.Second), 0, 20*time.Second)
	if backends.Classify(err) != events.Failed || !strings.Contains(err.Error(), "old sequences") {
		t.Fatalf("after epoch %d: %v", l.Epoch, err)
	}
	if got := rawKey(t, js, s, events.KeyLeader); got.Header.Get(operationHeader) != opPurge {
		t.Errorf("the refused lease is still there: %q", got.Data)
	}
}

// correctedBucket: what can be put right in an existing bucket is.
func correctedBucket(t *testing.T, f *fleet) {
	js := f.admin(t)
	_, err := js.CreateStream(within(t, 10*time.Second), jetstream.StreamConfig{
		Name: "KV_regent-unfit", Subjects: []string{"$KV.regent-unfit.>"}, FirstSeq: uint64(time.Now().UnixMicro()),
		AllowDirect: true, MaxMsgsPerSubject: 5, Storage: jetstream.FileStorage,
	})
	ok(t, err)
	s := f.opened(t, f.of("unfit", "n1"))
	stream, err := js.Stream(within(t, 10*time.Second), s.ops.name)
	ok(t, err)
	if cfg := stream.CachedInfo().Config; cfg.AllowDirect || cfg.MaxMsgsPerSubject != 1 || !cfg.AllowMsgTTL || cfg.SubjectDeleteMarkerTTL != markerTTL || !cfg.AllowRollup {
		t.Errorf("the bucket is still %+v", cfg)
	}
	acquire(t, s, 0, 5*time.Second)
}

func clockSkew(t *testing.T, f *fleet) {
	cfg := f.config("skew", "n1")
	cfg.ClockSkew = 1500 * time.Millisecond
	s, js := f.opened(t, cfg), f.admin(t)
	l := acquire(t, s, 0, 5*time.Second)
	if got := rawKey(t, js, s, events.KeyLeader).Header.Get(ttlHeader); got != "7s" || l.TTL != 5*time.Second {
		t.Errorf("promised %v, stored for %s, want 5s and 7s", l.TTL, got)
	}
}

// renewalsAtTheEnd renews leases at the very moment at which they expire: whatever the server answers, a
// renewal that the store reports as won must keep the key for its whole ttl.
func renewalsAtTheEnd(t *testing.T, f *fleet) {
	const ttl, contenders, rounds = time.Second, 12, 4
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for i := range contenders {
		s := f.opened(t, f.config(fmt.Sprintf("end-%d", i), "n1"))
		all.Go(func() {
			for round := range rounds {
				l, err := s.Acquire(within(t, 10*time.Second), 0, ttl)
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				// Spread over the last 30 ms before and the 300 ms after the earliest end.
				at := l.SentAt.Add(ttl + time.Duration((round*contenders+i)*330/(rounds*contenders)-30)*time.Millisecond)
				time.Sleep(at.Sub(bootclock.Now()))
				r, err := s.Renew(within(t, 10*time.Second), l.Epoch, ttl)
				if backends.Classify(err) == events.Lost {
					lost.Add(1)
					continue
				}
				if err != nil {
					t.Errorf("renew: %v", err)
					return
				}
				won.Add(1)
				for end := r.SentAt.Add(ttl - 20*time.Millisecond); bootclock.Now() < end; time.Sleep(50 * time.Millisecond) {
					m, err := s.ops.last(within(t, 5*time.Second), s.subject(events.KeyLeader))
					if now := bootclock.Now(); err == nil && !m.live && now < end {
						t.Errorf("renewed, but gone %v before its end", r.SentAt.Add(ttl).Sub(now))
						break
					}
				}
				if err := s.Release(within(t, 10*time.Second), l.Epoch); err != nil && backends.Classify(err) != events.Lost {
					t.Errorf("release: %v", err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d renewals at the end of a lease won, %d lost", won.Load(), lost.Load())
}

func renewalLatency(t *testing.T, f *fleet) {
	s := f.opened(t, f.config("latency", "n1"))
	l := acquire(t, s, 0, 20*time.Second)
	var took []time.Duration
	for range 200 {
		start := bootclock.Now()
		renew(t, s, l.Epoch, 20*time.Second)
		took = append(took, bootclock.Now().Sub(start))
	}
	slices.Sort(took)
	t.Logf("renewal: p50 %v, p99 %v", took[100], took[198])
}

func wrongPassword(t *testing.T, f *fleet) {
	cfg := f.config("denied", "n1")
	cfg.Password = "wrong"
	start := time.Now()
	_, err := Open(within(t, 20*time.Second), cfg)
	if backends.Classify(err) != events.Denied || time.Since(start) > 10*time.Second {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
}

// concurrentRenewals: two calls at once are both of this lease; neither may take the other for a rival.
func concurrentRenewals(t *testing.T, f *fleet) {
	s := f.opened(t, f.config("concurrent", "n1"))
	l := acquire(t, s, 0, 10*time.Second)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 15 {
				if _, err := s.Renew(within(t, 10*time.Second), l.Epoch, 10*time.Second); err != nil {
					t.Errorf("renew beside other renewals: %v", err)
				}
			}
		})
	}
	all.Wait()
	ok(t, s.Release(within(t, 10*time.Second), l.Epoch))
}
