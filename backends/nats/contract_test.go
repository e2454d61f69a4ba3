package nats

import (
	"fmt"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
)

// column is the name of a fleet in the matrix.
func (f *fleet) column(t *testing.T) string {
	return fmt.Sprintf("nats-%d@%s", len(f.servers), f.admin(t).Conn().ConnectedServerVersion())
}

func (f *fleet) harness(t *testing.T) backendtest.Harness {
	all := func(testing.TB) []*server { return f.servers }
	return backendtest.Harness{
		Name: f.column(t),
		Open: func(t testing.TB, scope, member string) backends.Store { return f.open(t, f.config(scope, member)) },
		Denied: func(t testing.TB, scope, member string) backends.Store {
			cfg := f.config(scope, member)
			cfg.User = readerUser
			return f.open(t, cfg)
		},
		Lateness: time.Second,
		Faults:   backendtest.Faults{FreezeAll: freeze(all), KillAll: crash(all)},
	}
}

// The contract on one server, and on a cluster with three replicas. They run at the same time.

func TestContractSingle(t *testing.T) {
	t.Parallel()
	h := startFleet(t, 1).harness(t)
	h.TTL = 2 * time.Second
	backendtest.Run(t, h)
}

func TestContractCluster(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 3)
	h := f.harness(t)
	h.TTL = 5 * time.Second
	// Elections take 5 to 8 s, and a healed member of a cluster that was gone as a whole has one more to wait for.
	h.Recovery = 25 * time.Second
	leader := func(t testing.TB) []*server { return []*server{f.leader(t)} }
	follower := func(t testing.TB) []*server { return f.followers(t)[:1] }
	h.Faults.KillLeader, h.Faults.FreezeLeader = crash(leader), freeze(leader)
	h.Faults.FreezeFollower = freeze(follower)
	t.Run("adapter", func(t *testing.T) {
		for name, run := range map[string]func(*testing.T, *fleet){
			"renewals at the end": renewalsAtTheEnd, "renewal latency": renewalLatency, "concurrent renewals": concurrentRenewals, "recreated bucket": recreatedBucket,
		} {
			t.Run(name, func(t *testing.T) { run(t, f) })
		}
	})
	backendtest.Run(t, h)
}
