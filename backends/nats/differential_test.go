package nats

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/differential"
	model "github.com/regent-ha/regent/simulations/stores/nats"
)

// beside puts a model beside the servers of a fleet.
func beside(t *testing.T, f *fleet) differential.Real {
	return differential.Real{
		Name: f.column(t),
		Subject: differential.Subject{Kind: "nats", TTL: 2 * time.Second, Now: bootclock.Now,
			Open: func(t testing.TB, scope, member string) backends.Store { return f.open(t, f.config(scope, member)) }},
		Model:      func(env kernel.Env) stores.Model { return model.New(env, model.Options{Servers: len(f.servers)}) },
		CannotFail: []string{"prepare"}, // it does nothing
		Options:    differential.Options{Overwrites: true},
		Unfound:    2, // the server ends messages in ticks, several at once; the model draws each end by itself
	}
}

// The model of the simulations answers as nats-server does.

func TestModelBesideSingle(t *testing.T) {
	t.Parallel()
	differential.Run(t, beside(t, startFleet(t, 1)))
}

func TestModelBesideCluster(t *testing.T) {
	t.Parallel()
	differential.Run(t, beside(t, startFleet(t, 3)))
}
