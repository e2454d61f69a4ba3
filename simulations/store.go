package simulations

import (
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/consul"
	"github.com/regent-ha/regent/simulations/stores/etcd"
	"github.com/regent-ha/regent/simulations/stores/kubernetes"
	"github.com/regent-ha/regent/simulations/stores/nats"
	"github.com/regent-ha/regent/simulations/stores/zookeeper"
)

// storeKinds are the models, by the name of their store.
var storeKinds = map[string]func(env kernel.Env, servers int) stores.Model{
	"consul": func(env kernel.Env, servers int) stores.Model {
		return consul.New(env, consul.Config{Servers: servers})
	},
	"etcd":       func(env kernel.Env, servers int) stores.Model { return etcd.New(env, etcd.Options{Servers: servers}) },
	"kubernetes": func(env kernel.Env, servers int) stores.Model { return kubernetes.New(env, servers) },
	"nats":       func(env kernel.Env, servers int) stores.Model { return nats.New(env, nats.Options{Servers: servers}) },
	"zookeeper": func(env kernel.Env, servers int) stores.Model {
		return zookeeper.New(env, zookeeper.Options{Servers: servers})
	},
}

// StoreKinds are the names of the stores that there is a model of, sorted.
func StoreKinds() []string {
	var names []string
	for name := range storeKinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func newStore(kind string, env kernel.Env, servers int) stores.Model {
	build := storeKinds[kind]
	if build == nil {
		panic(fmt.Sprintf("no model of the store %q: there are %v", kind, StoreKinds()))
	}
	return build(env, servers)
}

// SetStore takes all servers of the store down, or starts them again. What they had acknowledged they still hold.
func (w *World) SetStore(up bool) {
	for i := range w.store.Servers() {
		if up {
			w.store.Start(i)
		} else {
			w.store.Kill(i)
		}
	}
	w.net.storeDown = !up
}

// storeUp tells that the store was not taken down.
func (w *World) storeUp() bool { return !w.net.storeDown }

// Cut separates a member from the store, or joins them again.
func (w *World) Cut(name string, cut bool) {
	m := w.Member(name)
	m.line.noRequests, m.line.noAnswers = cut, cut
}

// Wipe empties the store.
func (w *World) Wipe() {
	w.wipedAt = w.Now()
	w.store.Wipe()
}

// wipedWithin tells that the store lost what it had acknowledged not longer ago than d.
func (w *World) wipedWithin(d time.Duration) bool {
	return w.wipedAt != 0 && w.Now().Sub(w.wipedAt) < d
}

// Key is what a key says; none tells that it is absent.
func (w *World) Key(name string) (kv events.KeyValue, there bool) {
	for _, kv := range w.store.Contents().Keys {
		if kv.Key == name {
			return kv, true
		}
	}
	return events.KeyValue{}, false
}

// LeaderKey is what the leader key says.
func (w *World) LeaderKey() string { return w.store.Truth().Holder }
