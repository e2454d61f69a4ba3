package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1, etcdtest.Debian)
	e.EnableAuth(t, "secret")
	s, err := Open(testContext(t), Config{Config: backends.Config{Scope: "x", Member: "n1", Now: bootclock.Now},
		Endpoints: e.Endpoints(), Username: "root", Password: "guess"})
	if s != nil || backends.Classify(err) != events.Denied {
		t.Errorf("open with a wrong password: %v", err)
	}
	none := openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n1")
	defer closeStore(t, none)
	if _, err := none.Put(testContext(t), "config", "{}", 0); backends.Classify(err) != events.Denied {
		t.Errorf("put without a user: %v", err)
	}
	good := openStore(t, Config{Endpoints: e.Endpoints(), Username: "root", Password: "secret"}, "x", "n1")
	defer closeStore(t, good)
	stale := "forgotten"
	good.token.Store(&stale)
	if _, err := good.Put(testContext(t), "config", "{}", 0); err != nil {
		t.Errorf("put with a token that the server has forgotten: %v", err)
	}
}

// facts collects what Watch delivers.
type facts struct {
	mu  sync.Mutex
	all []events.Fact
}

func (f *facts) sink(x events.Fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, x)
}

func (f *facts) snapshots() (all []events.DCSSnapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.all {
		if s, ok := x.(events.DCSSnapshot); ok {
			all = append(all, s)
		}
	}
	return all
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// TestRecreatedStore replaces the store by an empty one under a watcher: its revisions begin anew.
func TestRecreatedStore(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1, etcdtest.Debian)
	s := openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n1")
	defer closeStore(t, s)
	for i := range 20 {
		if _, err := s.Put(testContext(t), "config", fmt.Sprint(i), events.Any); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var f facts
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := s.Watch(ctx, f.sink); err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	defer watching.Wait()
	defer cancel()
	waitFor(t, "first snapshot", func() bool { return len(f.snapshots()) == 1 })
	m := e.Members[0]
	e.Kill(t, m)
	if err := os.RemoveAll(m.Dir); err != nil {
		t.Fatal(err)
	}
	e.Run(t, m)
	e.Ready(t, m)
	waitFor(t, "snapshot of the new store", func() bool {
		all := f.snapshots()
		last := all[len(all)-1]
		return len(all) > 1 && last.Revision < all[0].Revision && len(last.Keys) == 0
	})
}

// TestWatchAfterCompaction begins a watch at a revision that the server has compacted away, as happens to a
// watcher that was cut off for long.
func TestWatchAfterCompaction(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1, etcdtest.Debian)
	s := openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n1")
	defer closeStore(t, s)
	ctx := testContext(t)
	var rev uint64
	for i := range 5 {
		var err error
		if rev, err = s.Put(ctx, "config", fmt.Sprint(i), events.Any); err != nil {
			t.Fatal(err)
		}
	}
	n := s.nodes[0]
	if _, err := pb.NewKVClient(n.conns[dataLane]).Compact(ctx, &pb.CompactionRequest{Revision: int64(rev), Physical: true}); err != nil {
		t.Fatal(err)
	}
	w := &watch{s: s, sink: func(f events.Fact) { t.Errorf("a fact from a compacted watch: %v", f) }, answered: s.cfg.Now()}
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := w.open(receiving, n, 1)
	if err != nil {
		t.Fatal(err)
	}
	responses, ended := make(chan *pb.WatchResponse), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- receive(receiving, stream, responses) })
	defer wg.Wait()
	defer stop()
	if err := w.deliver(&course{revision: 1}, responses, nil, ended); err == nil {
		t.Error("a compacted watch went on")
	}
}

