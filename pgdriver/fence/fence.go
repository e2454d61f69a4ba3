package fence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

// The refusals that callers ask for with errors.Is.
var (
	// ErrFired: the guard has killed PostgreSQL and goes on doing so until AcknowledgeFired.
	ErrFired = errors.New("the guard has fired")
	// ErrHeld: another living agent has this data directory.
	ErrHeld = errors.New("another agent has this data directory")
	// ErrNoGuard: no living guard has answered in time.
	ErrNoGuard = errors.New("no guard answers")
	// ErrPast: the deadline to be armed has passed already.
	ErrPast = errors.New("the deadline has passed")
)

// Words of Strength.
const (
	StrengthGuard      = "guard"
	StrengthEngineOnly = "engine only"
)

const (
	freshHeartbeat = time.Second // an older one makes Arm ask the guard instead of trusting it
	answerPoll     = time.Millisecond
)

// Config is what a Fence needs.
type Config struct {
	// RuntimeDir holds the page. It should be a tmpfs, as everything below /run is: on a disk, a store into the page
	// could have to wait for that disk. It is made if it is missing.
	RuntimeDir string
	DataDir    string
	// Identity says to people whose page it is, for example scope/name.
	Identity string
	// Executable is the argv that starts the guard, for example {"/proc/self/exe", "guard"}. The first
	// word is a path that is not searched for.
	Executable []string
	// Now reads CLOCK_BOOTTIME. The guard reads the same clock by itself.
	Now func() events.Instant
	Log *zap.Logger
}

func (c *Config) validate() error {
	switch {
	case c.RuntimeDir == "":
		return errors.New("no runtime directory (RuntimeDir)")
	case !filepath.IsAbs(c.DataDir):
		return fmt.Errorf("data directory %q: want an absolute path", c.DataDir)
	case len(c.Executable) == 0:
		return errors.New("the argv of the guard (Executable) is empty")
	case c.Now == nil:
		return errors.New("no clock (Now)")
	}
	return nil
}

// Fence is the agent's side of the guard. Its methods may be called from several goroutines.
type Fence struct {
	cfg     Config
	origin  origin
	dataDir string // without symbolic links
	page    atomic.Pointer[page]
	// mu orders changes of state by this process with each other and with the change to a new page. It is
	// never held across a wait.
	mu      sync.Mutex
	running atomic.Bool
	alive   atomic.Bool
	reason  atomic.Pointer[string] // why not alive
	looks   chan chan error        // requests to look at the data directory now
	watch   watcher                // only Run touches it
}

// New maps the page and takes it for this agent. A guard that lives on it is adopted, with the deadline
// that it holds. Close gives the page back.
func New(cfg Config) (*Fence, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("fence: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	origin, err := readOrigin()
	if err != nil {
		return nil, fmt.Errorf("fence: %w", err)
	}
	if err := os.MkdirAll(cfg.RuntimeDir, 0o700); err != nil {
		return nil, fmt.Errorf("fence: make runtime directory: %w", err)
	}
	f := &Fence{cfg: cfg, origin: origin, dataDir: resolve(cfg.DataDir), looks: make(chan chan error)}
	f.warnAboutDisk()
	p, err := f.claimPage()
	if err != nil {
		return nil, fmt.Errorf("fence: %w", err)
	}
	f.page.Store(p)
	f.setDead("the guard was not started yet")
	if err := f.adopt(p); err != nil {
		f.setDead(err.Error())
	} else if f.watch.guard != nil && cfg.Now().Sub(events.Instant(p.heartbeat.Load())) < freshHeartbeat {
		f.alive.Store(true)
	}
	return f, nil
}

// resolve follows the symbolic links of a path of which the last part may not exist yet.
func resolve(path string) string {
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		return whole
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(parent, filepath.Base(path))
	}
	return filepath.Clean(path)
}

