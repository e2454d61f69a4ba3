package simulations

import (
	"strings"
	"testing"
	"time"
)

// TestChangesAreCountedAgainstFaults: a change of the leader that no fault explains is needless, and one that a fault explains is not.
func TestChangesAreCountedAgainstFaults(t *testing.T) {
	for _, faults := range []int{0, 1} {
		w := grown(t, 1, quick)
		old := w.Leader()
		w.calm, w.injected = true, faults
		old.KillAll()
		if !w.RunUntil(20*time.Second, func() bool { l := w.Leader(); return l != nil && l != old }) {
			t.Fatalf("nobody took over\n%s", picture(w))
		}
		if found := len(w.Broken) > 0; found != (faults == 0) {
			t.Errorf("%d faults: %v", faults, w.Broken)
		}
		if len(w.Broken) > 0 && !strings.Contains(w.Broken[0], "L3: ") {
			t.Errorf("found as %s", w.Broken[0])
		}
	}
}
