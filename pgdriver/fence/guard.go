package fence

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

// Periods of the guard's loop.
const (
	restPoll   = 400 * time.Millisecond // disarmed; an arming wakes it at once
	armedPoll  = 200 * time.Millisecond // armed; it also wakes at the deadline itself
	lookEvery  = 5 * time.Second        // armed: how often it checks that it can see and signal its quarry,
	lookAgain  = time.Second            // and how often while it sees none;
	lookFirst  = 250 * time.Millisecond // the first such check comes a moment after the arming, which is when clients wait for a promotion
	aimAhead   = 200 * time.Millisecond // before the deadline: it looks up whom to kill, so that killing is all that is left to do
	killPause  = 2 * time.Millisecond   // between passes while processes are left …
	killPauses = 100                    // … this many times, then
	killWait   = 10 * time.Millisecond  // for ever
	sweepLeast = 25 * time.Millisecond  // after firing, when nothing is left; longer on machines with very many
	sweepShare = 50                     // processes, so that a pass takes at most this part of the time
	orphanStay = 10 * time.Second       // disarmed and without an agent: how long it stays to be adopted
	lockWait   = 3 * time.Second        // at start, for a predecessor that is being killed
)

// guard is the companion process. One goroutine works in it; it allocates nothing after warm-up.
type guard struct {
	page *page
	scan *scanner
	life int64

	orphanSince events.Instant // zero while an agent lives
	lookAt      events.Instant
	aimedFor    int64 // state for which the processes were looked up in advance
	sweepPause  time.Duration
	told        bool // that it has fired

	message []byte // what to say when it has fired, made in advance
}

// RunGuard is the main function of the companion process. It returns the exit code.
func RunGuard(args []string) int {
	flags := flag.NewFlagSet("guard", flag.ContinueOnError)
	path := flags.String("page", "", "file shared with the agent")
	dataDir := flags.String("data", "", "data directory, for people who read the process list")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *path == "" {
		fmt.Fprintln(os.Stderr, "guard: the agent starts this program; it needs -page")
		return 2
	}
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU,
		unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM)
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM)
	g, err := newGuard(*path, *dataDir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 1
	}
	g.warmUp()
	g.announce()
	g.run(term)
	return 0
}

func newGuard(path, dataDir string) (*guard, error) {
	p, err := openPage(path, false)
	if err != nil {
		return nil, err
	}
	scan, err := newScanner(os.Getpid())
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	for end := bootNow().Add(lockWait); ; sleepUntil(bootNow().Add(killWait)) {
		err := p.lock(guardLockByte)
		if err == nil {
			break
		}
		if !errors.Is(err, errLocked) || bootNow() > end {
			return nil, errors.Join(fmt.Errorf("take guard page %s: %w", path, err), p.close())
		}
	}
	if !p.valid() {
		return nil, errors.Join(fmt.Errorf("guard page %s: not of this version", path), p.close())
	}
	message := fmt.Sprintf("regent guard: the deadline passed and nobody moved it: killed PostgreSQL in %s\n", dataDir)
	return &guard{page: p, scan: scan, sweepPause: sweepLeast, message: []byte(message)}, nil
}

// warmUp runs everything once, so that memory is committed and code is resident, then gives back what
// the start used, and asks for what the machine permits: locked memory, priority, to be spared.
func (g *guard) warmUp() {
	g.scan.pass(quarry{ino: -1}, 0)
	bootNow()
	sleepUntil(bootNow())
	idleOn(g.page.futexWord(), uint32(g.page.seq.Load())+1, 0)
	spareThreads()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(64 << 20) // only goroutines of other packages could ever need a collection
	debug.FreeOSMemory()
	g.page.powers.Store(int64(harden(g.page.memory)))
}

// spareThreads has the runtime make some threads, which it keeps: to start one later could fail.
func spareThreads() {
	const threads = 4
	var done sync.WaitGroup
	until := bootNow().Add(20 * time.Millisecond)
	for range threads {
		done.Go(func() { idleUntil(until) })
	}
	done.Wait()
}

// announce makes this process the page's guard.
func (g *guard) announce() {
	pid := int64(os.Getpid())
	start, err := processStart(pid)
	if err != nil {
		start = 0 // the agent falls back to the lock
	}
	g.page.guardPID.Store(pid)
	g.page.guardStart.Store(start)
	g.page.heartbeat.Store(int64(bootNow()))
	g.life = g.page.guardLife.Add(1)
}

