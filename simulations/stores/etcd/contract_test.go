package etcd_test

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
	"github.com/regent-ha/regent/simulations/stores/etcd"
)

func contract(t *testing.T, servers int) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model {
		return etcd.New(env, etcd.Options{Servers: servers})
	}, conform.Options{
		Seeds: []uint64{0, 1, 2, 3},
		Line: func(env kernel.Env, _ string) stores.Line {
			return &conform.Line{Env: env, Least: 100 * time.Microsecond, Most: 2 * time.Millisecond}
		},
	})
}

func TestContractSingle(t *testing.T) { contract(t, 1) }

func TestContractThree(t *testing.T) { contract(t, 3) }
