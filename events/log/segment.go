package log

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Segment is one file of a log.
type Segment struct {
	Path  string
	First uint64 // number of the first record, from the file's name
	Bytes int64
}

const segmentSuffix = ".log"

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// Segments lists the segments of a log in order. Other files in the directory are left alone.
func Segments(dir string) ([]Segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list event log: %w", err)
	}
	var segments []Segment
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		first, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || segmentName(first) != e.Name() || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if os.IsNotExist(err) {
			continue // removed by the writer, to keep within its limit
		}
		if err != nil {
			return nil, fmt.Errorf("list event log: %w", err)
		}
		segments = append(segments, Segment{filepath.Join(dir, e.Name()), first, info.Size()})
	}
	slices.SortFunc(segments, func(a, b Segment) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
	return segments, nil
}

// cursor walks the frames of one segment and checks that each is the one that must come next.
type cursor struct {
	file   string
	data   []byte
	off    int
	number uint64 // of the record that must come next
	prev   uint32 // checksum of the record before it
	// loose is set where the record before is not known, so that the next one can only be checked by itself.
	loose bool
}

// next returns the next frame. Where what lies at the offset is not it, the error tells what is there instead, and the
// cursor has moved to the next sound frame, or has stayed where it is if none follows (last is true).
func (c *cursor) next() (f frame, damage *DamageError, last bool) {
	f, err := parseFrame(c.data[c.off:])
	if err == nil && c.loose {
		c.number, c.prev, c.loose = f.Number, f.prev, false
	}
	if err == nil && f.Number == c.number && f.prev == c.prev {
		c.off += f.size
		c.number, c.prev = f.Number+1, f.sum
		return f, nil, false
	}
	damage = &DamageError{Segment: c.file, Offset: int64(c.off), Record: c.number}
	switch {
	case err != nil:
		damage.Want, damage.Found = fmt.Sprintf("record %d", c.number), err.Error()
		at := findFrame(c.data, c.off+1)
		if at < 0 {
			return frame{}, damage, true
		}
		c.off, c.loose = at, true
		return frame{}, damage, false
	case f.Number != c.number:
		damage.Want, damage.Found = fmt.Sprintf("record %d", c.number), fmt.Sprintf("record %d", f.Number)
	default:
		damage.Want = fmt.Sprintf("a record that follows one with checksum %08x", c.prev)
		damage.Found = fmt.Sprintf("one that follows checksum %08x", f.prev)
	}
	c.loose = true
	return frame{}, damage, false
}

// DamageError tells that a log is not what was written. Records from Record on, up to the next one that was returned, are
// missing, changed or out of place.
type DamageError struct {
	Segment string // path of the file
	Offset  int64
	Record  uint64 // number of the record that was expected there
	Want    string
	Found   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("event log damaged: %s, offset %d: want %s, found: %s", e.Segment, e.Offset, e.Want, e.Found)
}

// TornTail is an unfinished record at the very end of a log, as a crash leaves it.
type TornTail struct {
	Segment string `json:"segment"`
	Offset  int64  `json:"offset"` // where the last whole record ends
	Bytes   int64  `json:"bytes"`
}
