package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
)

// Store is one member's access to one cluster's directory in a bucket.
type Store struct {
	cfg Config
	dir string // the directory as a KV key, without a dot at its end
	log *zap.Logger

	// lease carries what concerns the leader key, ops everything else (C12).
	lease, ops *link

	ctx  context.Context
	stop context.CancelCauseFunc

	mu      sync.Mutex
	running sync.WaitGroup // calls under way
	closed  bool
	held    *held  // this member's lease, nil when it holds none
	highest uint64 // revision ever seen; an epoch must be above it
	member  record // this member's own record
}

var _ backends.Store = (*Store)(nil)

var errClosed = errors.New("the store is closed")

// Open connects, checks that the servers are new enough and that the bucket is there and sound, and
// creates it where there is none. It keeps trying until ctx ends, unless trying again cannot help.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open nats: %w", err)
	}
	s := &Store{cfg: cfg, dir: encodePath(cfg.Dir()), log: cfg.Log}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	for pace := (pacer{}); ; {
		err := s.connect(ctx)
		if err == nil {
			return s, nil
		}
		s.disconnect()
		if errors.Is(err, backends.ErrDenied) || errors.Is(err, errUnfit) || !pace.wait(ctx) {
			s.stop(errClosed)
			return nil, fmt.Errorf("open nats: %w", err)
		}
	}
}

func (s *Store) connect(ctx context.Context) error {
	for _, c := range []struct {
		into    **link
		purpose string
	}{{&s.lease, "lease"}, {&s.ops, "store"}} {
		l, err := s.dial(ctx, c.purpose)
		if err != nil {
			return err
		}
		*c.into = l
	}
	if err := checkVersion(s.ops.nc.ConnectedServerVersion(), s.ops.nc.ConnectedUrlRedacted()); err != nil {
		return err
	}
	if err := s.ensureBucket(ctx); err != nil {
		return err
	}
	for _, l := range []*link{s.lease, s.ops} {
		stream, err := s.lookAt(ctx, l)
		if err != nil {
			return err
		}
		l.stream = stream
	}
	return nil
}

// dial opens one connection.
func (s *Store) dial(ctx context.Context, purpose string) (*link, error) {
	l := &link{
		name: "KV_" + s.cfg.Bucket, attempts: map[*attempt]struct{}{},
		lost: make(chan struct{}), closed: make(chan struct{}),
	}
	opts, err := s.cfg.options(purpose)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnfit, err)
	}
	opts = append(opts, nats.ErrorHandler(l.onError), nats.DisconnectErrHandler(l.onDisconnect), nats.ReconnectHandler(l.onReconnect),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }))
	if end, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(min(dialTimeout, max(time.Until(end), time.Millisecond))))
	}
	if l.nc, err = nats.Connect(strings.Join(s.cfg.Servers, ","), opts...); err != nil {
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
			return nil, fmt.Errorf("connect: %w: %w", backends.ErrDenied, err)
		}
		return nil, fmt.Errorf("connect: %w: %w", backends.ErrNotApplied, err)
	}
	api := "$JS.API."
	if l.js, err = jetstream.New(l.nc); s.cfg.Domain != "" {
		api = "$JS." + s.cfg.Domain + ".API."
		l.js, err = jetstream.NewWithDomain(l.nc, s.cfg.Domain)
		l.prefix = api
	}
	if err != nil {
		l.end()
		return nil, fmt.Errorf("%w: %w", errUnfit, err)
	}
	l.api = api
	return l, nil
}

// end closes the connection and waits for its last callback.
func (l *link) end() {
	l.nc.Close()
	<-l.closed
}

func (s *Store) disconnect() {
	for _, l := range []*link{s.lease, s.ops} {
		if l != nil {
			l.end()
		}
	}
	s.lease, s.ops = nil, nil
}

// enter joins a call to the store: its context ends with the caller's and with the store.
func (s *Store) enter(ctx context.Context, op string) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, backends.Fail(op, backends.ErrNotApplied, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, backends.Fail(op, backends.ErrNotApplied, errClosed)
	}
	s.running.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(s.ctx, func() { cancel(errClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
		s.running.Done()
	}, nil
}

// Limits tells what JetStream does to leases.
func (s *Store) Limits() backends.Limits {
	return backends.Limits{Kind: "nats", MinTTL: time.Second, WholeSecondTTL: true}
}

// Close ends all calls, waits for them and closes both connections.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop(errClosed)
	s.running.Wait()
	s.disconnect()
	return nil
}

// subject is that of a key of the cluster's directory.
func (s *Store) subject(key string) string { return s.root() + encodePath(key) }

// root is the part of a subject before the key.
func (s *Store) root() string { return "$KV." + s.cfg.Bucket + "." + s.dir + "." }

// saw notes a revision of the store.
func (s *Store) saw(revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.highest = max(s.highest, revision)
}

func (s *Store) highestSeen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.highest
}

// storedTTL is how long a record lives in the store that is to live for ttl.
func (s *Store) storedTTL(ttl time.Duration) time.Duration {
	extra := time.Duration(0)
	if s.cfg.ClockSkew > 0 {
		extra = wholeSeconds(s.cfg.ClockSkew)
	}
	return wholeSeconds(ttl) + extra
}
