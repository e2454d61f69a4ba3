package log

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	w, report := start(t, dir, Options{Version: "1.2", Member: "n1", Scope: "main"})
	if report.Next != 1 || report.Segments != 0 || report.Torn != nil {
		t.Errorf("report of an empty log: %+v", report)
	}
	w.Append(OfInput(testInput(1)))
	w.Append(OfDecision(testDecision(1), 5e9))
	w.Append(OfNote(Note{Text: "agent started"}, 1, 6e9))
	w.sync()
	w.end()
	if w.Append(OfInput(testInput(2))) {
		t.Error("a closed writer accepts records")
	}
	b := readAll(dir)
	if len(b.errs) > 0 || len(b.records) != 3 {
		t.Fatalf("read %d records, errors %v", len(b.records), b.errs)
	}
	in, err := b.records[0].Input()
	if err != nil || in != testInput(1) {
		t.Errorf("input %+v, %v", in, err)
	}
	d, err := b.records[1].Decision()
	if err != nil || d.Rule != "FO-20" || d.Effects[0].Action != testDecision(1).Effects[0].Action || b.records[1].Wall != 5e9 {
		t.Errorf("decision %+v, %v", d, err)
	}
	n, err := b.records[2].Note()
	if err != nil || n.Text != "agent started" {
		t.Errorf("note %+v, %v", n, err)
	}
	if _, err := b.records[2].Input(); err == nil {
		t.Error("a note was read as an input")
	}
}

func TestRotationAndLimit(t *testing.T) {
	dir := t.TempDir()
	opt := Options{SegmentBytes: 2 << 10, MaxBytes: 8 << 10}
	fill(t, dir, 1, 500, opt)
	fill(t, dir, 501, 500, opt)
	segments, err := Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, s := range segments {
		total += s.Bytes
	}
	if len(segments) < 3 || total > opt.MaxBytes || segments[0].First == 1 {
		t.Errorf("%d segments of %d bytes, first %d", len(segments), total, segments[0].First)
	}
	b := readAll(dir)
	if len(b.errs) > 0 || b.torn != nil {
		t.Fatalf("errors %v, torn %v", b.errs, b.torn)
	}
	if first, last := b.records[0], b.records[len(b.records)-1]; first.Number != segments[0].First || last.Seq != 1000 || last.Number != 1000 {
		t.Errorf("records %d to %d", first.Number, last.Number)
	}
}

func TestRestartGoesOnInTheSameSegment(t *testing.T) {
	dir := t.TempDir()
	for i := range uint64(5) {
		fill(t, dir, 1+i*3, 3, Options{Version: "1"})
	}
	fill(t, dir, 16, 3, Options{Version: "2"})
	fill(t, dir, 19, 0, Options{Version: "3"})
	fill(t, dir, 19, 3, Options{Version: "4"})
	if segments, err := Segments(dir); err != nil || len(segments) != 3 {
		t.Errorf("%d segments, %v: want one for each version that wrote", len(segments), err)
	}
	if missing, _ := checkComplete(t, dir, 21); missing != 0 {
		t.Errorf("%d missing", missing)
	}
}

func TestOneWriterPerLog(t *testing.T) {
	dir := t.TempDir()
	w, _ := start(t, dir, Options{})
	if _, _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second Open: %v", err)
	}
	w.end()
	if err := w.Run(context.Background()); err == nil {
		t.Error("a writer ran twice")
	}
	w, _ = start(t, dir, Options{})
	w.end()
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opt := range []Options{{SegmentBytes: 10}, {MaxBytes: 1 << 20}, {Queue: 1}, {StallAfter: -1}} {
		if _, _, err := Open(t.TempDir(), opt); err == nil {
			t.Errorf("%+v was accepted", opt)
		}
	}
}

// The disk hangs: nobody waits for it, and afterwards the log says what is missing, at the right place.
func TestHangingDisk(t *testing.T) {
	for _, op := range []string{"create", "write", "sync"} {
		t.Run(op, func(t *testing.T) { hang(t, op) })
	}
}

func hang(t *testing.T, op string) {
	dir := t.TempDir()
	disk := &faultyDisk{}
	release := make(chan struct{})
	var hung atomic.Bool
	disk.set(func(what string) error {
		if what == op {
			hung.Store(true)
			<-release
		}
		return nil
	})
	var mu sync.Mutex
	var told []stallTold
	w, _ := start(t, dir, Options{Disk: disk, Queue: 64, StallAfter: 10 * time.Millisecond, SyncEvery: time.Millisecond,
		OnStall: func(stalled bool, missing uint64) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, stallTold{stalled, missing})
		}})
	w.Append(OfInput(testInput(1)))
	eventually(t, "the disk hangs", hung.Load)

	const n = 20000
	refused, slow := uint64(0), 0
	began := time.Now()
	for seq := uint64(2); seq <= n; seq++ {
		before := time.Now()
		if !w.Append(OfInput(testInput(seq))) {
			refused++
		}
		if time.Since(before) > time.Millisecond {
			slow++ // the scheduler may take the processor away, the disk may not
		}
	}
	each := time.Since(began) / n
	t.Logf("%v for each Append with testInput, %d of %d refused, %d took more than 1 ms", each, refused, n, slow)
	if each > 50*time.Microsecond || slow > 20 {
		t.Errorf("Append waits for the disk: %v each, %d slow", each, slow)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := w.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Sync on a hanging disk: %v", err)
	}
	eventually(t, "the stall is known", func() bool { since, missing := w.Stalled(); return !since.IsZero() && missing == refused })
	eventually(t, "the stall is told", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 0 })

	disk.set(nil)
	close(release)
	w.sync()
	eventually(t, "the end is told", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 1 })
	w.Append(OfInput(testInput(n + 1)))
	w.end()
	if !told[0].stalled || told[1] != (stallTold{false, refused}) {
		t.Errorf("told %v, %d refused", told, refused)
	}
	missing, notes := checkComplete(t, dir, n+1)
	if missing != refused || w.Dropped() != refused || refused == 0 {
		t.Errorf("%d missing, %d refused, %d dropped", missing, refused, w.Dropped())
	}
	if len(notes) < 2 {
		t.Errorf("notes %+v: want one about the disk and one about what is missing", notes)
	}
}

