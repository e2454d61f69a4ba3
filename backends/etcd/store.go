package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// Store is one member's access to one cluster's directory in etcd. It implements backends.Store.
type Store struct {
	cfg   Config
	dir   string
	nodes []*node
	first atomic.Int32 // index of the node that answered last
	token atomic.Pointer[string]

	// ctx ends when the store is closed; calls counts what runs.
	ctx    context.Context
	cancel context.CancelCauseFunc
	calls  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	held   map[uint64]held // leases of ours by epoch
	member record
	spares map[int64]granted // by the ttl that was asked for, in seconds

	revoke chan clientv3.LeaseID
}

var _ backends.Store = (*Store)(nil)

var errClosed = errors.New("the store is closed")

// Open prepares access and begins to connect. It fails only if the configuration cannot be right;
// servers that cannot be reached are no failure: Watch tells of them. With a user name it asks, as
// long as ctx allows, whether the password is accepted, and fails with ErrDenied if it is not.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, fmt.Errorf("open etcd: %w", err)
	}
	targets, err := cfg.targets()
	if err != nil {
		return nil, fmt.Errorf("open etcd: %w", err)
	}
	s := &Store{cfg: cfg, dir: cfg.Dir(), held: map[uint64]held{}, spares: map[int64]granted{}, revoke: make(chan clientv3.LeaseID, 64)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	for _, t := range targets {
		n, err := dial(t, cfg.DialTimeout)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open etcd: %w", err), s.Close())
		}
		s.nodes = append(s.nodes, n)
	}
	s.first.Store(int32(rand.IntN(len(s.nodes)))) // so that members spread over the servers
	s.calls.Go(s.revokeLoop)
	if cfg.Username != "" {
		err := s.try(ctx, "authenticate", repeating, func(ctx context.Context, n *node) error {
			_, err := s.authenticate(ctx, n)
			return err
		})
		if errors.Is(err, backends.ErrDenied) {
			return nil, errors.Join(fmt.Errorf("open etcd: %w", err), s.Close())
		}
	}
	return s, nil
}

// Close ends everything and waits for it (see backends.Store).
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.cancel(errClosed)
	s.calls.Wait()
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close etcd: %w", err)
	}
	return nil
}

// Limits tells what etcd does to leases.
func (s *Store) Limits() backends.Limits {
	return backends.Limits{Kind: "etcd", MinTTL: s.cfg.MinTTL, WholeSecondTTL: true}
}

// enter registers a call: its context ends with the store too, and Close waits for it.
func (s *Store) enter(ctx context.Context) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed
	}
	s.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(errClosed) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
		s.calls.Done()
	}, nil
}

// order is in which the servers are tried: the one that answered last, then the others, and those that
// failed to answer a moment ago at the end.
func (s *Store) order() []*node {
	now := s.cfg.Now()
	first := int(s.first.Load())
	good, bad := make([]*node, 0, len(s.nodes)), []*node(nil)
	for i := range s.nodes {
		n := s.nodes[(first+i)%len(s.nodes)]
		if n.suspectAt(now) {
			bad = append(bad, n)
		} else {
			good = append(good, n)
		}
	}
	return append(good, bad...)
}

func (s *Store) prefer(n *node) {
	for i := range s.nodes {
		if s.nodes[i] == n {
			s.first.Store(int32(i))
		}
	}
}

func (s *Store) key(name string) string { return s.dir + name }

func (s *Store) leader() string { return s.key(events.KeyLeader) }

// Snapshot reads the directory with quorum (C2).
func (s *Store) Snapshot(ctx context.Context) (events.DCSSnapshot, error) {
	var snap events.DCSSnapshot
	err := s.try(ctx, "read the directory", repeating, func(ctx context.Context, n *node) error {
		var err error
		snap, err = s.read(ctx, n)
		return err
	})
	return snap, err
}

func (s *Store) read(ctx context.Context, n *node) (events.DCSSnapshot, error) {
	r, err := n.kv(dataLane).Get(ctx, s.dir, clientv3.WithPrefix())
	if err != nil {
		return events.DCSSnapshot{}, err
	}
	n.saw(r.Header)
	snap := events.DCSSnapshot{Revision: uint64(r.Header.Revision), Term: r.Header.RaftTerm, Keys: make([]events.KeyValue, 0, len(r.Kvs))}
	for _, kv := range r.Kvs {
		snap.Keys = append(snap.Keys, s.keyValue(kv))
	}
	return snap, nil
}

func (s *Store) keyValue(kv *mvccpb.KeyValue) events.KeyValue {
	return events.KeyValue{Key: strings.TrimPrefix(string(kv.Key), s.dir), Value: string(kv.Value), Revision: uint64(kv.ModRevision)}
}

// Put writes a key under a condition (C8).
func (s *Store) Put(ctx context.Context, key, value string, expect int64) (uint64, error) {
	var rev uint64
	err := s.write(ctx, "put "+key, key, expect, clientv3.OpPut(s.key(key), value), func(r *clientv3.TxnResponse) error {
		rev = uint64(r.Header.Revision)
		return nil
	})
	return rev, err
}

// Delete removes a key under a condition (C8).
func (s *Store) Delete(ctx context.Context, key string, expect int64) error {
	return s.write(ctx, "delete "+key, key, expect, clientv3.OpDelete(s.key(key)), func(*clientv3.TxnResponse) error { return nil })
}

func (s *Store) write(ctx context.Context, op, key string, expect int64, do clientv3.Op, done func(*clientv3.TxnResponse) error) error {
	var conds []clientv3.Cmp
	r := once
	if expect != events.Any {
		conds = append(conds, clientv3.Compare(clientv3.ModRevision(s.key(key)), "=", expect))
	}
	if expect > 0 {
		r = repeating // revisions do not come back, so a late first attempt cannot be applied after a second
	}
	return s.try(ctx, op, r, func(ctx context.Context, n *node) error {
		resp, err := n.kv(dataLane).Txn(ctx).If(conds...).Then(do).Commit()
		if err != nil {
			return err
		}
		n.saw(resp.Header)
		if !resp.Succeeded {
			return backends.Fail(fmt.Sprintf("%s at revision %d", key, expect), backends.ErrConflict, nil)
		}
		return done(resp)
	})
}

// seconds is a ttl as etcd keeps it.
func seconds(ttl time.Duration) int64 { return max(1, int64((ttl+time.Second-1)/time.Second)) }
