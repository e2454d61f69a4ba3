package integration

import (
	"testing"

	"github.com/regent-ha/regent/simulations/live"
)

func TestEmbedded(t *testing.T) {
	w := start(t, live.Options{Store: live.Embedded})
	w.play(t, common()...)
}

func TestEtcd(t *testing.T) {
	w := start(t, live.Options{Store: live.Etcd, StoreMembers: 3})
	w.play(t, append(append(common(), scenario{"postgres frozen", postgresFrozen}), outages()...)...) // which the store has no part in
}

func TestNats(t *testing.T) {
	w := start(t, live.Options{Store: live.Nats})
	w.play(t, append(common(), outages()...)...)
}

// common are the scenarios that need nothing of the store but that it works.
func common() []scenario {
	return []scenario{
		{"bootstrap", bootstrap},
		{"switchover to a candidate", switchoverTo},
		{"switchover to anybody", switchoverToAny},
		{"postmaster killed", postmasterKilled},
		{"postmaster killed, no time to start", postmasterKilledNoTime},
		{"member killed", memberKilled},
		{"agent frozen", agentFrozen},
		{"diverged primary rejoins", divergedRejoins},
		{"data emptied", dataEmptied},
		{"full restart", fullRestart},
	}
}

// outages are the scenarios in which an external store fails.
func outages() []scenario {
	return []scenario{
		{"store server killed", storeServerKilled},
		{"store down", storeDown},
		{"store frozen", storeFrozen},
	}
}
