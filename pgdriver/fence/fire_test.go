package fence

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

// lateness bounds what a loaded machine of two cores may add. What was measured is logged.
const lateness = 250 * time.Millisecond

func armed(t *testing.T, r *rig, d time.Duration) events.Instant {
	t.Helper()
	deadline := bootNow().Add(d)
	must(t, r.Arm(within(t, patience), deadline))
	return deadline
}

// dies waits for the end of everything and logs how late it was.
func dies(t *testing.T, s *server, p *page, deadline events.Instant) {
	t.Helper()
	eventually(t, "guard has fired and nothing is left", func() bool { return p.state.Load() < 0 && p.goneAt.Load() != 0 })
	fired, gone := events.Instant(p.firedAt.Load()).Sub(deadline), events.Instant(p.goneAt.Load()).Sub(deadline)
	t.Logf("fired %v after the deadline, nothing left after %v; %d signals, %d passes", fired, gone, p.killed.Load(), p.rounds.Load())
	if fired < 0 {
		t.Errorf("fired %v before the deadline", -fired)
	}
	if gone > patience/10 { // a process that waits for a disk dies when the disk answers
		t.Errorf("processes were left until %v after the deadline", gone)
	}
	eventually(t, "postmaster is gone", func() bool { return !s.alive() })
	if n := s.processes(t); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

func TestFiresAtTheDeadlineAndOnlyOnItsOwn(t *testing.T) {
	ours, other := newServer(t), newServer(t)
	others := other.write(t, 1)
	for range 3 {
		r := startRig(t, testConfig(runtimeDir(t), ours.dir))
		w := ours.write(t, 8)
		deadline := armed(t, r, time.Second)
		if tick := r.State(); tick.Deadline != deadline || !tick.Alive {
			t.Errorf("after Arm the state is %+v", tick)
		}
		dies(t, ours, r.page.Load(), deadline)
		w.group.Wait()
		last := events.Instant(w.last.Load()).Sub(deadline)
		t.Logf("%d inserts; the last was acknowledged %v after the deadline", w.count.Load(), last)
		if last > lateness {
			t.Errorf("an insert was acknowledged %v after the deadline", last)
		}
		r.told(t, "fired", func(g events.GuardTick) bool { return g.Fired })
		r.end(t)
		ours.start(t)
	}
	before := others.count.Load()
	eventually(t, "the other PostgreSQL goes on", func() bool { return others.count.Load() > before })
	close(others.stop)
	others.group.Wait()
}

func TestMovedDeadlineLeavesPostgresAlone(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	w := s.write(t, 2)
	until := time.Now().Add(3 * time.Second)
	var deadline events.Instant
	for time.Now().Before(until) {
		deadline = armed(t, r, time.Second)
		time.Sleep(50 * time.Millisecond)
	}
	deadline = deadline.Add(-200 * time.Millisecond)
	must(t, r.Arm(within(t, patience), deadline))
	if got := r.page.Load().state.Load(); got != int64(deadline) {
		t.Errorf("an earlier deadline does not hold: the armed one is %v later", time.Duration(got-int64(deadline)))
	}
	must(t, r.Disarm(within(t, patience)))
	eventually(t, "the deadline passes", func() bool { return bootNow() > deadline.Add(300*time.Millisecond) })
	if tick := r.State(); tick.Fired || !s.alive() {
		t.Errorf("disarmed, yet %+v, PostgreSQL alive %v", tick, s.alive())
	}
	if err := r.Arm(within(t, patience), deadline); !errors.Is(err, ErrPast) {
		t.Errorf("arming a deadline of the past: %v", err)
	}
	close(w.stop)
	w.group.Wait()
}

func TestFrozenAgent(t *testing.T) {
	s, dir := newServer(t), runtimeDir(t)
	a := startAgent(t, dir, s.dir, time.Second)
	eventually(t, "agent has armed", func() bool { return a.said("armed") != "" })
	w := s.write(t, 4)
	must(t, a.cmd.Process.Signal(unix.SIGSTOP))
	p, err := openPage(pagePath(dir, s.dir), false)
	must(t, err)
	deadline := events.Instant(p.state.Load())
	dies(t, s, p, deadline)
	w.group.Wait()
	t.Logf("the last insert was acknowledged %v after the deadline", events.Instant(w.last.Load()).Sub(deadline))
	s.launch(t) // somebody starts it again while nobody holds a lease
	eventually(t, "the resurrected PostgreSQL dies", func() bool { return !s.alive() })
	must(t, a.cmd.Process.Signal(unix.SIGCONT))
	eventually(t, "the thawed agent sees it", func() bool { return a.said("fired")+a.said("not armed") != "" })
	if said := a.said("not armed"); said != "" && !strings.Contains(said, ErrFired.Error()) {
		t.Errorf("thawed in Arm, it says %q", said)
	}
	must(t, p.close())
	<-a.ended
	r := startRig(t, testConfig(dir, s.dir)) // its successor adopts the guard, acknowledges and goes on
	if !r.State().Fired {
		t.Error("the successor does not see that the guard has fired")
	}
	if err := r.Arm(within(t, patience), bootNow().Add(time.Minute)); !errors.Is(err, ErrFired) {
		t.Errorf("arming before the acknowledgement: %v", err)
	}
	if err := r.Disarm(within(t, patience)); !errors.Is(err, ErrFired) {
		t.Errorf("disarming before the acknowledgement: %v", err)
	}
	must(t, r.AcknowledgeFired(within(t, patience)))
	s.start(t)
	armed(t, r, time.Minute)
	s.exec(t, "insert into w default values")
}

func TestAgentReplacedInTime(t *testing.T) {
	s, dir := newServer(t), runtimeDir(t)
	w := s.write(t, 2)
	first := startAgent(t, dir, s.dir, 5*time.Second)
	eventually(t, "agent has armed", func() bool { return first.said("armed") != "" })
	guard := strings.TrimPrefix(first.said("armed"), "armed ")
	must(t, unix.Kill(-first.cmd.Process.Pid, unix.SIGKILL)) // its whole process group
	<-first.ended
	second := startAgent(t, dir, s.dir, 5*time.Second)
	eventually(t, "second agent has armed", func() bool { return second.said("armed") != "" })
	if said := second.said("guard"); said != "guard "+guard+" true" {
		t.Errorf("the second agent says %q, the guard was %s", said, guard)
	}
	n := w.count.Load()
	end := bootNow().Add(6 * time.Second)
	eventually(t, "the first agent's deadline passes", func() bool { return bootNow() > end })
	if w.count.Load() == n || !s.alive() {
		t.Error("PostgreSQL was touched")
	}
	third := startAgent(t, dir, s.dir, time.Second)
	eventually(t, "third agent is refused", func() bool { return third.said("refused") != "" })
	if said := third.said("refused"); !strings.Contains(said, ErrHeld.Error()) || !strings.Contains(said, "test/one") {
		t.Errorf("the refusal says %q", said)
	}
	p, err := openPage(pagePath(dir, s.dir), false)
	must(t, err)
	must(t, unix.Kill(second.cmd.Process.Pid, unix.SIGKILL))
	dies(t, s, p, events.Instant(p.state.Load()))
	w.group.Wait()
	<-second.ended
	must(t, unix.Kill(int(p.guardPID.Load()), unix.SIGTERM)) // fired, nobody left to acknowledge: a person may end it
	eventually(t, "guard leaves", func() bool { held, err := p.lockHeld(guardLockByte); return err == nil && !held })
	must(t, p.close())
}

func TestStoppedPostmasterAndBusyBackendsDie(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	w := s.write(t, 2)
	s.exec(t, `create procedure spin() language plpgsql as $$ begin loop insert into w default values; commit; end loop; end $$`)
	c, err := s.connect()
	must(t, err)
	spinning := make(chan error, 1)
	go func() { _, err := c.Exec(context.Background(), "call spin()"); spinning <- err }()
	must(t, s.cmd.Process.Signal(unix.SIGSTOP))
	deadline := armed(t, r, 500*time.Millisecond)
	dies(t, s, r.page.Load(), deadline)
	w.group.Wait()
	if err := <-spinning; err == nil {
		t.Error("an endless procedure ended well")
	}
}
