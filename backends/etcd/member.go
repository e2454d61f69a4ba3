package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// record is what was last written to this member's record.
type record struct {
	lease clientv3.LeaseID
	secs  int64
	rev   int64
	value string
}

// PutMember writes this member's record (C11). A record that is there with the same value is only prolonged.
func (s *Store) PutMember(ctx context.Context, value string, ttl time.Duration) error {
	s.mu.Lock()
	was := s.member
	s.mu.Unlock()
	now, err := s.putMember(ctx, was, value, seconds(ttl))
	s.mu.Lock()
	s.member = now // also after a failure: the lease it names may be in use
	s.mu.Unlock()
	if err == nil && was.lease != 0 && was.lease != now.lease {
		s.revokeLater(was.lease)
	}
	return err
}

const mostMemberAttempts = 5

func (s *Store) putMember(ctx context.Context, r record, value string, secs int64) (record, error) {
	const op = "put the member record"
	alive, err := s.keepMember(ctx, r, secs)
	if err != nil {
		return r, fmt.Errorf("%s: %w", op, err)
	}
	written := alive && r.rev != 0 && r.value == value
	for range mostMemberAttempts {
		if !alive {
			g, err := s.grant(ctx, secs)
			if err != nil {
				return r, fmt.Errorf("%s: %w", op, notApplied(err))
			}
			r.lease, r.secs, alive, written = g.id, secs, true, false
		}
		done := false
		if written {
			done, r, err = s.checkMember(ctx, r)
			written = false
		} else {
			done, r, err = s.writeMember(ctx, r, value)
		}
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			alive, err = false, nil
		}
		if err != nil || done {
			return r, err
		}
	}
	return r, backends.Fail(op, backends.ErrNotApplied, errors.New("somebody else keeps writing it"))
}

// keepMember prolongs the record's lease and tells whether it can be used on.
func (s *Store) keepMember(ctx context.Context, r record, secs int64) (bool, error) {
	if r.lease == 0 || r.secs != secs {
		return false, nil
	}
	var ttl int64
	err := s.try(ctx, "prolong the lease", repeating, func(ctx context.Context, n *node) error {
		var err error
		ttl, err = n.keepAlive(ctx, r.lease)
		return err
	})
	return ttl > 0, err
}

// checkMember tells whether the record is there as it was written; if not, r has its present revision.
func (s *Store) checkMember(ctx context.Context, r record) (bool, record, error) {
	done := false
	err := s.try(ctx, "read the member record", repeating, func(ctx context.Context, n *node) error {
		resp, err := n.kv(dataLane).Get(ctx, s.key(events.KeyMembers+s.cfg.Member))
		if err != nil {
			return err
		}
		n.saw(resp.Header)
		kv := only(resp.Kvs)
		switch {
		case kv == nil:
			r.rev = 0
		case kv.ModRevision == r.rev && kv.Lease == int64(r.lease):
			done = true
		default:
			r.rev = kv.ModRevision
		}
		return nil
	})
	return done, r, err
}

// writeMember writes the record over the revision that r knows; if there is another, r has it afterwards.
func (s *Store) writeMember(ctx context.Context, r record, value string) (bool, record, error) {
	key := s.key(events.KeyMembers + s.cfg.Member)
	done := false
	err := s.try(ctx, "put the member record", repeating, func(ctx context.Context, n *node) error {
		resp, err := n.kv(dataLane).Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", r.rev)).
			Then(clientv3.OpPut(key, value, clientv3.WithLease(r.lease))).Else(clientv3.OpGet(key)).Commit()
		if err != nil {
			return err
		}
		n.saw(resp.Header)
		if resp.Succeeded {
			r.rev, r.value, done = resp.Header.Revision, value, true
			return nil
		}
		kv := only(resp.Responses[0].GetResponseRange().Kvs)
		switch {
		case kv == nil:
			r.rev = 0
		case kv.Lease == int64(r.lease) && string(kv.Value) == value: // by an earlier attempt
			r.rev, r.value, done = kv.ModRevision, value, true
		default:
			r.rev = kv.ModRevision
		}
		return nil
	})
	return done, r, err
}
