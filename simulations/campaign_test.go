package simulations

import (
	"slices"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// A member that wins the lease finds PostgreSQL to be a primary, because the agent before it had asked for that. With time left it leads; without, it
// stops PostgreSQL before it gives the lease back.
func TestPrimaryInACampaign(t *testing.T) {
	for _, tt := range []struct {
		name  string
		left  time.Duration // of the lease
		fires events.RuleID
		to    events.LifecycleState
	}{
		{"time left", 25 * time.Second, "CA-09", engine.Leading},
		{"hardly any", time.Second, "CA-12", engine.Demoting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := New(Settings{Seed: 2, Members: 2, Config: config})
			for _, m := range w.members {
				m.Start()
			}
			if !w.RunUntil(time.Minute, w.Healthy) {
				t.Fatal("no cluster")
			}
			old := w.Leader()
			m := w.members[1-old.index]
			var acquire *events.Effect
			var fired []events.RuleID
			w.OnInput = func(member string, _ events.Input, d *events.Decision) {
				for i := range d.Effects {
					switch d.Effects[i].Action.(type) {
					case events.AcquireLease:
						acquire = &d.Effects[i]
						w.Cut(m.name, true)
					case events.ReleaseLease:
						t.Error("it gives the lease back while PostgreSQL is a primary")
					}
				}
				for _, f := range d.Fired {
					fired = append(fired, f.Rule)
				}
			}
			old.KillAll()
			if !w.RunUntil(2*time.Minute, func() bool { return acquire != nil }) {
				t.Fatal("nobody campaigns")
			}
			a := acquire.Action.(events.AcquireLease)
			epoch := w.store.Contents().Revision + 1
			fired = nil
			o := m.pg.Observe()
			o.Server.InRecovery, o.Server.Timeline, o.Server.FlushLSN = false, o.Server.Timeline+1, o.Server.ReceivedLSN
			o.Sampled = m.now()
			m.post(events.PostgresObserved{Observation: o})
			m.post(events.LeaseOutcome{Effect: acquire.ID, Op: events.LeaseAcquire, Outcome: events.Done, Epoch: epoch, TTL: a.TTL,
				SentAt: m.now().Add(tt.left - a.TTL)})
			if !slices.Contains(fired, tt.fires) || m.engine.State() != tt.to {
				t.Errorf("fired %v, and it is %s: want %s and %s", fired, m.engine.State(), tt.fires, tt.to)
			}
		})
	}
}