type stallTold struct {
	stalled bool
	missing uint64
}

func TestRunEndsThoughTheDiskHangs(t *testing.T) {
	disk := &faultyDisk{}
	release := make(chan struct{})
	var hung atomic.Bool
	disk.set(func(string) error { hung.Store(true); <-release; return nil })
	w, _ := start(t, t.TempDir(), Options{Disk: disk, CloseWithin: 20 * time.Millisecond})
	w.Append(OfInput(testInput(1)))
	eventually(t, "the disk hangs", hung.Load)
	synced := make(chan error, 1)
	go func() { synced <- w.Sync(context.Background()) }()
	w.cancel()
	select {
	case err := <-w.ended:
		if err == nil || !strings.Contains(err.Error(), "did not answer within 20ms") {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(testWait):
		t.Fatal("Run did not return")
	}
	if err := <-synced; err == nil {
		t.Error("Sync on a closed log tells of success")
	}
	close(release) // lets the writing goroutine go
	eventually(t, "the segment is closed", func() bool { return disk.closed.Load() > 0 })
}

// The disk refuses for a while: nothing that was accepted is lost, whatever half-written segments it leaves.
func TestRefusingDisk(t *testing.T) {
	for _, op := range []string{"create", "write", "sync"} {
		t.Run(op, func(t *testing.T) {
			dir := t.TempDir()
			disk := &faultyDisk{}
			w, _ := start(t, dir, Options{Disk: disk, RetryEvery: time.Millisecond, SegmentBytes: 2 << 10, SyncEvery: -1})
			var failures atomic.Int32
			seq := uint64(0)
			for round := range 30 {
				for range 7 {
					seq++
					w.Append(OfInput(testInput(seq)))
				}
				if round%3 == 0 {
					w.sync()
				}
				left := int32(round%4) + 1
				disk.set(func(what string) error {
					if what == op && atomic.AddInt32(&left, -1) >= 0 {
						failures.Add(1)
						return syscall.ENOSPC
					}
					return nil
				})
			}
			w.sync()
			w.end()
			missing, notes := checkComplete(t, dir, seq)
			if missing != 0 || failures.Load() == 0 || len(notes) == 0 {
				t.Errorf("%d missing, %d failures, %d notes", missing, failures.Load(), len(notes))
			}
			if len(notes) > 0 && !strings.Contains(notes[0].Text, "no space left") {
				t.Errorf("note %+v", notes[0])
			}
			t.Logf("%d failures, %d notes", failures.Load(), len(notes))
		})
	}
}

func TestRefusingDiskAtTheEnd(t *testing.T) {
	disk := &faultyDisk{}
	disk.set(func(string) error { return syscall.EIO })
	w, _ := start(t, t.TempDir(), Options{Disk: disk, RetryEvery: time.Hour})
	w.Append(OfInput(testInput(1)))
	w.cancel()
	select {
	case err := <-w.ended:
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(testWait):
		t.Fatal("Run did not return")
	}
}

func TestWhatCannotBeEncodedIsSaid(t *testing.T) {
	dir := t.TempDir()
	w, _ := start(t, dir, Options{})
	w.Append(OfInput(events.Input{Seq: 1}))
	w.Append(OfInput(testInput(2)))
	w.end()
	if missing, notes := checkComplete(t, dir, 2); missing != 1 || !strings.Contains(notes[0].Text, "no fact") {
		t.Errorf("missing %d, notes %+v", missing, notes)
	}
}

func TestManyAppenders(t *testing.T) {
	dir := t.TempDir()
	w, _ := start(t, dir, Options{SegmentBytes: 8 << 10, Queue: 100})
	var accepted atomic.Uint64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range uint64(2000) {
				if w.Append(OfInput(testInput(i))) {
					accepted.Add(1)
				}
				if i%500 == 0 {
					w.sync()
				}
			}
		})
	}
	all.Wait()
	w.end()
	b := readAll(dir)
	inputs := uint64(0)
	missing := uint64(0)
	for _, r := range b.records {
		if r.Kind == KindInput {
			inputs++
		} else if n, err := r.Note(); err == nil {
			missing += n.Missing
		}
	}
	if len(b.errs) > 0 || inputs != accepted.Load() || missing != w.Dropped() || inputs+missing != 16000 {
		t.Errorf("%d inputs, %d accepted, %d missing, %d dropped, errors %v", inputs, accepted.Load(), missing, w.Dropped(), b.errs)
	}
}

func TestUnreadableDirectory(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(file, Options{}); err == nil {
		t.Error("Open of a file succeeded")
	}
	if b := readAll(file); len(b.errs) != 1 {
		t.Errorf("errors %v", b.errs)
	}
}
