package differential_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
	"github.com/regent-ha/regent/simulations/stores/consul"
	"github.com/regent-ha/regent/simulations/stores/differential"
	"github.com/regent-ha/regent/simulations/stores/etcd"
	"github.com/regent-ha/regent/simulations/stores/kubernetes"
	"github.com/regent-ha/regent/simulations/stores/nats"
	"github.com/regent-ha/regent/simulations/stores/zookeeper"
)

type subject struct {
	name  string
	build differential.Build
	ttl   time.Duration
	o     differential.Options
	// cannotFail are kinds of calls that ask the store nothing.
	cannotFail []string
}

var idlePrepare = []string{"prepare"}

// most is how many histories are made at most until everything has succeeded and failed.
const most = 40

var subjects = []subject{
	{name: "etcd", ttl: 2 * time.Second, build: func(env kernel.Env) stores.Model { return etcd.New(env, etcd.Options{Servers: 1}) }},
	{name: "etcd-3", ttl: 2 * time.Second, build: func(env kernel.Env) stores.Model { return etcd.New(env, etcd.Options{Servers: 3}) }},
	{name: "nats", cannotFail: idlePrepare, ttl: 2 * time.Second,
		build: func(env kernel.Env) stores.Model { return nats.New(env, nats.Options{}) }},
	{name: "nats-3", cannotFail: idlePrepare, ttl: 2 * time.Second,
		build: func(env kernel.Env) stores.Model { return nats.New(env, nats.Options{Servers: 3}) }},
	{name: "consul", ttl: 10 * time.Second, o: differential.Options{Merges: true},
		build: func(env kernel.Env) stores.Model { return consul.New(env, consul.Config{}) }},
	{name: "zookeeper", ttl: 4 * time.Second, o: differential.Options{Merges: true},
		build: func(env kernel.Env) stores.Model { return zookeeper.New(env, zookeeper.Options{}) }},
	{name: "kubernetes", cannotFail: idlePrepare, ttl: 2 * time.Second, o: differential.Options{Merges: true},
		build: func(env kernel.Env) stores.Model { return kubernetes.New(env, 1) }},
}

// record lets the model play the real store, in virtual time.
func record(t *testing.T, s subject, seed uint64) (h *differential.History) {
	synctest.Test(t, func(t *testing.T) {
		env := conform.NewEnv(t, seed)
		var m stores.Model
		env.Do(func() { m = s.build(env) })
		time.Sleep(10 * time.Second) // of virtual time, for the first election
		h = differential.Record(t, differential.Subject{Kind: s.name, TTL: s.ttl, Now: env.Now,
			Open: func(t testing.TB, _, member string) backends.Store {
				return conform.Open(t, env, m, member, &conform.Line{Env: env, Least: 100 * time.Microsecond, Most: time.Millisecond})
			}}, "x", seed)
	})
	return h
}

func TestAModelAdmitsItself(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			covered, tries := differential.Coverage{}, 0
			for seed := uint64(1); seed <= 8 || seed <= most && len(covered.Missing(s.cannotFail...)) > 0; seed++ {
				h := record(t, s, seed)
				covered.Add(h)
				v := differential.Admits(s.build, h, s.o)
				tries += v.Tries
				if !v.OK {
					t.Error(v.Report(h))
				}
			}
			t.Logf("%d runs of the model\n%s", tries, covered)
			if missing := covered.Missing(s.cannotFail...); len(missing) > 0 {
				t.Error(missing)
			}
		})
	}
}

// TestWrongModelsAreFound: each wrong variant is reported, and the report is short.
func TestWrongModelsAreFound(t *testing.T) {
	for _, s := range subjects[:3:3] {
		for _, wrong := range differential.Wrongs {
			t.Run(fmt.Sprintf("%s, and %s", s.name, wrong.Name), func(t *testing.T) {
				for seed := uint64(1); seed <= 20; seed++ {
					h := record(t, s, seed)
					if v := differential.Admits(wrong.Build(s.build), h, differential.Options{Tries: 100}); !v.OK {
						t.Logf("found with seed %d\n%s", seed, v.Report(h))
						return
					}
				}
				t.Error("not found in 20 histories")
			})
		}
	}
}
