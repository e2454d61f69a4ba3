package simulations

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// What the judge of S6 is told of ends is told of effects on the data directory, whatever else ends after them.
func TestEndedIsOfTheDataDirectory(t *testing.T) {
	w := New(Settings{Seed: 1, Members: 1, Config: config})
	m := w.members[0]
	m.Start()
	if !w.RunUntil(time.Minute, w.Healthy) {
		t.Fatal("no cluster")
	}
	m.Freeze()
	m.performPostgres(events.Effect{ID: 1001, Deadline: m.now().Add(time.Minute), Action: events.StopPostgres{Mode: events.StopFast}})
	w.Run(10 * time.Second)
	m.performPostgres(events.Effect{ID: 1002, Deadline: m.now().Add(time.Minute), Action: events.ApplyConfig{Document: []byte("{}")}})
	w.Run(10 * time.Second)
	if m.ended != 1001 {
		t.Errorf("the effect that ended last on the data directory is %d", m.ended)
	}
}
