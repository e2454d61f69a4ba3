package log

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run writes what is appended until ctx ends, then writes what is still queued, syncs and closes the log. It owns the one
// goroutine that touches the disk, and joins it. Only if the disk does not answer within CloseWithin does it
// return without: a system call that hangs cannot be taken back, and the agent must be able to end.
//
// A disk that refuses or hangs never ends Run. A Writer runs once.
func (w *Writer) Run(ctx context.Context) error {
	w.mu.Lock()
	again := w.running
	w.running = true
	w.mu.Unlock()
	if again {
		return errors.New("run event log: it was run already")
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.writeAll(stop) }()

	w.lookForStalls(ctx)
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(stop)
	defer close(w.done)
	late := time.NewTimer(w.opt.CloseWithin)
	defer late.Stop()
	select {
	case err := <-ended:
		return firstError(err, w.lock.Close())
	case <-late.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("close event log: the disk did not answer within %v; not known to be on disk: %d records, dropped: %d",
			w.opt.CloseWithin, w.appended-w.synced, w.dropped)
	}
}

// lookForStalls tells OnStall, until ctx ends. It looks only while the disk owes something: an agent that rests must not wake for this.
func (w *Writer) lookForStalls(ctx context.Context) {
	every := max(w.opt.StallAfter/4, time.Millisecond)
	next := time.NewTimer(every)
	defer next.Stop()
	told := stall{}
	for looking := true; ctx.Err() == nil; {
		select {
		case <-w.asked:
			if !looking {
				looking = true
				next.Reset(every)
			}
		case <-next.C:
			w.tell(&told)
			if looking = told.stalled || w.owes(); looking {
				next.Reset(every)
			}
		case <-ctx.Done():
		}
	}
}

// stall is what OnStall was last told.
type stall struct {
	stalled bool
	base    uint64 // records dropped before it began
}

func (w *Writer) tell(told *stall) {
	since, _ := w.Stalled()
	stalled := !since.IsZero()
	w.mu.Lock()
	if stalled && !told.stalled {
		told.base = w.busyDropped
	}
	missing := w.dropped - told.base
	w.mu.Unlock()
	if stalled != told.stalled {
		told.stalled = stalled
		w.opt.OnStall(stalled, missing)
	}
}

// writeAll is the writing goroutine.
func (w *Writer) writeAll(stop <-chan struct{}) error {
	taken := uint64(0) // records from the queue that are in the output
	due := time.NewTimer(0)
	due.Stop()
	defer due.Stop()
	for ending, armed := false, false; ; {
		ask := false
		select {
		case r := <-w.queue:
			w.out.add(r)
			taken++
		case <-w.wake:
			ask = true
		case <-due.C:
			ask, armed = true, false
		case <-stop:
			ending = true
		}
		taken += w.drain()
		synced, err := w.flush(ask || ending || w.awaited(), stop)
		if err != nil {
			return firstError(err, w.out.close())
		}
		if synced {
			due.Stop()
			armed = false
			w.release(taken)
		} else if w.opt.SyncEvery > 0 && !armed {
			due.Reset(w.opt.SyncEvery)
			armed = true
		}
		w.noteGap()
		if ending && len(w.queue) == 0 {
			return w.out.close()
		}
	}
}

// drain moves records from the queue to the output until a batch is full.
func (w *Writer) drain() (n uint64) {
	for !w.out.full() {
		select {
		case r := <-w.queue:
			w.out.add(r)
			n++
		default:
			return n
		}
	}
	return n
}

// flush writes until the disk takes it, or refuses after stop. After an outage a note tells of it.
func (w *Writer) flush(sync bool, stop <-chan struct{}) (synced bool, err error) {
	began := w.busy()
	defer w.idle()
	var cause error
	for noted, ending := false, false; ; {
		synced, err = w.out.flush(sync)
		lasted := time.Since(began)
		switch {
		case err == nil && !noted && (cause != nil || lasted >= w.opt.StallAfter):
			w.out.add(w.outage(cause, lasted))
			noted = true
			continue
		case err == nil:
			return synced, nil
		case ending:
			return false, fmt.Errorf("close event log: records are lost: %w", err)
		}
		cause = err
		ending = !w.pause(stop)
	}
}

// pause waits for the next attempt; false means that it was cut short by stop.
func (w *Writer) pause(stop <-chan struct{}) bool {
	wait := time.NewTimer(w.opt.RetryEvery)
	defer wait.Stop()
	select {
	case <-stop:
		return false
	case <-wait.C:
		return true
	}
}

func (w *Writer) outage(cause error, lasted time.Duration) Record {
	n := Note{Text: "the disk of the event log did not answer in time", Lasted: lasted}
	if cause != nil {
		n.Text = "the disk of the event log refused: " + cause.Error()
	}
	return OfNote(n, w.out.lastSeq, w.opt.Now().UnixNano())
}

func (w *Writer) busy() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busySince, w.busyDropped = time.Now(), w.dropped
	select {
	case w.asked <- struct{}{}:
	default:
	}
	return w.busySince
}

func (w *Writer) owes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.busySince.IsZero()
}

func (w *Writer) idle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busySince = time.Time{}
}

// awaited tells that somebody waits in Sync.
func (w *Writer) awaited() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiters) > 0
}

// release lets those go whose records are on disk.
func (w *Writer) release(taken uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = taken
	left := w.waiters[:0]
	for _, x := range w.waiters {
		if x.target <= taken {
			close(x.synced)
		} else {
			left = append(left, x)
		}
	}
	w.waiters = left
}

// noteGap says what is missing when no further record comes to say it before.
func (w *Writer) noteGap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.pushGap(w.opt.Now().UnixNano())
	}
}