// TestOrphanLeases checks that what is of no use any more does not stay on the server.
func TestOrphanLeases(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1, etcdtest.Debian)
	s, rival := openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n1"), openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n2")
	defer closeStore(t, s)
	defer closeStore(t, rival)
	ctx := testContext(t)
	l, err := s.Acquire(ctx, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := rival.Acquire(ctx, 0, time.Minute); backends.Classify(err) != events.Lost {
			t.Fatalf("acquire of a held key: %v", err)
		}
	}
	for i := range 5 { // each ttl is another lease
		if _, err := s.Renew(ctx, l.Epoch, time.Minute+time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := s.PutMember(ctx, "{}", time.Minute+time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	c := clientv3.NewLeaseFromLeaseClient(s.nodes[0].lease(), nil, time.Second)
	defer func() { _ = c.Close() }() // only read from
	waitFor(t, "end of unused leases: want those of the leader key and the member record only", func() bool {
		r, err := c.Leases(ctx)
		return err == nil && len(r.Leases) == 2
	})
}

func TestParseEndpoint(t *testing.T) {
	for in, want := range map[string]struct {
		addr   string
		secure bool
		bad    bool
	}{
		"h:2379": {"h:2379", false, false}, "h": {"h:2379", false, false}, "http://h:1": {"h:1", false, false},
		"https://h": {"h:2379", true, false}, "https://[::1]:5": {"[::1]:5", true, false}, "[::1]": {"[::1]:2379", false, false},
		"": {bad: true}, "ftp://h": {bad: true}, "http://": {bad: true},
	} {
		addr, secure, err := parseEndpoint(in)
		if addr != want.addr || secure != want.secure || (err != nil) != want.bad {
			t.Errorf("%q: %q, %v, %v", in, addr, secure, err)
		}
	}
}

func TestJudge(t *testing.T) {
	plain := func(c codes.Code) error { return status.Error(c, "x") }
	for _, c := range []struct {
		err   error
		sent  bool
		want  verdict
		class error
	}{
		{rpctypes.ErrGRPCPermissionDenied, true, final, backends.ErrDenied},
		{rpctypes.ErrAuthFailed, true, final, backends.ErrDenied},
		{fmt.Errorf("read: %w", rpctypes.ErrGRPCPermissionDenied), true, final, backends.ErrDenied},
		{fmt.Errorf("read: %w", rpctypes.ErrUserEmpty), true, final, backends.ErrDenied},
		{rpctypes.ErrGRPCNoLeader, true, refused, nil},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, true, ambiguous, nil},
		{rpctypes.ErrGRPCLeaderChanged, true, ambiguous, nil},
		{rpctypes.ErrGRPCStopped, true, ambiguous, nil},
		{rpctypes.ErrGRPCNoSpace, true, final, backends.ErrNotApplied},
		{rpctypes.ErrGRPCRequestTooLarge, true, final, backends.ErrNotApplied},
		{rpctypes.ErrGRPCLeaseNotFound, true, final, backends.ErrNotApplied},
		{plain(codes.Unavailable), false, refused, nil},
		{plain(codes.Unavailable), true, ambiguous, nil},
		{plain(codes.DeadlineExceeded), false, refused, nil},
		{context.DeadlineExceeded, true, ambiguous, nil},
		{conflict("x"), true, final, backends.ErrConflict},
	} {
		got, class := judge(c.err, c.sent)
		if got != c.want || !errors.Is(class, c.class) {
			t.Errorf("%v (sent %v): %v, %v; want %v, %v", c.err, c.sent, got, class, c.want, c.class)
		}
	}
}

func TestSeconds(t *testing.T) {
	for ttl, want := range map[time.Duration]int64{time.Millisecond: 1, time.Second: 1, 1001 * time.Millisecond: 2, 30 * time.Second: 30} {
		if got := seconds(ttl); got != want {
			t.Errorf("%v: %d, want %d", ttl, got, want)
		}
	}
}

func TestOrderPutsSilentServersLast(t *testing.T) {
	now := events.Instant(100)
	s := &Store{cfg: Config{Config: backends.Config{Now: func() events.Instant { return now }}}}
	for _, a := range []string{"a", "b", "c"} {
		s.nodes = append(s.nodes, &node{addr: a})
	}
	order := func() (all []string) {
		for _, n := range s.order() {
			all = append(all, n.addr)
		}
		return all
	}
	s.prefer(s.nodes[1])
	if got := order(); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("order %v", got)
	}
	s.nodes[1].suspect.Store(200)
	if got := order(); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("order %v with b silent", got)
	}
	if now = 200; !slices.Equal(order(), []string{"b", "c", "a"}) {
		t.Errorf("order %v after the suspicion ended", order())
	}
}
