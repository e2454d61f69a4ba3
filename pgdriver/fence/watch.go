package fence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

const (
	watchTick   = 250 * time.Millisecond // how often Run looks at the page; the guard's death, and PostgreSQL's, are told without it
	startTick   = 5 * time.Millisecond   // the same while a guard starts
	frozenAfter = time.Second            // without a heartbeat, as long as this process itself was running
	killAfter   = 3 * time.Second        // then a frozen guard is killed and replaced
	startLimit  = 5 * time.Second        // for a new guard to announce itself
	stableAfter = 10 * time.Second       // a guard that lived this long is replaced without waiting
	firstDelay  = 100 * time.Millisecond // before starting a guard again whose predecessor died young
	mostDelay   = 5 * time.Second
	leaveLimit  = time.Second // at the end of Run
)

// watcher is what Run knows of the guard process. Nothing but Run (and New before it) touches it.
type watcher struct {
	guard    *watched
	nextTry  events.Instant
	delay    time.Duration
	lastTick events.Instant
	beat     int64         // heartbeat as last seen
	quiet    time.Duration // for which it has not moved while this process was running
	told     events.GuardTick
	toldOnce bool
}

// watched is one guard process.
type watched struct {
	proc    *process
	since   events.Instant
	ready   bool          // it has announced itself
	ended   chan struct{} // closed by the waiting goroutine
	waiting bool
	waitErr error // why waiting ended, read after ended
	killed  bool  // by us, because it was frozen
}

// Run keeps a guard alive until ctx ends, and tells sink every change of its state. When ctx ends, a guard that
// is armed, or has fired, stays behind; one that is disarmed is ended.
func (f *Fence) Run(ctx context.Context, sink func(events.Fact)) error {
	if !f.running.CompareAndSwap(false, true) {
		return errors.New("fence: already running")
	}
	defer f.running.Store(false)
	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	lost := make(chan struct{}, 1)
	looked := make(chan struct{})
	go func() { // owned by Run, joined in leave
		defer close(looked)
		f.lookAfterDirectory(looking, lost)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var ended chan struct{}
		if g := f.watch.guard; g != nil {
			g.startWaiting()
			ended = g.ended
		}
		select {
		case <-ctx.Done():
			return f.leave(looked)
		case <-ended:
			f.buryGuard()
		case <-lost:
			if err := f.renewPage(ctx); err != nil {
				f.cfg.Log.Error("the guard's page was removed and cannot be made again", zap.Error(err))
			}
		case <-timer.C:
		}
		f.supervise()
		f.publish(sink)
		next := watchTick
		if g := f.watch.guard; g != nil && !g.ready {
			next = startTick
		}
		timer.Reset(next)
	}
}

func (f *Fence) publish(sink func(events.Fact)) {
	if now := f.State(); now != f.watch.told || !f.watch.toldOnce {
		f.watch.told, f.watch.toldOnce = now, true
		sink(now)
	}
}

// supervise starts, adopts, judges and replaces the guard.
func (f *Fence) supervise() {
	w, p, now := &f.watch, f.page.Load(), f.cfg.Now()
	if w.guard == nil {
		f.findOrStart(p, now)
	}
	if g := w.guard; g != nil && !g.ready {
		switch {
		case p.guardPID.Load() == g.proc.pid && p.heartbeat.Load() >= int64(g.since):
			g.ready = true
		case now.Sub(g.since) > startLimit:
			f.killGuard("the guard did not announce itself")
		}
	}
	f.judgeHeartbeat(p, now)
}

func (f *Fence) judgeHeartbeat(p *page, now events.Instant) {
	w := &f.watch
	// Time in which this process was itself stopped is no evidence against the guard.
	step := min(now.Sub(w.lastTick), 2*watchTick)
	w.lastTick = now
	if beat := p.heartbeat.Load(); beat != w.beat {
		w.beat, w.quiet = beat, 0
	} else {
		w.quiet += step
	}
	if w.guard == nil || !w.guard.ready {
		w.quiet = 0
		return
	}
	switch {
	case w.quiet >= killAfter && !w.guard.killed:
		f.killGuard("the guard was frozen")
	case w.quiet >= frozenAfter:
		f.setDead(fmt.Sprintf("the guard is frozen: no heartbeat for more than %v", frozenAfter))
	case !w.guard.killed:
		f.alive.Store(true)
	}
}

// findOrStart adopts a guard that lives on the page, or starts one.
func (f *Fence) findOrStart(p *page, now events.Instant) {
	if err := f.adopt(p); err != nil {
		f.setDead(err.Error())
		return
	}
	if f.watch.guard != nil || now < f.watch.nextTry {
		return
	}
	g, err := f.startGuard(p)
	if err != nil {
		f.setDead(err.Error())
		f.delayNext(now)
		return
	}
	f.watch.guard = g
}

func (f *Fence) delayNext(now events.Instant) {
	w := &f.watch
	w.delay = min(max(2*w.delay, firstDelay), mostDelay)
	w.nextTry = now.Add(w.delay)
}

