package zookeeper

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// The contract in virtual time. A lease ends in (ttl, ttl + tick]; a session that began at a follower is touched once
// more by the follower's next answer to a ping, half a tick later.

func TestContractSingle(t *testing.T) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model {
		return New(env, Options{Servers: 1, TickTime: 500 * time.Millisecond})
	}, conform.Options{TTL: 2 * time.Second, Lateness: time.Second, Seeds: []uint64{0, 1, 2}})
}

func TestContractEnsemble(t *testing.T) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model {
		return New(env, Options{TickTime: 500 * time.Millisecond})
	}, conform.Options{TTL: 2 * time.Second, Lateness: time.Second, Seeds: []uint64{0, 1, 2, 3}})
}

// With ZooKeeper's own default the least ttl is 4 s, and a silent leader is given up after 10 s.
func TestContractEnsembleWithDefaultTicks(t *testing.T) {
	conform.Run(t, func(env kernel.Env, _ string) stores.Model { return New(env, Options{}) },
		conform.Options{Name: "zookeeper-3-tick-2s", TTL: 4 * time.Second, Lateness: 3500 * time.Millisecond,
			Recovery: 25 * time.Second, Seeds: []uint64{0, 1}})
}