func (f *Fence) warnAboutDisk() {
	var st unix.Statfs_t
	if err := unix.Statfs(f.cfg.RuntimeDir, &st); err != nil || st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC {
		f.cfg.Log.Warn("the guard's page is not in memory: a disk that stalls can delay the guard",
			zap.String("runtime_dir", f.cfg.RuntimeDir))
	}
}

// claimPage opens or makes the page and locks it for this agent.
func (f *Fence) claimPage() (*page, error) {
	p, err := openPage(pagePath(f.cfg.RuntimeDir, f.dataDir), true)
	if err != nil {
		return nil, err
	}
	if err := f.takePage(p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (f *Fence) takePage(p *page) error {
	if err := p.lock(agentLockByte); errors.Is(err, errLocked) {
		return fmt.Errorf("%w: process %d (%s) holds %s", ErrHeld, p.agentPID.Load(), p.identity(), p.path)
	} else if err != nil {
		return fmt.Errorf("lock guard page %s: %w", p.path, err)
	}
	held, err := p.lockHeld(guardLockByte)
	if err != nil {
		return err
	}
	switch {
	case held && !p.valid():
		return fmt.Errorf("guard page %s: guard %d is of a version that cannot be adopted: disarm or end it first", p.path, p.guardPID.Load())
	case held && p.origin() != f.origin:
		return fmt.Errorf("guard page %s: its guard lives in another pid namespace, in which this agent cannot watch it", p.path)
	case !held && (!p.valid() || p.origin() != f.origin):
		p.reset(f.origin) // from before a reboot: its instants mean nothing now
	}
	pid := int64(os.Getpid())
	start, err := processStart(pid)
	if err != nil {
		return err
	}
	p.setAgent(pid, start, f.cfg.Identity)
	return nil
}

// Close gives the page to whoever comes next. The guard, if armed, goes on. Run must have returned.
func (f *Fence) Close() error {
	var err error
	if g := f.watch.guard; g != nil { // adopted by New, and Run was never called
		err = g.stopWaiting()
	}
	// The mapping stays: State may still be asked, and it is one page.
	return errors.Join(err, f.page.Load().release())
}

// Arm moves the deadline at which PostgreSQL dies, and returns when a living guard is known to hold it. An earlier
// deadline than the one that is armed holds too: a lease may become shorter. When the guard is armed and well this is a
// store in memory; when it was disarmed, the data directory is looked up and the guard must answer before ctx ends,
// or else the guard stays disarmed. Run must be running.
func (f *Fence) Arm(ctx context.Context, deadline events.Instant) error {
	now := f.cfg.Now()
	if deadline <= now {
		return fmt.Errorf("arm guard: %w %v ago", ErrPast, now.Sub(deadline))
	}
	p, before, err := f.move(int64(deadline), false)
	if err == nil && before == 0 {
		return f.armFromRest(ctx, int64(deadline))
	}
	if err != nil {
		return fmt.Errorf("arm guard: %w", err)
	}
	if f.alive.Load() && p.ack.Load() == p.seq.Load() && now.Sub(events.Instant(p.heartbeat.Load())) < freshHeartbeat {
		return nil
	}
	if err := f.confirm(ctx); err != nil {
		return fmt.Errorf("arm guard: the deadline was moved, but %w", err)
	}
	return nil
}

func (f *Fence) armFromRest(ctx context.Context, deadline int64) error {
	if err := f.lookNow(ctx); err != nil {
		return fmt.Errorf("arm guard: %w", err)
	}
	_, before, err := f.move(deadline, true)
	if err == nil {
		err = f.confirm(ctx)
	}
	if err == nil {
		return nil
	}
	if before == 0 && !errors.Is(err, ErrFired) {
		// The caller will not act on it: a guard that comes up later must not fire.
		f.mu.Lock()
		undone := f.page.Load().state.CompareAndSwap(deadline, 0)
		f.mu.Unlock()
		if !undone && f.page.Load().state.Load() < 0 {
			err = ErrFired
		}
	}
	return fmt.Errorf("arm guard: %w", err)
}

// move sets the armed deadline and tells the state before; a disarmed guard is armed only with fromRest.
func (f *Fence) move(deadline int64, fromRest bool) (p *page, before int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p = f.page.Load()
	for {
		before = p.state.Load()
		switch {
		case before < 0:
			return p, before, f.firedError(p)
		case before == 0 && !fromRest, before == deadline:
			return p, before, nil
		}
		if p.state.CompareAndSwap(before, deadline) {
			return p, before, nil
		}
	}
}

func (f *Fence) firedError(p *page) error {
	ago := f.cfg.Now().Sub(events.Instant(p.firedAt.Load()))
	return fmt.Errorf("%w %v ago and must be acknowledged first", ErrFired, ago.Round(time.Millisecond))
}

// Disarm tells the guard that PostgreSQL is no primary. When it returns nil the guard has not fired and will not. It
// needs no living guard.
func (f *Fence) Disarm(_ context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.page.Load()
	for {
		before := p.state.Load()
		if before < 0 {
			return fmt.Errorf("disarm guard: %w", f.firedError(p))
		}
		if before == 0 || p.state.CompareAndSwap(before, 0) {
			return nil
		}
	}
}

// AcknowledgeFired says that the agent knows that its PostgreSQL was killed. It waits until no process is left
// and the guard has stopped looking for more; then the guard is disarmed.
func (f *Fence) AcknowledgeFired(ctx context.Context) error {
	for {
		p := f.page.Load()
		state := p.state.Load()
		if state >= 0 {
			return nil
		}
		if p.goneAt.Load() != 0 {
			f.mu.Lock()
			done := f.page.Load().state.CompareAndSwap(state, 0)
			f.mu.Unlock()
			if done {
				break
			}
			continue
		}
		if err := pause(ctx, answerPoll); err != nil {
			return fmt.Errorf("acknowledge firing: %d processes of PostgreSQL are left: %w", p.visible.Load(), err)
		}
	}
	if err := f.confirm(ctx); err != nil {
		return fmt.Errorf("acknowledge firing: %w", err)
	}
	return nil
}

// confirm waits until a guard has read the state as it is now.
func (f *Fence) confirm(ctx context.Context) error {
	p := f.page.Load()
	want := p.ask()
	for p.ack.Load() < want {
		if err := pause(ctx, answerPoll); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNoGuard, f.why(), err)
		}
		if now := f.page.Load(); now != p {
			p, want = now, now.ask()
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// State tells what is known of the guard. Fired is read from the page itself, so an agent that was frozen
// sees it at once, whatever it has missed.
func (f *Fence) State() events.GuardTick {
	p := f.page.Load()
	tick := events.GuardTick{Alive: f.alive.Load(), Fired: p.state.Load() < 0}
	deadline := p.seen.Load()
	if !tick.Alive {
		deadline = p.state.Load() // that the next guard will take over from the page
	}
	if deadline > 0 {
		tick.Deadline = events.Instant(deadline)
	}
	switch {
	case !tick.Alive:
		tick.Reason = f.why()
	case p.denied.Load() > 0:
		tick.Reason = fmt.Sprintf("the guard may not signal PostgreSQL in %s: it must run as the same user", f.dataDir)
	case tick.Deadline != 0 && p.visible.Load() == 0:
		tick.Reason = fmt.Sprintf("the guard sees no process of PostgreSQL in %s", f.dataDir)
	}
	return tick
}

// Strength tells which layer would fence this member if its agent froze now.
func (f *Fence) Strength() string {
	if !f.alive.Load() || f.page.Load().denied.Load() > 0 {
		return StrengthEngineOnly
	}
	return StrengthGuard
}

func (f *Fence) setDead(reason string) {
	f.reason.Store(&reason)
	f.alive.Store(false)
}

func (f *Fence) why() string {
	if f.alive.Load() {
		return "alive, but silent"
	}
	return *f.reason.Load()
}
