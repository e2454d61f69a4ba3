package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// held is a lease of ours on the leader key. A key that is attached to one of its ids is ours: ids are
// chosen at random and used for one acquisition only.
type held struct {
	id clientv3.LeaseID
	// term is the raft term in which the lease was granted, zero when it is not known.
	term uint64
	// asked is the ttl in seconds that the lease was asked for, zero when it is not known. The server
	// may have granted more.
	asked int64
	// others are ids that the key may be attached to after a change of ttl with an unknown outcome.
	others []clientv3.LeaseID
}

func (h held) owns(id int64) bool {
	for _, o := range append([]clientv3.LeaseID{h.id}, h.others...) {
		if int64(o) == id {
			return true
		}
	}
	return false
}

func conflict(format string, args ...any) error {
	return backends.Fail(fmt.Sprintf(format, args...), backends.ErrConflict, nil)
}

// seen is a conflict that a read shows.
func seen(format string, args ...any) error {
	return backends.Fail(fmt.Sprintf(format, args...), backends.ErrConflict, errSeen)
}

// granted is a lease that the server created.
type granted struct {
	id     clientv3.LeaseID
	sentAt events.Instant // when it was asked for
	secs   int64          // its ttl
	// term is the raft term in which it was created, or an earlier one where that is not sure.
	term uint64
}

func (g granted) lease(epoch uint64) backends.Lease {
	return backends.Lease{Epoch: epoch, SentAt: g.sentAt, TTL: time.Duration(g.secs) * time.Second}
}

// grant creates a lease.
func (s *Store) grant(ctx context.Context, secs int64) (granted, error) {
	g := granted{id: clientv3.LeaseID(rand.Int64())}
	attempts := 0
	err := s.try(ctx, "grant a lease", repeating, func(ctx context.Context, n *node) error {
		term := n.term.Load() // the leader that creates the lease has this term or a later one
		if attempts++; attempts == 1 {
			g.sentAt, g.term = s.cfg.Now(), term
		}
		g.term = min(g.term, term)
		r, err := n.lease().LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: secs, ID: int64(g.id)})
		switch {
		case err == nil:
			n.saw(r.Header)
			g.secs = r.TTL
		case attempts > 1 && errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseExist):
			g.secs, err = secs, nil // by an earlier attempt
		}
		return err
	})
	return g, err
}

// Prepare grants a lease ahead (C13): of the two synced writes that an acquisition or a handover takes, one is then done.
func (s *Store) Prepare(ctx context.Context, ttl time.Duration) error {
	secs := seconds(ttl)
	g, err := s.grant(ctx, secs)
	if err != nil {
		return fmt.Errorf("prepare: %w", notApplied(err)) // a lease without a key changes nothing
	}
	s.mu.Lock()
	old, had := s.spares[secs]
	s.spares[secs] = g
	s.mu.Unlock()
	if had {
		s.revokeLater(old.id)
	}
	return nil
}

// leaseOf takes the lease that was prepared, if there is one that is fresh, or has one granted.
func (s *Store) leaseOf(ctx context.Context, secs int64) (granted, error) {
	s.mu.Lock()
	p, had := s.spares[secs]
	delete(s.spares, secs)
	s.mu.Unlock()
	if had && s.cfg.Now() < p.sentAt.Add(time.Duration(p.secs)*time.Second/4) {
		return p, nil
	}
	if had {
		s.revokeLater(p.id)
	}
	return s.grant(ctx, secs)
}

// Acquire takes the leader key (C3, C4). With expect the key must also name this member.
func (s *Store) Acquire(ctx context.Context, expect uint64, ttl time.Duration) (backends.Lease, error) {
	g, err := s.leaseOf(ctx, seconds(ttl))
	if err != nil {
		return backends.Lease{}, fmt.Errorf("acquire: %w", notApplied(err)) // a lease without a key changes nothing
	}
	cond := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(s.leader()), "=", 0)}
	if expect != 0 {
		cond = []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.leader()), "=", int64(expect)),
			clientv3.Compare(clientv3.Value(s.leader()), "=", s.cfg.Member)}
	}
	rev, err := s.attach(ctx, "acquire", g.id, s.cfg.Member, cond...)
	if err != nil {
		if !errors.Is(err, backends.ErrUnknown) {
			s.revokeLater(g.id)
		}
		return backends.Lease{}, err
	}
	s.hold(rev, held{id: g.id, term: g.term, asked: seconds(ttl)})
	return g.lease(rev), nil
}

// attach writes value into the leader key with the lease id, under cond, and returns its revision.
func (s *Store) attach(ctx context.Context, op string, id clientv3.LeaseID, value string, cond ...clientv3.Cmp) (uint64, error) {
	var rev uint64
	err := s.try(ctx, op, repeating, func(ctx context.Context, n *node) error {
		r, err := n.kv(leaseLane).Txn(ctx).If(cond...).
			Then(clientv3.OpPut(s.leader(), value, clientv3.WithLease(id))).
			Else(clientv3.OpGet(s.leader())).Commit()
		if err != nil {
			return err
		}
		n.saw(r.Header)
		if r.Succeeded {
			rev = uint64(r.Header.Revision)
			return nil
		}
		kv := only(r.Responses[0].GetResponseRange().Kvs)
		if kv == nil {
			return conflict("no leader key")
		}
		if kv.Lease == int64(id) { // written by an earlier attempt
			rev = uint64(kv.ModRevision)
			return nil
		}
		return conflict("leader is %q at revision %d", kv.Value, kv.ModRevision)
	})
	return rev, err
}

