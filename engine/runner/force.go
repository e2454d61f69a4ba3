package runner

import (
	"fmt"

	"github.com/regent-ha/regent/events"
)

// Force is the lease in force as an executor knows it, for the refusal of stale effects. The zero value is no lease. It has no
// lock and no clock of its own, so that production and simulations use the same one.
type Force struct {
	epoch    uint64         // zero without a lease
	sent     events.Instant // when the request left that told its end
	until    events.Instant // its end
	resigned uint64         // epochs up to this one were given up: a renewal that returns late does not bring one back
}

// Hold notes that a lease was won or prolonged. Of two answers about one lease the later request tells its end.
func (f *Force) Hold(epoch uint64, sent, until events.Instant) {
	if epoch <= f.resigned || epoch < f.epoch || epoch == f.epoch && sent < f.sent {
		return
	}
	f.epoch, f.sent, f.until = epoch, sent, until
}

// Shorten brings the end of the lease forward: a renewal with a shorter ttl may be applied without our learning of it.
func (f *Force) Shorten(epoch uint64, until events.Instant) {
	if epoch == f.epoch {
		f.until = min(f.until, until)
	}
}

// Resign notes that the lease of an epoch is this member's no longer.
func (f *Force) Resign(epoch uint64) {
	f.resigned = max(f.resigned, epoch)
	if f.epoch <= f.resigned {
		f.epoch, f.sent, f.until = 0, 0, 0
	}
}

// Epoch is that of the lease in force, as far as is known without a clock.
func (f *Force) Epoch() (epoch uint64, held bool) { return f.epoch, f.epoch != 0 }

// Stale says why an effect that makes a primary must not be performed now, nil if it may.
func (f *Force) Stale(e events.Effect, now events.Instant) error {
	switch {
	case !events.MakesPrimary(e.Action):
	case e.Epoch == 0 || e.Epoch != f.epoch:
		return fmt.Errorf("decided under epoch %d, and the epoch in force is %d", e.Epoch, f.epoch)
	case now >= f.until:
		return fmt.Errorf("the lease of epoch %d has ended", e.Epoch)
	}
	return nil
}
