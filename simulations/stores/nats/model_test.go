package nats

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// The contract in virtual time, on one server and on a cluster; bounds as in backends/nats/contract_test.go.

func TestContractSingle(t *testing.T) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model { return New(env, Options{}) },
		conform.Options{TTL: 2 * time.Second, Lateness: time.Second, Seeds: []uint64{0, 1, 2, 3}})
}

func TestContractCluster(t *testing.T) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model { return New(env, Options{Servers: 3}) },
		conform.Options{TTL: 5 * time.Second, Lateness: time.Second, Recovery: 25 * time.Second, Seeds: []uint64{0, 1, 2, 3}})
}
