package etcd

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/backends/etcd/etcdtest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// TestRenewalUnderAnotherLeader lets the former raft leader's last word come after a renewal at the next one: it revokes the
// lease that it granted. The key must not go.
func TestRenewalUnderAnotherLeader(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3, etcdtest.Debian)
	s := openStore(t, Config{Endpoints: e.Endpoints()}, "x", "n1")
	defer closeStore(t, s)
	ctx := testContext(t)
	const ttl = 10 * time.Second
	if _, err := s.Snapshot(ctx); err != nil { // tells the adapter the term
		t.Fatal(err)
	}
	l, err := s.Acquire(ctx, 0, ttl)
	if err != nil {
		t.Fatal(err)
	}
	first := s.held[l.Epoch].id
	if l, err = s.Renew(ctx, l.Epoch, ttl); err != nil || s.held[l.Epoch].id != first {
		t.Fatalf("renewed under the same leader: %v, the lease was %x and is %x", err, first, s.held[l.Epoch].id)
	}
	e.Kill(t, e.Leader(t))
	renewed, err := s.Renew(ctx, l.Epoch, ttl)
	if err != nil || renewed.Epoch != l.Epoch || renewed.SentAt <= l.SentAt {
		t.Fatalf("renewed under another leader: %+v, %v; before it was %+v", renewed, err, l)
	}
	second := s.held[l.Epoch].id
	if first == second {
		t.Fatal("the key stayed with the lease that the former leader granted")
	}
	for _, n := range s.order() {
		if _, err = n.lease().LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: int64(first)}); err == nil {
			break
		}
	}
	t.Logf("the former leader's revocation: %v", err) // it may come after our own
	if again, err := s.Renew(ctx, l.Epoch, ttl); err != nil || s.held[l.Epoch].id != second {
		t.Errorf("renewed after the revocation: %+v, %v, lease %x after %x", again, err, s.held[l.Epoch].id, second)
	}
}
