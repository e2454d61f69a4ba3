package log

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

const testWait = 20 * time.Second

// faultyDisk asks before before every operation, which may block or refuse. A refused write writes half.
type faultyDisk struct {
	LocalDisk
	mu     sync.Mutex
	before func(op string) error
	closed atomic.Int32 // files
}

func (d *faultyDisk) set(before func(op string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

func (d *faultyDisk) ask(op string) error {
	d.mu.Lock()
	before := d.before
	d.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(op)
}

func (d *faultyDisk) Create(path string) (File, error) {
	if err := d.ask("create"); err != nil {
		return nil, err
	}
	f, err := d.LocalDisk.Create(path)
	return &faultyFile{f, d}, err
}

func (d *faultyDisk) Extend(path string, size int64) (File, error) {
	f, err := d.LocalDisk.Extend(path, size)
	return &faultyFile{f, d}, err
}

type faultyFile struct {
	File
	disk *faultyDisk
}

func (f *faultyFile) Write(b []byte) (int, error) {
	if err := f.disk.ask("write"); err != nil {
		n, werr := f.File.Write(b[:len(b)/2])
		return n, errors.Join(err, werr)
	}
	return f.File.Write(b)
}

func (f *faultyFile) Close() error {
	defer f.disk.closed.Add(1)
	return f.File.Close()
}

func (f *faultyFile) Sync() error {
	if err := f.disk.ask("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// quickDisk syncs nothing: for tests that open a log a thousand times.
type quickDisk struct{ faultyDisk }

func (d *quickDisk) Create(path string) (File, error) {
	f, err := d.LocalDisk.Create(path)
	return quickFile{f}, err
}

func (d *quickDisk) Extend(path string, size int64) (File, error) {
	if err := os.Truncate(path, size); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	return quickFile{f}, err
}

func (d *quickDisk) SyncDir(string) error { return nil }

type quickFile struct{ File }

func (quickFile) Sync() error { return nil }

// running is a writer whose Run is joined by end.
type running struct {
	*Writer
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

func start(t *testing.T, dir string, opt Options) (*running, *Report) {
	t.Helper()
	w, report, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{w, t, cancel, make(chan error, 1)}
	go func() { r.ended <- w.Run(ctx) }()
	return r, report
}

func (r *running) end() {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Fatal(err)
		}
	case <-time.After(testWait):
		r.t.Fatal("Run did not return")
	}
}

func (r *running) sync() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testWait)
	defer cancel()
	if err := r.Sync(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testWait); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func testInput(seq uint64) events.Input {
	return events.Input{Seq: seq, At: events.Instant(seq * 1e9), Wall: int64(seq) * 1e9,
		Fact: events.Progress{Effect: seq, Text: fmt.Sprintf("step %d", seq)}}
}

func testDecision(seq uint64) *events.Decision {
	return &events.Decision{Input: seq, From: "following", To: "campaigning", Rule: "FO-20", Why: "the lease is free",
		Effects: []events.Effect{{ID: seq, Deadline: 7, Action: events.AcquireLease{TTL: 30 * time.Second}}}}
}

// fill writes a log with n inputs, and closes it.
func fill(t *testing.T, dir string, from, n uint64, opt Options) {
	t.Helper()
	w, _ := start(t, dir, opt)
	for seq := from; seq < from+n; seq++ {
		if !w.Append(OfInput(testInput(seq))) {
			t.Fatalf("record %d dropped", seq)
		}
		if seq%10 == 0 {
			w.sync()
		}
	}
	w.sync()
	w.end()
}

type readBack struct {
	records []Record
	errs    []error
	torn    *TornTail
}

func readAll(dir string) (b readBack) {
	r := Read(dir)
	for rec, err := range r.All() {
		if err != nil {
			b.errs = append(b.errs, err)
		} else {
			b.records = append(b.records, rec)
		}
	}
	b.torn = r.TornTail()
	return b
}

// seqs are the inputs in the log; the notes must tell of all others up to last.
func checkComplete(t *testing.T, dir string, last uint64) (missing uint64, notes []Note) {
	t.Helper()
	b := readAll(dir)
	if len(b.errs) > 0 || b.torn != nil {
		t.Fatalf("errors %v, torn %+v", b.errs, b.torn)
	}
	next := uint64(1)
	for i, r := range b.records {
		if i > 0 && r.Number != b.records[i-1].Number+1 {
			t.Fatalf("record %d follows %d", r.Number, b.records[i-1].Number)
		}
		switch r.Kind {
		case KindInput:
			if r.Seq != next {
				t.Fatalf("input %d where %d must be", r.Seq, next)
			}
			next++
		case KindNote:
			n, err := r.Note()
			if err != nil {
				t.Fatal(err)
			}
			notes = append(notes, n)
			if n.Missing == 0 {
				continue
			}
			if n.From != next || n.To != next+n.Missing-1 {
				t.Fatalf("note %+v where input %d must be", n, next)
			}
			next = n.To + 1
			missing += n.Missing
		}
	}
	if next != last+1 {
		t.Fatalf("the log ends before input %d, want %d", next, last+1)
	}
	return missing, notes
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	segments, err := Segments(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		b, err := os.ReadFile(s.Path)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(s.Path)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
