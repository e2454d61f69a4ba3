package simulations

import "github.com/regent-ha/regent/events"

// force is what the executor knows of the lease in force, for the refusal of stale effects. It follows package agent, lease.go.
type force struct {
	epoch       uint64
	sent, until events.Instant
	resigned    uint64
}

func (f *force) hold(epoch uint64, sent, until events.Instant) {
	if epoch <= f.resigned || epoch < f.epoch || epoch == f.epoch && sent < f.sent {
		return
	}
	f.epoch, f.sent, f.until = epoch, sent, until
}

func (f *force) shorten(epoch uint64, until events.Instant) {
	if epoch == f.epoch {
		f.until = min(f.until, until)
	}
}

func (f *force) resign(epoch uint64) {
	f.resigned = max(f.resigned, epoch)
	if f.epoch <= f.resigned {
		f.epoch, f.sent, f.until = 0, 0, 0
	}
}

// stale tells that an effect that makes a primary must not be performed.
func (f *force) stale(e *events.Effect, now events.Instant) bool {
	return makesPrimary(e.Action) && (e.Epoch == 0 || e.Epoch != f.epoch || now >= f.until)
}

func makesPrimary(a events.Action) bool {
	switch a := a.(type) {
	case events.Promote:
		return true
	case events.StartPostgres:
		return a.AsPrimary
	case events.RestartPostgres:
		return a.AsPrimary
	}
	return false
}
