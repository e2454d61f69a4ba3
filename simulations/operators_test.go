package simulations

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// An order that was replaced stands for as long as the store, without a majority, has not taken the next one.
func TestOrderStandsUntilTheStoreHasTheNext(t *testing.T) {
	w := New(Settings{Seed: 1, Store: "zookeeper", Members: 2, Config: config})
	for _, m := range w.members {
		m.Start()
	}
	if !w.RunUntil(time.Minute, w.Healthy) {
		t.Fatal("no cluster")
	}
	m := w.members[1]
	w.Put(events.KeyFailover, `{"leader":"","member":"n2"}`)
	if kv, _ := w.Key(events.KeyFailover); kv.Value == "" {
		t.Fatal("the store does not have the order")
	}
	w.SetStore(false)
	w.Put(events.KeyFailover, `{"leader":"n2"}`)
	w.Run(20 * time.Second)
	if !w.operators.failoverTo(m) {
		t.Error("the store still says so, and the judge takes it for withdrawn")
	}
	w.SetStore(true)
	w.Run(20 * time.Second)
	if w.operators.failoverTo(m) {
		t.Error("it stands after the store has the next one")
	}
}