func (g *guard) run(term <-chan os.Signal) {
	for {
		select {
		case <-term:
			if g.mayLeave() {
				return
			}
			g.page.refusals.Add(1)
		default:
		}
		seq := g.page.seq.Load()
		now := bootNow()
		state := g.step(now, seq)
		switch {
		case state == 0:
			if g.page.quit.Load() == g.life || g.orphaned(now) {
				return
			}
			idleOn(g.page.futexWord(), uint32(seq), restPoll)
		case state > 0:
			idleUntil(g.wakeAt(events.Instant(state), now))
		default:
			idleUntil(bootNow().Add(g.sweepPause))
		}
	}
}

func (g *guard) wakeAt(deadline, now events.Instant) events.Instant {
	if aim := deadline.Add(-aimAhead); aim > now {
		deadline = aim
	}
	return min(deadline, now.Add(armedPoll))
}

// step looks at the state once and does what it asks for. seq was read before.
func (g *guard) step(now events.Instant, seq int64) int64 {
	p := g.page
	state := p.state.Load()
	p.heartbeat.Store(int64(now))
	if state > 0 && int64(now) >= state {
		p.firedAt.Store(int64(now))
		p.goneAt.Store(0)
		p.rounds.Store(0)
		if p.state.CompareAndSwap(state, -state) {
			g.scan.release()
			p.killed.Store(int64(g.scan.killed))
			g.told = false
			g.sweepPause = sweepLeast
			g.kill()
		}
		state = p.state.Load()
	} else if state < 0 {
		g.kill()
		state = p.state.Load()
	}
	p.seen.Store(state)
	p.ack.Store(seq)
	if g.aimedFor != 0 && g.aimedFor != state {
		g.scan.dropAims()
		g.aimedFor = 0
	}
	switch {
	case state > 0 && g.aimedFor == 0 && now >= events.Instant(state).Add(-aimAhead):
		g.aimedFor = state
		g.scan.aim(g.quarry())
	case state == 0:
		g.lookAt = 0
		p.visible.Store(-1)
		p.denied.Store(0)
	case state > 0 && g.lookAt == 0:
		g.lookAt = now.Add(lookFirst)
	case state > 0 && now >= g.lookAt:
		g.look(now)
	}
	return state
}

// look checks that the processes to be killed can be seen and signalled.
func (g *guard) look(now events.Instant) {
	visible := g.scan.pass(g.quarry(), 0)
	if g.lookAt = now.Add(lookEvery); visible == 0 {
		g.lookAt = now.Add(lookAgain)
	}
	g.page.visible.Store(int64(visible))
	g.page.denied.Store(int64(g.scan.denied))
}

func (g *guard) quarry() quarry {
	p := g.page
	return quarry{
		dev: p.dirDev.Load(), ino: p.dirIno.Load(),
		postmaster: int(p.postmasterPID.Load()), postmasterStart: p.postmasterStart.Load(),
	}
}

// kill sends SIGKILL until a pass finds nothing, or the firing is acknowledged. A process in an
// uninterruptible wait dies when that ends; until then it is looked at every killWait.
func (g *guard) kill() {
	p := g.page
	for round := 0; p.state.Load() < 0; round++ {
		begin := bootNow()
		p.heartbeat.Store(int64(begin))
		left := g.scan.pass(g.quarry(), unix.SIGKILL)
		end := bootNow()
		p.rounds.Add(1)
		p.killed.Add(int64(g.scan.killed))
		p.visible.Store(int64(left))
		p.denied.Store(int64(g.scan.denied))
		if left == 0 {
			p.goneAt.CompareAndSwap(0, int64(end))
			g.sweepPause = max(sweepLeast, end.Sub(begin)*sweepShare)
			g.tell()
			return
		}
		p.goneAt.Store(0)
		p.seen.Store(p.state.Load())
		pause := killPause
		if round >= killPauses {
			pause = killWait
		}
		sleepUntil(end.Add(pause))
	}
}

// tell writes one line to standard error, if that does not block: a frozen agent may be its reader.
func (g *guard) tell() {
	if g.told {
		return
	}
	g.told = true
	if len(g.message) > 0 && writable(2) {
		rawWrite(2, g.message)
	}
}

// mayLeave answers SIGTERM. An armed guard stays. One that has fired leaves only when no agent is alive: then it is a
// person, or the service manager, who ends everything.
func (g *guard) mayLeave() bool {
	switch state := g.page.state.Load(); {
	case state == 0:
		return true
	case state > 0:
		return false
	}
	held, err := g.page.lockHeld(agentLockByte)
	return err == nil && !held && g.page.goneAt.Load() != 0
}

// orphaned tells that no agent has lived for orphanStay.
func (g *guard) orphaned(now events.Instant) bool {
	held, err := g.page.lockHeld(agentLockByte)
	switch {
	case err != nil || held:
		g.orphanSince = 0
	case g.orphanSince == 0:
		g.orphanSince = now
	}
	return g.orphanSince != 0 && now.Sub(g.orphanSince) >= orphanStay
}
