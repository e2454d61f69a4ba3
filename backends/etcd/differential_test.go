package etcd

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/differential"
	model "github.com/regent-ha/regent/simulations/stores/etcd"
)

// drift is more than a look for expired leases takes on a loaded machine.
const drift = 50 * time.Millisecond

// beside puts a model beside the servers of an ensemble.
func beside(t *testing.T, e *etcdtest.Ensemble) differential.Real {
	return differential.Real{
		Name: column(t, e),
		Subject: differential.Subject{Kind: "etcd", TTL: 2 * time.Second, Now: bootclock.Now, Open: func(t testing.TB, scope, member string) backends.Store {
			return openStore(t, Config{Endpoints: e.Endpoints()}, scope, member)
		}},
		Model: func(env kernel.Env) stores.Model {
			return model.New(env, model.Options{Servers: len(e.Members), Drift: drift})
		},
	}
}

// The model of the simulations answers as Debian's etcd does. The tests run side by side: they wait for leases to end, they do not compute.

func TestModelBesideDebianSingle(t *testing.T) {
	t.Parallel()
	differential.Run(t, beside(t, etcdtest.Start(t, 1, etcdtest.Debian)))
}

func TestModelBesideDebianThree(t *testing.T) {
	t.Parallel()
	differential.Run(t, beside(t, etcdtest.Start(t, 3, etcdtest.Debian)))
}

// TestModelBesideHurtServers kills and freezes servers meanwhile: calls may then stay without an answer, but what comes of them is the model's.
func TestModelBesideHurtServers(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3, etcdtest.Debian)
	r, f := beside(t, e), e.Faults()
	r.Faults, r.HurtFor = []backendtest.Fault{f.KillLeader, f.FreezeFollower, f.FreezeLeader}, 3*time.Second
	r.Subject.Steps, r.Options.Late = 60, 40*time.Second
	r.Options.Elections = true
	differential.Run(t, r)
}
