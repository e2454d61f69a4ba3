package replay

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// shifted moves an instant; never stays never.
func shifted(at events.Instant, by time.Duration) events.Instant {
	if at == 0 {
		return 0
	}
	return at.Add(by)
}

// ShiftInput is an input as a host would have recorded it whose boot clock is ahead by some time. What an engine decides by
// shifted inputs is what it decided, shifted.
func ShiftInput(in events.Input, by time.Duration) events.Input {
	in.At = in.At.Add(by)
	switch f := in.Fact.(type) {
	case events.LeaseOutcome:
		f.SentAt = shifted(f.SentAt, by)
		in.Fact = f
	case events.PostgresObserved:
		f.Observation.Sampled = shifted(f.Observation.Sampled, by)
		in.Fact = f
	case events.EffectFinished:
		f.Ended = shifted(f.Ended, by)
		in.Fact = f
	case events.GuardTick:
		f.Deadline = shifted(f.Deadline, by)
		in.Fact = f
	}
	return in
}

// ShiftDecision is the same for a decision, without the hash of its state.
func ShiftDecision(d *events.Decision, by time.Duration) events.Decision {
	out := *d
	out.StateHash, out.WakeAt = 0, shifted(d.WakeAt, by)
	out.Effects = slices.Clone(d.Effects)
	for i := range out.Effects {
		e := &out.Effects[i]
		e.Deadline = shifted(e.Deadline, by)
		if a, arms := e.Action.(events.ArmGuard); arms {
			e.Action = events.ArmGuard{Deadline: shifted(a.Deadline, by)}
		}
	}
	return out
}
