package replay_test

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/replay"
)

// calm goes on from a point with nothing going wrong.
func calm(t *testing.T, m *replay.Merged, p replay.Point, store string) {
	t.Helper()
	cut, err := m.Cut(p)
	if err != nil {
		t.Fatal(err)
	}
	c, v := simulations.RunDay(simulations.ChaosSettings{Tape: kernel.Harmless(), Store: store, From: cut.Moment})
	if len(v.Broken) > 0 {
		t.Errorf("from %v on: %v\n%s\nleft out: %v", p, v.Broken, c.Story(60), append(cut.LeftOut, c.LeftOut()...))
	}
}

// A day that was recorded goes on from any of its steps, on every store: left alone, the world becomes healthy and breaks nothing.
func TestTheModelsTakeOverAnywhere(t *testing.T) {
	for _, store := range simulations.StoreKinds() {
		t.Run(store, func(t *testing.T) {
			m := merge(t, recordOn(t, store, 1, 2*time.Minute, nil).dirs)
			r := m.Judge()
			if len(r.Breaches) > 0 {
				t.Error(text(t, r))
			}
			for i := 0; i < len(r.Lines); i += 1 + len(r.Lines)/12 {
				if l := r.Lines[i]; l.Seq != 0 {
					calm(t, m, replay.Point{Member: l.Member, Run: l.Run, Seq: l.Seq}, store)
				}
			}
		})
	}
}
