package kernel

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Env is the world as a model sees it: time, and the choices of the model's domain.
type Env interface {
	// Now is true time. A model that gives its servers clocks of their own derives them from it.
	Now() events.Instant
	// After plans something d from now. What is planned for one instant happens in the order of planning.
	After(d time.Duration, do func())
	// Pick draws one of n, n ≥ 1. The label names the decision and is constant, as "which server".
	Pick(label string, n int) int
}

// Chance draws whether something happens that does so perMille times in a thousand. What is impossible draws nothing.
func Chance(e Env, label string, perMille int) bool {
	return perMille > 0 && e.Pick(label, 1000) >= 1000-perMille
}

// Between draws a duration in [from, to], in steps of a hundredth of the span; the harmless one is from.
func Between(e Env, label string, from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + (to-from)*time.Duration(e.Pick(label, 101))/100
}
