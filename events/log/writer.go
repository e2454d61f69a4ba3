package log

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Options say how a log is written. A zero field means its default.
type Options struct {
	// Version, Member and Scope go into the header of every segment.
	Version, Member, Scope string

	SegmentBytes int64 // a segment that has reached this size is followed by a new one; 16 MiB
	// MaxBytes bounds the whole log: the oldest segments are removed before a new one is begun, never the newest.
	// Should be at least 2×SegmentBytes, or only one segment is ever there. 256 MiB.
	MaxBytes int64
	// Queue is how many records may wait for the disk. Further ones are dropped and counted. 4096.
	Queue int
	// SyncEvery is how long a written record may stay unsynced unless Sync is called; 1 s. Negative: syncs happen only
	// when asked for, for every MiB, at the end of a segment and of the log.
	SyncEvery time.Duration
	// StallAfter is how long the disk may leave a write or sync unanswered, or refuse it, before that is called a stall; 500 ms.
	StallAfter time.Duration
	RetryEvery time.Duration // after an error; 1 s
	// CloseWithin bounds how long Run waits for the disk after its context has ended; 2 s.
	CloseWithin time.Duration
	// OnStall is told of the beginning and the end of every stall, by Run, with the number of records that are missing
	// because of it. It must not block.
	OnStall func(stalled bool, missing uint64)

	Now  func() time.Time // wall time, for people
	Disk Disk
}

func (o *Options) setDefaults() {
	setDefault(&o.SegmentBytes, 16<<20)
	setDefault(&o.MaxBytes, 256<<20)
	setDefault(&o.Queue, 4096)
	setDefault(&o.SyncEvery, time.Second)
	setDefault(&o.StallAfter, 500*time.Millisecond)
	setDefault(&o.RetryEvery, time.Second)
	setDefault(&o.CloseWithin, 2*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Disk == nil {
		o.Disk = LocalDisk{}
	}
	if o.OnStall == nil {
		o.OnStall = func(bool, uint64) {}
	}
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// validate refuses what would make the log useless or unbounded.
func (o *Options) validate() error {
	switch {
	case o.SegmentBytes < 1<<10 || o.SegmentBytes > 1<<30:
		return fmt.Errorf("segment size = %d bytes: want 1 KiB to 1 GiB", o.SegmentBytes)
	case o.MaxBytes < o.SegmentBytes:
		return fmt.Errorf("size limit = %d bytes: want at least the size of a segment, %d", o.MaxBytes, o.SegmentBytes)
	case o.Queue < 2:
		return fmt.Errorf("queue = %d records: want at least 2", o.Queue)
	case o.StallAfter < 0 || o.RetryEvery < 0 || o.CloseWithin < 0:
		return errors.New("negative duration: only SyncEvery may be negative")
	}
	return nil
}

// Writer writes a log. Its methods may be called from any goroutine; none but Run and Sync ever waits.
type Writer struct {
	opt   Options
	lock  *os.File
	queue chan Record
	wake  chan struct{} // somebody waits for a sync
	asked chan struct{} // the disk was asked for something
	done  chan struct{} // closed when Run returns
	out   *output       // belongs to the writing goroutine

	mu       sync.Mutex // never held across I/O
	running  bool
	closed   bool
	appended uint64 // records that were put into the queue
	synced   uint64 // the first so many of them are on disk
	waiters  []waiter
	gap      gap    // dropped since the last record that was put into the queue
	dropped  uint64 // in all

	busySince   time.Time // since when the disk has not done what it was asked; zero if it owes nothing
	busyDropped uint64    // dropped, at that time
}

type waiter struct {
	target uint64
	synced chan struct{}
}

type gap struct{ missing, from, to uint64 }

// Open looks at the log in dir, which is made if need be, cuts a torn tail, and prepares to go on after the last record.
// It reads the last segment and may take as long as the disk does. Nothing is written before Run.
func Open(dir string, opt Options) (*Writer, *Report, error) {
	opt.setDefaults()
	if err := opt.validate(); err != nil {
		return nil, nil, fmt.Errorf("open event log: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("open event log: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, nil, err
	}
	out, report, err := openOutput(dir, &opt)
	if err != nil {
		return nil, nil, firstError(err, lock.Close())
	}
	return &Writer{
		opt: opt, lock: lock, out: out,
		queue: make(chan Record, opt.Queue), wake: make(chan struct{}, 1), asked: make(chan struct{}, 1), done: make(chan struct{}),
	}, report, nil
}

// Append hands a record over. It never waits for the disk: false means that the record was dropped, because the queue
// is full or Run has ended. The log says where records are missing.
func (w *Writer) Append(r Record) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.dropped++
		return false
	}
	need := 1
	if w.gap.missing > 0 {
		need = 2
	}
	// Only holders of the mutex send, so what is free now stays free.
	if cap(w.queue)-len(w.queue) < need {
		w.drop(r.Seq)
		return false
	}
	w.pushGap(r.Wall)
	w.push(r)
	return true
}

func (w *Writer) push(r Record) {
	w.queue <- r
	w.appended++
}

func (w *Writer) drop(seq uint64) {
	if w.gap.missing == 0 {
		w.gap.from = seq
	}
	w.gap.missing++
	w.gap.to = seq
	w.dropped++
}

func (w *Writer) pushGap(wall int64) {
	if w.gap.missing == 0 {
		return
	}
	w.push(OfNote(w.gap.note(), w.gap.to, wall))
	w.gap = gap{}
}

func (g gap) note() Note {
	return Note{Text: "records are missing here: the disk did not take them in time", Missing: g.missing, From: g.from, To: g.to}
}

// Sync waits until every record that was appended before is on disk, or ctx ends. Records that were dropped are not waited for.
func (w *Writer) Sync(ctx context.Context) error {
	w.mu.Lock()
	if w.synced >= w.appended {
		w.mu.Unlock()
		return nil
	}
	me := waiter{w.appended, make(chan struct{})}
	w.waiters = append(w.waiters, me)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // somebody has asked already
	}
	select {
	case <-me.synced:
		return nil
	case <-ctx.Done():
		w.forget(me)
		return fmt.Errorf("sync event log: %w", ctx.Err())
	case <-w.done:
		w.forget(me)
		return errors.New("sync event log: it is closed")
	}
}

func (w *Writer) forget(me waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.waiters {
		if w.waiters[i].synced == me.synced {
			w.waiters = append(w.waiters[:i], w.waiters[i+1:]...)
			return
		}
	}
}

// Stalled tells since when the disk has been stalled, the zero time if it is not, and how many records are missing because of it.
func (w *Writer) Stalled() (since time.Time, missing uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busySince.IsZero() || time.Since(w.busySince) < w.opt.StallAfter {
		return time.Time{}, 0
	}
	return w.busySince, w.dropped - w.busyDropped
}

// Dropped tells how many records could not be written since Open.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
