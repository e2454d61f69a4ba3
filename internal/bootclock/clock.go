// Package bootclock reads CLOCK_BOOTTIME, the clock of all of regent's deadlines: it never steps
// and, unlike Go's own monotonic clock, it counts the time in which the machine was suspended, in which a
// store's leases go on ending.
package bootclock

import (
	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

// Now reads the clock. It does not allocate.
func Now() events.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // Linux has had it since 2.6.39
	}
	return events.Instant(ts.Nano())
}