func only(kvs []*mvccpb.KeyValue) *mvccpb.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	return kvs[0]
}

// notApplied makes an unknown outcome a certain one, where what may have been applied changes nothing.
func notApplied(err error) error {
	if errors.Is(err, backends.ErrUnknown) {
		return backends.Fail("no answer", backends.ErrNotApplied, errors.New(err.Error()))
	}
	return err
}

// hold notes the lease of the newest epoch; those of earlier epochs are over.
func (s *Store) hold(epoch uint64, h held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e, old := range s.held {
		if e < epoch {
			s.dropLocked(e, old)
		}
	}
	s.held[epoch] = h
}

// drop forgets a lease that is lost or given up and lets the server forget it too.
func (s *Store) drop(epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.held[epoch]; ok {
		s.dropLocked(epoch, h)
	}
}

func (s *Store) dropLocked(epoch uint64, h held) {
	delete(s.held, epoch)
	s.revokeLater(append(h.others, h.id)...)
}

// holding finds the lease of an epoch: what this store won, or, if the store is new, what the key
// itself shows of this member's lease of that epoch.
func (s *Store) holding(ctx context.Context, op string, epoch uint64) (held, error) {
	s.mu.Lock()
	h, ok := s.held[epoch]
	s.mu.Unlock()
	if ok {
		return h, nil
	}
	err := s.try(ctx, op, repeating, func(ctx context.Context, n *node) error {
		r, err := n.kv(leaseLane).Get(ctx, s.leader())
		if err != nil {
			return err
		}
		n.saw(r.Header)
		kv := only(r.Kvs)
		if kv == nil || uint64(kv.ModRevision) != epoch || string(kv.Value) != s.cfg.Member || kv.Lease == 0 {
			return seen("epoch %d is not held", epoch)
		}
		h = held{id: clientv3.LeaseID(kv.Lease)}
		return nil
	})
	return h, err
}

// owned is the condition that the leader key is attached to a lease.
func (s *Store) owned(id clientv3.LeaseID) clientv3.Cmp {
	return clientv3.Compare(clientv3.LeaseValue(s.leader()), "=", int64(id))
}

// Release deletes the leader key (C7).
func (s *Store) Release(ctx context.Context, epoch uint64) error {
	h, err := s.holding(ctx, "release", epoch)
	if err != nil {
		return err
	}
	err = s.try(ctx, "release", repeating, func(ctx context.Context, n *node) error {
		for _, id := range append([]clientv3.LeaseID{h.id}, h.others...) {
			r, err := n.kv(leaseLane).Txn(ctx).If(s.owned(id)).Then(clientv3.OpDelete(s.leader())).Commit()
			if err != nil {
				return err
			}
			n.saw(r.Header)
			if r.Succeeded {
				return nil
			}
		}
		return conflict("the leader key is not ours")
	})
	if !errors.Is(err, backends.ErrUnknown) && !errors.Is(err, backends.ErrNotApplied) && !errors.Is(err, backends.ErrDenied) {
		s.drop(epoch)
	}
	return err
}

// HandOver names a successor in the leader key (C7).
func (s *Store) HandOver(ctx context.Context, epoch uint64, to string, ttl time.Duration) error {
	h, err := s.holding(ctx, "hand over", epoch)
	if err != nil {
		return err
	}
	if len(h.others) > 0 {
		if h, err = s.settle(ctx, epoch, h); err != nil {
			return err
		}
	}
	g, err := s.leaseOf(ctx, seconds(ttl))
	if err != nil {
		return fmt.Errorf("hand over: %w", notApplied(err))
	}
	_, err = s.attach(ctx, "hand over", g.id, to, s.owned(h.id))
	switch {
	case err == nil:
		s.drop(epoch)
	case errors.Is(err, backends.ErrConflict):
		s.drop(epoch)
		s.revokeLater(g.id)
	case !errors.Is(err, backends.ErrUnknown):
		s.revokeLater(g.id)
	}
	return err
}

// settle finds out which of several leases the key is attached to.
func (s *Store) settle(ctx context.Context, epoch uint64, h held) (held, error) {
	err := s.try(ctx, "read the leader key", repeating, func(ctx context.Context, n *node) error {
		kv, _, err := s.readLeader(ctx, n)
		if err != nil {
			return err
		}
		if kv == nil || !h.owns(kv.Lease) {
			return seen("the leader key is not ours")
		}
		h = s.settled(epoch, h, clientv3.LeaseID(kv.Lease))
		return nil
	})
	return h, err
}
