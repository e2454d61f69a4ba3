package fence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

func TestKilledGuardIsReplacedAndFiresOnTime(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	deadline := armed(t, r, 2*time.Second)
	old, killed := r.guardPID(), bootNow()
	must(t, unix.Kill(old, unix.SIGKILL))
	r.told(t, "dead", func(g events.GuardTick) bool { return !g.Alive && strings.Contains(g.Reason, "SIGKILL") })
	t.Logf("noticed within %v", bootNow().Sub(killed))
	eventually(t, "another guard lives", func() bool { return r.State().Alive && r.guardPID() != old })
	t.Logf("replaced within %v", bootNow().Sub(killed))
	dies(t, s, r.page.Load(), deadline)
}

func TestFrozenGuardIsNoticedAndReplaced(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	armed(t, r, time.Minute)
	old, frozen := r.guardPID(), bootNow()
	must(t, unix.Kill(old, unix.SIGSTOP))
	eventually(t, "noticed", func() bool { return !r.State().Alive })
	noticed := bootNow().Sub(frozen)
	t.Logf("noticed after %v: %s", noticed, r.State().Reason)
	if noticed > 2*time.Second || r.Strength() != StrengthEngineOnly {
		t.Errorf("noticed after %v, strength %q", noticed, r.Strength())
	}
	if err := r.Arm(within(t, 200*time.Millisecond), bootNow().Add(time.Minute)); !errors.Is(err, ErrNoGuard) {
		t.Errorf("Arm with a frozen guard: %v", err)
	}
	eventually(t, "replaced", func() bool { return r.State().Alive && r.guardPID() != old })
	t.Logf("replaced after %v", bootNow().Sub(frozen))
	armed(t, r, time.Minute)
}

func TestArmedGuardRefusesSignals(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	deadline := armed(t, r, 2*time.Second)
	p, pid := r.page.Load(), r.guardPID()
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTTOU, unix.SIGTSTP, unix.SIGPIPE, unix.SIGUSR1, unix.SIGTERM} {
		must(t, unix.Kill(pid, sig))
	}
	eventually(t, "SIGTERM was refused", func() bool { return p.refusals.Load() == 1 })
	dies(t, s, p, deadline)
	if r.guardPID() != pid {
		t.Error("the guard was replaced meanwhile")
	}
}

func TestAgentsEnd(t *testing.T) {
	s, dir := newServer(t), runtimeDir(t)
	r := startRig(t, testConfig(dir, s.dir))
	pid := r.guardPID()
	armed(t, r, time.Minute)
	r.stop(t)
	must(t, unix.Kill(pid, 0))
	again := startRig(t, testConfig(dir, s.dir)) // its cleanup demands that a disarmed guard ends with Run
	if again.guardPID() != pid {
		t.Errorf("guard %d was not adopted, but %d", pid, again.guardPID())
	}
	again.end(t)
}

func TestSecondAgentIsRefused(t *testing.T) {
	data, dir := t.TempDir(), runtimeDir(t)
	startRig(t, testConfig(dir, data))
	cfg := testConfig(dir, data)
	cfg.Identity = "other/two"
	_, err := New(cfg)
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("New = %v", err)
	}
}

func TestRemovedPageIsMadeAgain(t *testing.T) {
	s, dir := newServer(t), runtimeDir(t)
	r := startRig(t, testConfig(dir, s.dir))
	armed(t, r, time.Minute)
	old := r.guardPID()
	must(t, os.Remove(pagePath(dir, s.dir)))
	eventually(t, "another page with another guard", func() bool { return r.guardPID() != old && r.State().Alive })
	deadline := armed(t, r, time.Minute+time.Second)
	eventually(t, "the old guard left", func() bool { return errors.Is(unix.Kill(old, 0), unix.ESRCH) })
	if got := r.State(); got.Deadline == 0 || got.Fired {
		t.Errorf("state of the new page: %+v, armed until %d", got, deadline)
	}
	if _, err := New(testConfig(dir, s.dir)); !errors.Is(err, ErrHeld) {
		t.Errorf("the new page is not held: %v", err)
	}
	if !s.alive() {
		t.Error("PostgreSQL was touched")
	}
}

func TestNoGuardToBeHad(t *testing.T) {
	cfg := testConfig(runtimeDir(t), t.TempDir())
	cfg.Executable = []string{"/bin/false"}
	f, err := New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func(events.Fact) {}) }()
	eventually(t, "the reason is told", func() bool { return strings.Contains(f.State().Reason, "exit code 1") })
	if err := f.Arm(within(t, 500*time.Millisecond), bootNow().Add(time.Minute)); !errors.Is(err, ErrNoGuard) {
		t.Errorf("Arm = %v", err)
	}
	if state := f.page.Load().state.Load(); state != 0 {
		t.Error("the refused arming stands")
	}
	cancel()
	must(t, <-done)
	must(t, f.Close())
}

func TestMissingDataDirectoryCannotBeArmed(t *testing.T) {
	r := startRig(t, testConfig(runtimeDir(t), filepath.Join(t.TempDir(), "none")))
	if err := r.Arm(within(t, patience), bootNow().Add(time.Minute)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Arm = %v", err)
	}
	must(t, os.Mkdir(r.cfg.DataDir, 0o700))
	armed(t, r, time.Minute)
	r.told(t, "nothing to be seen", func(g events.GuardTick) bool { return strings.Contains(g.Reason, "sees no process") })
}

func TestPageOfAnotherBootIsForgotten(t *testing.T) {
	cfg := testConfig(runtimeDir(t), t.TempDir())
	f, err := New(cfg)
	must(t, err)
	f.page.Load().state.Store(1)
	f.page.Load().bootLow.Add(1)
	must(t, f.Close())
	if f, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if state := f.page.Load().state.Load(); state != 0 {
		t.Errorf("a deadline of another boot is in force: %d", state)
	}
	must(t, f.Close())
}
