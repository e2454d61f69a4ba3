package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	batchBytes = 256 << 10 // written at once
	tailBytes  = 1 << 20   // a sync is due when so much is not known to be on disk
)

// output is the writing end of a log: the current segment, and the frames that are not known to be on disk.
//
// Invariant: tail holds all frames from number first on, chained from prev, and everything before first is on disk. So
// whatever happens to the current segment, a new one that begins with first can take its place.
type output struct {
	dir      string
	opt      *Options
	segments []Segment // all but the current one, oldest first

	file    File // nil: a segment must be begun
	path    string
	begun   uint64 // number of the first record of the segment at path
	size    int64
	fresh   bool // its name is not synced yet
	written int  // bytes of tail that are in file

	tail  []byte
	first uint64
	prev  uint32

	number  uint64 // of the next record
	sum     uint32 // of the last one
	lastSeq uint64
}

func openOutput(dir string, opt *Options) (*output, *Report, error) {
	e, segments, report, err := findEnd(opt.Disk, dir)
	if err != nil {
		return nil, nil, err
	}
	o := &output{dir: dir, opt: opt, segments: segments, first: e.next, prev: e.prev, number: e.next, sum: e.prev}
	if e.segment == nil {
		return o, report, nil
	}
	h, s := e.header, *e.segment
	same := h.Version == opt.Version && h.Member == opt.Member && h.Scope == opt.Scope
	if same && e.offset < opt.SegmentBytes || report.Torn != nil {
		f, err := opt.Disk.Extend(s.Path, e.offset)
		if err != nil {
			return nil, nil, fmt.Errorf("open event log: %w", err)
		}
		if same && e.offset < opt.SegmentBytes {
			o.file, o.path, o.begun, o.size = f, s.Path, s.First, e.offset
			o.segments = segments[:len(segments)-1]
			return o, report, nil
		}
		if err := f.Close(); err != nil {
			return nil, nil, fmt.Errorf("open event log: %w", err)
		}
	}
	if s.First == e.next { // no record in it, and its name is needed
		if err := opt.Disk.Remove(s.Path); err != nil {
			return nil, nil, fmt.Errorf("open event log: %w", err)
		}
		o.segments = segments[:len(segments)-1]
	}
	return o, report, nil
}

// add encodes a record behind the tail. One that cannot be encoded is replaced by a note that says so.
func (o *output) add(r Record) {
	payload, err := r.encode()
	if err == nil && len(payload) > maxPayload {
		err = fmt.Errorf("%s of input %d has %d bytes", r.Kind, r.Seq, len(payload))
	}
	if err != nil {
		r = OfNote(Note{Text: "a record could not be written: " + err.Error(), Missing: 1, From: r.Seq, To: r.Seq}, r.Seq, r.Wall)
		if payload, err = r.encode(); err != nil {
			return // a note is plain text and numbers
		}
	}
	r.Number = o.number
	o.tail, o.sum = appendFrame(o.tail, &r, payload, o.sum)
	o.number++
	o.lastSeq = r.Seq
}

// full tells that no more records should join the batch.
func (o *output) full() bool {
	unwritten := len(o.tail) - o.written
	return unwritten >= batchBytes || o.size+int64(unwritten) >= o.opt.SegmentBytes
}

// flush writes what is not written yet, and syncs it if asked to, or if it is due. It tells whether it synced. After an
// error the segment is abandoned, and the next flush begins a new one with everything that is in the tail.
func (o *output) flush(sync bool) (synced bool, err error) {
	if len(o.tail) == 0 {
		return true, nil
	}
	if err := o.write(); err != nil {
		return false, o.abandon(err)
	}
	full := o.size >= o.opt.SegmentBytes
	if !sync && !full && len(o.tail) < tailBytes {
		return false, nil
	}
	if err := o.sync(); err != nil {
		return false, o.abandon(err)
	}
	if full {
		return true, o.finish()
	}
	return true, nil
}

func (o *output) write() error {
	if o.file == nil {
		if err := o.begin(); err != nil {
			return fmt.Errorf("begin segment: %w", err)
		}
	}
	n, err := o.file.Write(o.tail[o.written:])
	o.size += int64(n)
	o.written += n
	if err == nil && o.written < len(o.tail) {
		err = errors.New("short write")
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", o.path, err)
	}
	return nil
}

func (o *output) begin() error {
	if err := o.prune(); err != nil {
		return err
	}
	h := Header{Format: format, Version: o.opt.Version, Member: o.opt.Member, Scope: o.opt.Scope,
		Created: o.opt.Now().UTC().Format(time.RFC3339Nano), First: o.first, Prev: o.prev}
	b, err := h.encode()
	if err != nil {
		return err
	}
	path := filepath.Join(o.dir, segmentName(o.first))
	if path == o.path { // abandoned by us before any of it was known to be on disk
		if err := o.opt.Disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := o.opt.Disk.Create(path)
	if err != nil {
		return err
	}
	o.file, o.path, o.begun, o.size, o.written, o.fresh = f, path, o.first, int64(len(b)), 0, true
	n, err := f.Write(b)
	if err == nil && n < len(b) {
		err = errors.New("short write")
	}
	return err
}

func (o *output) sync() error {
	if err := o.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", o.path, err)
	}
	if o.fresh {
		if err := o.opt.Disk.SyncDir(o.dir); err != nil {
			return fmt.Errorf("sync %s: %w", o.dir, err)
		}
		o.fresh = false
	}
	o.first, o.prev, o.written = o.number, o.sum, 0
	if cap(o.tail) > 2*tailBytes {
		o.tail = nil
	}
	o.tail = o.tail[:0]
	return nil
}

// abandon leaves the current segment as it is. If some of it is on disk, it stays part of the log.
func (o *output) abandon(cause error) error {
	o.written = 0
	if o.file == nil {
		return cause
	}
	err := o.file.Close()
	o.file = nil
	if o.begun != o.first {
		o.segments = append(o.segments, Segment{o.path, o.begun, o.size})
		o.path = ""
	}
	if err != nil {
		return fmt.Errorf("%w (and then: %w)", cause, err)
	}
	return cause
}

// finish closes a segment of which everything is on disk.
func (o *output) finish() error {
	err := o.file.Close()
	o.segments = append(o.segments, Segment{o.path, o.begun, o.size})
	o.file, o.path, o.size = nil, "", 0
	if err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	return nil
}

// prune removes the oldest segments until a new one fits into the limit.
func (o *output) prune() error {
	total := o.opt.SegmentBytes
	for _, s := range o.segments {
		total += s.Bytes
	}
	for len(o.segments) > 0 && total > o.opt.MaxBytes {
		if err := o.opt.Disk.Remove(o.segments[0].Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= o.segments[0].Bytes
		o.segments = o.segments[1:]
	}
	return nil
}

// close ends the log; everything that can be is on disk already.
func (o *output) close() error {
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	if err != nil {
		return fmt.Errorf("close event log: %w", err)
	}
	return nil
}
