package embedded

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/differential"
	model "github.com/regent-ha/regent/simulations/stores/etcd"
)

// TestModelBesideEmbedded: the model of the simulations answers as the embedded etcd does.
func TestModelBesideEmbedded(t *testing.T) {
	e := etcdtest.Start(t, 3, process)
	differential.Run(t, differential.Real{
		Name: "etcd-embedded-3@" + e.Version(t),
		Subject: differential.Subject{Kind: "etcd embedded", TTL: 2 * time.Second, Now: bootclock.Now, Open: func(t testing.TB, scope, member string) backends.Store {
			return openStore(t, etcd.Config{Endpoints: e.Endpoints()}, scope, member)
		}},
		Model: func(env kernel.Env) stores.Model { return model.New(env, model.Options{Servers: 3}) },
	})
}
