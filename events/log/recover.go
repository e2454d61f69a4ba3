package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Report tells what Open found.
type Report struct {
	Segments int
	Bytes    int64
	// Next is the number that the next record gets.
	Next uint64
	// Torn is the torn tail that was cut, nil if the log ended well.
	Torn *TornTail
	// Damage is set when the last segment is damaged elsewhere than at its end. It was left as it is, and the log goes
	// on in a new one.
	Damage *DamageError
}

// end is where a log ends, and so where its writer goes on.
type end struct {
	next uint64 // number of the next record
	prev uint32 // checksum of the last one
	// segment is the last one, if it can be written on from offset; header is its own.
	segment *Segment
	offset  int64
	header  Header
}

// findEnd looks at the last segment, and at those before it while no record or header of it can be read.
func findEnd(disk Disk, dir string) (end, []Segment, *Report, error) {
	segments, err := Segments(dir)
	if err != nil {
		return end{}, nil, nil, err
	}
	report := &Report{}
	e := end{next: 1}
	for len(segments) > 0 {
		last := &segments[len(segments)-1]
		found, err := e.readLast(last, report)
		if err != nil {
			return e, nil, nil, err
		}
		if found {
			break
		}
		// Nothing in it is a record, so nothing is lost; left there, it would look like a gap.
		if err := disk.Remove(last.Path); err != nil {
			return e, nil, nil, fmt.Errorf("remove empty segment: %w", err)
		}
		report.Torn = &TornTail{Segment: last.Path, Bytes: last.Bytes}
		segments = segments[:len(segments)-1]
	}
	for _, s := range segments {
		report.Bytes += s.Bytes
	}
	report.Segments, report.Next = len(segments), e.next
	return e, segments, report, nil
}

// readLast tells whether the segment holds anything to go on from.
func (e *end) readLast(s *Segment, report *Report) (bool, error) {
	data, err := os.ReadFile(s.Path)
	if err != nil {
		return false, fmt.Errorf("open event log: %w", err)
	}
	c := cursor{file: s.Path, data: data}
	header, size, err := parseHeader(data)
	switch {
	case errors.Is(err, errFormat):
		return false, fmt.Errorf("open event log: %s: %w", s.Path, err)
	case err != nil:
		if c.off = findFrame(data, 0); c.off < 0 {
			return false, nil
		}
		c.loose = true
		report.Damage = &DamageError{Segment: s.Path, Record: s.First, Want: "the header of a segment", Found: err.Error()}
	default:
		c.off, c.number, c.prev = size, header.First, header.Prev
		report.Damage = misnamed(s, header)
	}
	for c.off < len(data) {
		_, damage, last := c.next()
		if last {
			report.Torn = &TornTail{Segment: s.Path, Offset: int64(c.off), Bytes: int64(len(data) - c.off)}
			break
		}
		if damage != nil && report.Damage == nil {
			report.Damage = damage
		}
	}
	e.next, e.prev = c.number, c.prev
	if report.Damage != nil {
		e.next = max(c.number, s.First+1) // numbers may have gone back, names must not
	}
	if report.Damage == nil {
		e.segment, e.offset, e.header = s, int64(c.off), header
	}
	return true, nil
}

func misnamed(s *Segment, h Header) *DamageError {
	if h.First == s.First {
		return nil
	}
	return &DamageError{Segment: s.Path, Record: s.First, Want: fmt.Sprintf("a segment that begins with record %d", s.First),
		Found: fmt.Sprintf("one that begins with record %d", h.First)}
}

// lockDir makes sure that no other process writes this log.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock event log: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another process writes it")
		}
		return nil, fmt.Errorf("lock event log %s: %w", dir, firstError(err, f.Close()))
	}
	return f, nil
}
