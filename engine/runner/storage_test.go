package runner

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

// hangingDisk answers nothing while it is held.
type hangingDisk struct {
	eventlog.LocalDisk
	mu   sync.Mutex
	gate chan struct{} // closed: go on
}

func newHangingDisk() *hangingDisk {
	d := &hangingDisk{gate: make(chan struct{})}
	close(d.gate)
	return d
}

func (d *hangingDisk) hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = make(chan struct{})
}

func (d *hangingDisk) goOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.gate)
}

func (d *hangingDisk) pass() {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	<-gate
}

func (d *hangingDisk) Create(path string) (eventlog.File, error) {
	d.pass()
	f, err := d.LocalDisk.Create(path)
	return hangingFile{f, d}, err
}

func (d *hangingDisk) Extend(path string, size int64) (eventlog.File, error) {
	d.pass()
	f, err := d.LocalDisk.Extend(path, size)
	return hangingFile{f, d}, err
}

type hangingFile struct {
	eventlog.File
	disk *hangingDisk
}

func (f hangingFile) Write(b []byte) (int, error) { f.disk.pass(); return f.File.Write(b) }
func (f hangingFile) Sync() error                 { f.disk.pass(); return f.File.Sync() }

// toLog is the recorder that the agent has.
type toLog struct{ w *eventlog.Writer }

func (l toLog) Record(in events.Input, d *events.Decision) {
	l.w.Append(eventlog.OfInput(in))
	l.w.Append(eventlog.OfDecision(d, in.Wall))
}

func (l toLog) Sync(ctx context.Context) error { return l.w.Sync(ctx) }

// record makes the rig write a real log, and joins its writer at the end, before the log is read.
func (r *rig) record(dir string, opt eventlog.Options) (w *eventlog.Writer, end func()) {
	r.t.Helper()
	opt.OnStall = func(stalled bool, _ uint64) {
		r.Post(events.StorageStalled{Stalled: stalled, Missing: w.Dropped()})
	}
	w, _, err := eventlog.Open(dir, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	r.cfg.Recorder = toLog{w}
	observe := r.cfg.Observe
	r.cfg.Observe = func(in events.Input, d *events.Decision, s *engine.Status) {
		observe(in, d, s)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inputs = append(r.inputs, in)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }() // joined by end
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(end)
	return w, end
}

// refuse answers a question about the lease with a failure, and does everything else at once.
func (r *rig) refuse(e events.Effect) {
	switch e.Action.ActionKind() {
	case events.ActAcquireLease:
		r.Post(events.LeaseOutcome{Effect: e.ID, Op: events.LeaseAcquire, Outcome: events.Failed, Error: "a test"})
		return
	case events.ActReadDCS:
		r.post(snapshot(100, ""))
	}
	r.Post(answer(e, r.now()))
}

// With a disk that does not answer, decisions go on and cost what they always do; what is missing is counted, and the stall becomes an input.
func TestHungDiskStopsNothing(t *testing.T) {
	const queue = 64
	disk := newHangingDisk()
	dir := t.TempDir()
	r := newRig(t)
	r.do = r.refuse
	w, end := r.record(dir, eventlog.Options{Queue: queue, StallAfter: 50 * time.Millisecond, Disk: disk})
	r.start()
	r.post(started(), snapshot(10, "n2"), replica(r.now()))
	r.await("it follows", in(engine.Following))

	healthy := r.timeSteps(400)
	disk.hang()
	r.post(leaderGone(11)) // the lease is asked for again and again, with an answer each time
	eventually(t, "the lease is asked for five times", func() bool { return len(r.saw(events.ActAcquireLease)) >= 5 })
	eventually(t, "the stall is an input", func() bool {
		return slices.ContainsFunc(r.consumed(), func(in events.Input) bool {
			f, ok := in.Fact.(events.StorageStalled)
			return ok && f.Stalled
		})
	})
	acquired := r.saw(events.ActAcquireLease)[:5]
	waited := make([]time.Duration, len(acquired))
	for i, e := range acquired {
		waited[i] = r.doneAt(e.ID).Sub(e.Deadline.Add(-7500 * time.Millisecond)) // renewTimeout of a ttl of 30 s
	}
	slices.Sort(waited)
	t.Logf("the lease was asked for so long after it was decided: %v", waited)
	if waited[len(waited)/2] > 5*time.Millisecond { // the slowest had to wait for a processor
		t.Errorf("the lease was asked for %v after it was decided: want it at once", waited)
	}
	hung := r.timeSteps(400)
	t.Logf("median of a step: %v with a disk that works, %v with one that hangs", healthy, hung)
	if hung > healthy+200*time.Microsecond {
		t.Errorf("a step takes %v while the disk hangs, %v while it works", hung, healthy)
	}
	dropped := w.Dropped()
	if dropped < 400 {
		t.Errorf("%d records are counted as missing: want most of 800, behind a queue of %d", dropped, queue)
	}

	disk.goOn()
	eventually(t, "the end of the stall is an input that tells of all that is missing", func() bool {
		return slices.ContainsFunc(r.consumed(), func(in events.Input) bool {
			f, ok := in.Fact.(events.StorageStalled)
			return ok && !f.Stalled && f.Missing >= dropped
		})
	})
	eventually(t, "the picture tells of it", func() bool { return r.Status().Dropped >= dropped })
	r.stop()
	end()
	checkGap(t, dir, w.Dropped())
}

// checkGap reads the log: what is missing is said in its place.
func checkGap(t *testing.T, dir string, dropped uint64) {
	t.Helper()
	missing := uint64(0)
	for rec, err := range eventlog.Read(dir).All() {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind == eventlog.KindNote {
			n, err := rec.Note()
			if err != nil {
				t.Fatal(err)
			}
			missing += n.Missing
		}
	}
	if missing != dropped {
		t.Errorf("the log tells of %d missing records, the writer of %d", missing, dropped)
	}
}

// timeSteps posts facts that change nothing, one at a time, and returns the median of how long each takes until its
// picture is published.
func (r *rig) timeSteps(n int) time.Duration {
	r.t.Helper()
	took := make([]time.Duration, n)
	for i := range n {
		o := replica(r.now())
		begin := time.Now()
		r.post(o)
		r.await("the look is published", func(s *engine.Status) bool { return s.Postgres.Sampled >= o.Observation.Sampled })
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[n/2]
}
