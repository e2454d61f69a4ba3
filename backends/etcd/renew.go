package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
)

// Renew prolongs the lease of epoch (C4, C5). Where etcd's own lease cannot be prolonged, because another ttl is asked for
// or because another raft leader granted it, the key is attached to a new one; the epoch stays.
func (s *Store) Renew(ctx context.Context, epoch uint64, ttl time.Duration) (backends.Lease, error) {
	h, err := s.holding(ctx, "renew", epoch)
	if err != nil {
		return backends.Lease{}, err
	}
	if h.asked != seconds(ttl) {
		return s.renewAnew(ctx, epoch, h, ttl)
	}
	lease, older := backends.Lease{}, false
	err = s.try(ctx, "renew", repeating, func(ctx context.Context, n *node) error {
		var err error
		lease, older, err = s.prolong(ctx, n, epoch, &h)
		return err
	})
	switch {
	case err == nil && older:
		return s.renewAnew(ctx, epoch, h, ttl)
	case errors.Is(err, backends.ErrConflict):
		s.drop(epoch)
	}
	return lease, err
}

// prolong sends a keepalive to n and proves that it counted: the key is still attached to the lease, by
// a read with quorum after the keepalive, and n knew the same leader before and after it. Where older is true an earlier
// leader granted the lease, and what is returned must not be relied on: that leader, if it wakes, may have the lease
// revoked by its own clock, whatever was prolonged since.
func (s *Store) prolong(ctx context.Context, n *node, epoch uint64, h *held) (lease backends.Lease, older bool, err error) {
	for {
		term := n.term.Load()
		sentAt := s.cfg.Now()
		ttl, err := n.keepAlive(ctx, h.id)
		if err != nil {
			return backends.Lease{}, false, err
		}
		kv, head, err := s.readLeader(ctx, n)
		switch {
		case err != nil:
			return backends.Lease{}, false, err
		case kv == nil:
			return backends.Lease{}, false, seen("no leader key")
		case !h.owns(kv.Lease):
			return backends.Lease{}, false, seen("leader is %q at revision %d", kv.Value, kv.ModRevision)
		case kv.Lease != int64(h.id):
			*h = s.settled(epoch, *h, clientv3.LeaseID(kv.Lease))
		case ttl > 0 && head.RaftTerm == term:
			return backends.Lease{Epoch: epoch, SentAt: sentAt, TTL: time.Duration(ttl) * time.Second}, term != h.term, nil
		default:
			// Another term, or a leader that has not applied the grant yet: ask again.
			pause(ctx, 10*time.Millisecond)
		}
	}
}

// keepAlive prolongs a lease and returns its ttl in seconds, zero if there is no such lease.
func (n *node) keepAlive(ctx context.Context, id clientv3.LeaseID) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	stream, err := n.lease().LeaseKeepAlive(ctx)
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	} // after io.EOF the cause comes from Recv
	r, err := stream.Recv()
	switch {
	case err == nil:
		return r.TTL, nil // the header's term is left alone: it is this server's, but not proved by quorum
	case errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound):
		return 0, nil
	}
	return 0, err
}

// readLeader reads the leader key with quorum.
func (s *Store) readLeader(ctx context.Context, n *node) (*mvccpb.KeyValue, *pb.ResponseHeader, error) {
	r, err := n.kv(leaseLane).Get(ctx, s.leader())
	if err != nil {
		return nil, nil, err
	}
	n.saw(r.Header)
	return only(r.Kvs), r.Header, nil
}

// settled notes that the key of epoch is attached to id; the other leases are of no use any more.
func (s *Store) settled(epoch uint64, h held, id clientv3.LeaseID) held {
	now := held{id: id, asked: h.asked}
	if id != h.id {
		now.asked = 0 // that of another grant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[epoch] = now
	for _, o := range append(h.others, h.id) {
		if o != id {
			s.revokeLater(o)
		}
	}
	return now
}

// renewAnew attaches the key to a new lease.
func (s *Store) renewAnew(ctx context.Context, epoch uint64, h held, ttl time.Duration) (backends.Lease, error) {
	if len(h.others) > 0 {
		var err error
		if h, err = s.settle(ctx, epoch, h); err != nil {
			return backends.Lease{}, err
		}
	}
	g, err := s.grant(ctx, seconds(ttl))
	if err != nil {
		return backends.Lease{}, fmt.Errorf("renew with a new lease: %w", notApplied(err))
	}
	_, err = s.attach(ctx, "renew with a new lease", g.id, s.cfg.Member, s.owned(h.id))
	switch {
	case err == nil:
		s.mu.Lock()
		s.held[epoch] = held{id: g.id, term: g.term, asked: seconds(ttl)}
		s.mu.Unlock()
		s.revokeLater(h.id)
		return g.lease(epoch), nil
	case errors.Is(err, backends.ErrUnknown):
		s.mu.Lock()
		if now, ok := s.held[epoch]; ok || h.asked == 0 {
			if !ok {
				now = h
			}
			now.others = append(slices.Clone(now.others), g.id)
			s.held[epoch] = now
		}
		s.mu.Unlock()
	case errors.Is(err, backends.ErrConflict):
		s.drop(epoch)
		s.revokeLater(g.id)
	default:
		s.revokeLater(g.id)
	}
	return backends.Lease{}, err
}

// revokeLater lets the server forget leases that are of no use any more. When it cannot be done soon they end by
// themselves.
func (s *Store) revokeLater(ids ...clientv3.LeaseID) {
	for _, id := range ids {
		select {
		case s.revoke <- id:
		default:
		}
	}
}

// revokeLoop runs until the store is closed; Close waits for it.
func (s *Store) revokeLoop() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case id := <-s.revoke:
			ctx, cancel := context.WithTimeout(s.ctx, revokeTimeout)
			err := s.try(ctx, "revoke a lease", repeating, func(ctx context.Context, n *node) error {
				_, err := n.lease().LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: int64(id)})
				return err
			})
			cancel()
			if err != nil { // changes nothing: the lease is not used and ends by itself
				s.cfg.Log.Debug("a lease is left to end by itself", zap.Error(err))
			}
		}
	}
}

const revokeTimeout = 2 * time.Second
