package replay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/replay"
)

// calm goes on from a point with nothing going wrong.
func calm(t *testing.T, m *replay.Merged, p replay.Point) *simulations.Chaos {
	t.Helper()
	cut, err := m.Cut(p)
	if err != nil {
		t.Fatal(err)
	}
	c, v := simulations.RunDay(simulations.ChaosSettings{Tape: kernel.Harmless(), Store: "etcd", From: cut.Moment})
	if len(v.Broken) > 0 {
		t.Errorf("from %v on: %v\n%s\nleft out: %v", p, v.Broken, c.Story(60), append(cut.LeftOut, c.LeftOut()...))
	}
	return c
}

// A day that was recorded goes on from any of its steps: left alone, the world becomes healthy and breaks nothing.
func TestTheModelsTakeOverAnywhere(t *testing.T) {
	for seed := range uint64(3) {
		m := merge(t, record(t, seed, 2*time.Minute, nil).dirs)
		r := m.Judge()
		for i := 0; i < len(r.Lines); i += 1 + len(r.Lines)/25 {
			if l := r.Lines[i]; l.Seq != 0 {
				calm(t, m, replay.Point{Member: l.Member, Run: l.Run, Seq: l.Seq})
			}
		}
	}
}

var _ = strings.Contains
var _ = engine.Leading
var _ events.Instant