// adopt makes a guard that holds the page's lock the watched one. No guard is no error.
func (f *Fence) adopt(p *page) error {
	held, err := p.lockHeld(guardLockByte)
	if err != nil || !held {
		return err
	}
	pid := p.guardPID.Load()
	proc, err := openProcess(pid, p.guardStart.Load())
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("a guard that has not announced itself holds %s", p.path)
	}
	if err != nil {
		return fmt.Errorf("adopt guard: %w", err)
	}
	f.watch.guard = &watched{proc: proc, since: f.cfg.Now(), ready: true, ended: make(chan struct{})}
	f.watch.beat, f.watch.quiet, f.watch.lastTick = p.heartbeat.Load(), 0, f.cfg.Now()
	f.cfg.Log.Info("adopted the guard", zap.Int64("guard_pid", pid), zap.Int64("armed_until", p.state.Load()))
	return nil
}

// startGuard starts the companion process in a session of its own, so that what is sent to the agent's
// process group does not reach it.
func (f *Fence) startGuard(p *page) (*watched, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer func() { _ = null.Close() }() // nothing was written
	argv := append(append([]string{}, f.cfg.Executable...), "-page", p.path, "-data", f.dataDir)
	since := f.cfg.Now()
	child, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: "/",
		// One thread of work, no collection, no preemption by signal: the last may allocate.
		Env:   []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"},
		Files: []*os.File{null, null, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	pid := int64(child.Pid)
	start, err := processStart(pid) // it cannot vanish before it is reaped
	var proc *process
	if err == nil {
		proc, err = openProcess(pid, start)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("start guard: %w", err), child.Kill())
		_, waitErr := child.Wait()
		return nil, errors.Join(err, waitErr)
	}
	if err := child.Release(); err != nil {
		f.cfg.Log.Warn("release guard process", zap.Error(err))
	}
	return &watched{proc: proc, since: since, ended: make(chan struct{})}, nil
}

// startWaiting has the end of the process noticed at once. The goroutine ends with the process, or when
// its descriptor is closed by stopWaiting.
func (g *watched) startWaiting() {
	if g.waiting {
		return
	}
	g.waiting = true
	go func() {
		defer close(g.ended)
		g.waitErr = g.proc.wait()
	}()
}

// stopWaiting closes the descriptor and joins the goroutine.
func (g *watched) stopWaiting() error {
	err := g.proc.close()
	if g.waiting {
		<-g.ended
	}
	return err
}

func (f *Fence) killGuard(why string) {
	f.watch.guard.killed = true
	f.setDead(why)
	f.cfg.Log.Error("killing the guard to replace it", zap.String("why", why), zap.Int64("guard_pid", f.watch.guard.proc.pid))
	if err := f.watch.guard.proc.signal(unix.SIGKILL); err != nil {
		f.setDead(why + ", and cannot be killed: " + err.Error())
	}
}

// buryGuard notes the death of the guard; supervise starts another, which takes the deadline from the page.
func (f *Fence) buryGuard() {
	w, now := &f.watch, f.cfg.Now()
	g := w.guard
	reason := "the guard died"
	if g.killed {
		reason = f.why()
	} else if g.waitErr != nil {
		reason = g.waitErr.Error()
	}
	if how := reap(g.proc.pid); how != "" {
		reason += ": " + how
	}
	f.setDead(reason)
	f.cfg.Log.Warn("the guard died", zap.Int64("guard_pid", g.proc.pid), zap.String("reason", reason))
	if err := g.stopWaiting(); err != nil {
		f.cfg.Log.Warn("close guard process", zap.Error(err))
	}
	w.guard, w.quiet, w.nextTry = nil, 0, now
	switch {
	case g.ready && now.Sub(g.since) >= stableAfter:
		w.delay = 0
	case g.ready && w.delay == 0:
		w.delay = firstDelay // the first death is mended at once, the next in short order waits
	default:
		f.delayNext(now)
	}
}

// leave ends Run: a disarmed guard goes too, any other stays.
func (f *Fence) leave(looked <-chan struct{}) error {
	var problems []error
	if g := f.watch.guard; g != nil {
		p := f.page.Load()
		g.startWaiting()
		if p.state.Load() == 0 {
			problems = append(problems, f.dismiss(p, g))
		}
		problems = append(problems, g.stopWaiting())
		f.watch.guard = nil
		f.setDead("the agent has stopped watching the guard")
	}
	select {
	case <-looked:
	case <-time.After(leaveLimit):
		problems = append(problems, fmt.Errorf("data directory %s does not answer: its watcher was left behind", f.dataDir))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	return nil
}

// dismiss ends a disarmed guard: it is asked to, then killed.
func (f *Fence) dismiss(p *page, g *watched) error {
	p.quit.Store(p.guardLife.Load())
	p.ask()
	defer reap(g.proc.pid)
	for range 2 {
		select {
		case <-g.ended:
			return g.waitErr
		case <-time.After(leaveLimit):
			if err := g.proc.signal(unix.SIGKILL); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the guard (process %d) does not die", g.proc.pid)
}
