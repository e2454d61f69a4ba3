package simulations

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
)

// A look that shows no postmaster says nothing of its children, which accept writes for a moment longer: the lease is not given away before they are
// known to be gone, also when the look comes before the word of the end.
func TestALookIsNoProofThatChildrenAreGone(t *testing.T) {
	for _, config := range []string{`{"ttl":20,"loop_wait":5,"primary_start_timeout":0}`, `{"ttl":20,"loop_wait":5,"pause":true}`} {
		w := New(Settings{Tape: kernel.Harmless(), Members: 3, Config: `{"ttl":20,"loop_wait":5}`})
		for _, m := range w.members {
			m.Start()
		}
		if !w.RunUntil(time.Minute, w.Healthy) {
			t.Fatal("the cluster does not come up")
		}
		leader := w.Leader()
		w.Put("config", config)
		w.Run(3 * time.Second)
		leader.pg.Kill()
		leader.observe()
		w.Run(10 * time.Second)
		if len(w.Broken) > 0 {
			t.Errorf("with %s: %v", config, w.Broken)
		}
		if config[len(config)-5:] != "true}" && (w.Leader() == nil || w.Leader() == leader) {
			t.Errorf("nobody took over: %v", w.Trace(20))
		}
	}
}
