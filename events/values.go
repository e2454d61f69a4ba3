package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Instant is a point on one host's boot clock (CLOCK_BOOTTIME), in nanoseconds. It goes on while
// the machine is suspended, never steps, and means nothing on another host. Zero is "never".
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i - o) }

// LSN is a position in PostgreSQL's write-ahead log, in bytes. Zero is "unknown".
type LSN uint64

// String renders the position as PostgreSQL does, for example 16/B374D848.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN reads PostgreSQL's text form of a log position.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if ok {
		h, err := strconv.ParseUint(hi, 16, 32)
		if err == nil {
			l, err := strconv.ParseUint(lo, 16, 32)
			if err == nil {
				return LSN(h<<32 | l), nil
			}
		}
	}
	return 0, fmt.Errorf("parse LSN %q: want two hexadecimal numbers as in 16/B374D848", s)
}

// Timeline is PostgreSQL's number for a branch of WAL history. Zero is "unknown".
type Timeline uint32

// TimelineSwitch is a row of a timeline history file: Parent ended at Switch.
type TimelineSwitch struct {
	Parent Timeline `json:"parent"`
	Switch LSN      `json:"switch"`
	Reason string   `json:"reason,omitempty"`
}
