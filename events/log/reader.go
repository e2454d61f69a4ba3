package log

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
)

// Reader reads a log, also while it is being written.
type Reader struct {
	dir  string
	torn *TornTail
}

// Read makes a Reader of the log in dir.
func Read(dir string) *Reader { return &Reader{dir: dir} }

// TornTail is the unfinished record at the end of the log that All met, nil if there was none. A log that is being written
// may end so at any moment.
func (r *Reader) TornTail() *TornTail { return r.torn }

// All yields all records in order. Damage is yielded as a *DamageError, at its place; whoever goes on after it gets the
// records that follow it. Any other error ends the log.
func (r *Reader) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r.torn = nil
		segments, err := Segments(r.dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		w := walk{yield: yield}
		for i := range segments {
			err := w.segment(segments, i)
			if err != nil {
				yield(Record{}, err)
				return
			}
			if w.stopped {
				return
			}
		}
		r.torn = w.torn
	}
}

// walk is one pass over a log.
type walk struct {
	yield   func(Record, error) bool
	stopped bool
	torn    *TornTail
	begun   bool   // a segment was read
	number  uint64 // of the next record
	prev    uint32 // checksum of the last one
	loose   bool   // prev and number are not known for sure
}

// damaged yields the damage, and tells whether to go on.
func (w *walk) damaged(d *DamageError) bool {
	w.loose = true
	w.stopped = w.stopped || !w.yield(Record{}, d)
	return !w.stopped
}

// segment reads one segment, up to where the next one begins: what lies behind was abandoned by the writer, and stands in
// the next one again.
func (w *walk) segment(all []Segment, i int) error {
	s := all[i]
	data, err := os.ReadFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) && !w.begun {
		return nil // the writer has removed the oldest segment since they were listed
	}
	if err != nil {
		return fmt.Errorf("read event log: %w", err)
	}
	last := i == len(all)-1
	c, ok, err := w.enter(s, data, last)
	if err != nil || !ok {
		return err
	}
	for last && c.off < len(data) || !last && (c.loose || c.number != all[i+1].First) {
		if c.off == len(data) { // and the next segment begins further on
			w.damaged(&DamageError{Segment: all[i+1].Path, Record: c.number,
				Want:  fmt.Sprintf("a segment that begins with record %d", c.number),
				Found: fmt.Sprintf("one that begins with record %d", all[i+1].First)})
			return nil
		}
		f, damage, end := c.next()
		switch {
		case end && last:
			w.torn = &TornTail{Segment: s.Path, Offset: int64(c.off), Bytes: int64(len(data) - c.off)}
			return nil
		case damage != nil && !w.damaged(damage):
			return nil
		case end:
			return nil
		case damage == nil && !w.yield(f.Record, nil):
			w.stopped = true
			return nil
		}
	}
	w.number, w.prev, w.loose = c.number, c.prev, c.loose
	return nil
}

// enter reads the header and compares it with where the segment before ended.
func (w *walk) enter(s Segment, data []byte, last bool) (c cursor, ok bool, err error) {
	first := !w.begun
	w.begun = true
	h, size, err := parseHeader(data)
	if errors.Is(err, errFormat) {
		return c, false, fmt.Errorf("read event log: %s: %w", s.Path, err)
	}
	c = cursor{file: s.Path, data: data, off: size, number: h.First, prev: h.Prev}
	if err != nil {
		at := findFrame(data, 0)
		if at < 0 && last {
			w.torn = &TornTail{Segment: s.Path, Bytes: int64(len(data))}
			return c, false, nil
		}
		c.off, c.loose = at, true
		ok = w.damaged(&DamageError{Segment: s.Path, Record: s.First, Want: "the header of a segment", Found: err.Error()})
		return c, ok && at >= 0, nil
	}
	if d := misnamed(&s, h); d != nil && !w.damaged(d) {
		return c, false, nil
	}
	if first || w.loose {
		w.loose = false
		return c, true, nil
	}
	if h.Prev != w.prev {
		return c, w.damaged(&DamageError{Segment: s.Path, Record: s.First,
			Want:  fmt.Sprintf("a segment that follows checksum %08x", w.prev),
			Found: fmt.Sprintf("one that follows checksum %08x", h.Prev)}), nil
	}
	return c, true, nil
}
