package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// hostClock is a host's clock. What it reads of boot time (CLOCK_BOOTTIME) is a function of true time that never goes back: it runs at a rate of
// its own, and goes on in a suspend. Its wall clock is ahead of true wall time by a step, which nothing may depend on but schedules.
type hostClock struct {
	segments []segment // in order; none: it reads true time
	wall     time.Duration
}

// segment is a time in which the rate did not change.
type segment struct {
	from, read events.Instant // true time, and what the clock read then
	ppm        int64          // how much too fast it runs, in millionths
}

const million = 1_000_000

// scaled is n times a rate of so many millionths more than one, and back.
func scaled(n, ppm int64) int64 { return n + n/million*ppm + n%million*ppm/million }
func unscaled(n, ppm int64) int64 {
	return n/(million+ppm)*million + n%(million+ppm)*million/(million+ppm)
}

// at is what the clock reads at a true instant. Zero, which is never, stays zero.
func (c *hostClock) at(t events.Instant) events.Instant {
	for i := len(c.segments) - 1; i >= 0 && t != 0; i-- {
		if s := &c.segments[i]; t >= s.from {
			return s.read + events.Instant(scaled(int64(t-s.from), s.ppm))
		}
	}
	return t
}

// when is the first true instant at which the clock reads at least h, if its rate stays as it is.
func (c *hostClock) when(h events.Instant) events.Instant {
	for i := len(c.segments) - 1; i >= 0 && h != 0; i-- {
		s := &c.segments[i]
		if h < s.read {
			continue
		}
		t := s.from + events.Instant(unscaled(int64(h-s.read), s.ppm))
		for c.at(t) < h {
			t++
		}
		return t
	}
	return h
}

// runs changes the rate from a true instant on.
func (c *hostClock) runs(now events.Instant, ppm int64) {
	c.segments = append(c.segments, segment{from: now, read: c.at(now), ppm: ppm})
}

// now is what the clock of the member's host reads.
func (m *Member) now() events.Instant { return m.clock.at(m.w.Now()) }

// Drift lets the clock of the member's host run too fast by so many millionths, too slow if that is negative.
func (m *Member) Drift(ppm int) {
	wake := m.wakeAt
	m.clock.runs(m.w.Now(), int64(ppm))
	if m.alive && wake != 0 {
		m.wake.Set(m.clock.when(wake))
	}
	m.guard.clockChanged()
}

// StepWall sets the wall clock of the member's host ahead by d, or back.
func (m *Member) StepWall(d time.Duration) { m.clock.wall += d }
