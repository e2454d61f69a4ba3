package simulations

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestHostClock(t *testing.T) {
	const second = events.Instant(time.Second)
	c := &hostClock{}
	if c.at(7*second) != 7*second || c.when(7*second) != 7*second {
		t.Error("a clock that is right reads something else")
	}
	c.runs(100*second, 50_000)  // 5 % too fast
	c.runs(200*second, -10_000) // 1 % too slow, from 205 s on
	for _, tt := range []struct{ at, reads events.Instant }{
		{0, 0}, {50 * second, 50 * second}, {100 * second, 100 * second}, {120 * second, 121 * second}, {200 * second, 205 * second},
		{300 * second, 304 * second},
	} {
		if got := c.at(tt.at); got != tt.reads {
			t.Errorf("at %v it reads %v, want %v", tt.at, got, tt.reads)
		}
		if got := c.when(tt.reads); got != tt.at {
			t.Errorf("it reads %v at %v, want %v", tt.reads, got, tt.at)
		}
	}
	last := c.at(199 * second)
	for at := 199 * second; at < 201*second; at += second / 1000 * 7 {
		h := c.at(at)
		if h < last {
			t.Fatalf("it goes back at %v", at)
		}
		if w := c.when(h + 1); c.at(w) < h+1 || c.at(w-1) >= h+1 {
			t.Fatalf("%v is not the first instant at which it reads %v", w, h+1)
		}
		last = h
	}
}

// Wall clocks may say what they will: but for schedules, every decision is the same.
func TestWallClockStepsChangeNothing(t *testing.T) {
	run := func(steps bool) uint64 {
		w := New(Settings{Seed: 5, Members: 3, Config: config})
		w.Faults = Faults{LostRequest: 20, LateAnswer: 20, SlowPeer: 20, FailedEffect: 20, LateLook: 20}
		for _, m := range w.members {
			m.Start()
		}
		for i := range 20 {
			if steps {
				w.members[i%3].StepWall([]time.Duration{-2 * time.Hour, time.Hour, time.Second}[i%3])
			}
			if i%5 == 4 {
				w.members[i%3].CrashPostgres()
			}
			w.Run(30 * time.Second)
		}
		return w.Hash()
	}
	if run(true) != run(false) {
		t.Error("a step of a wall clock changes decisions")
	}
}

// The guard, the lease and the timers of a host go by its clock, and stay within the lease as the store counts it.
func TestDriftWithinTheContract(t *testing.T) {
	for _, ppm := range []int{-mostDrift, mostDrift} {
		w := New(Settings{Seed: 3, Members: 3, Config: config})
		for _, m := range w.members {
			m.Drift(ppm)
			m.Start()
		}
		if !w.RunUntil(time.Minute, w.Healthy) {
			t.Fatal("no cluster")
		}
		old := w.Leader()
		old.Freeze()
		w.Cut(old.name, true)
		var killed, ends events.Instant
		for range 4000 {
			if lease := w.store.Truth(); lease.Holder == old.name {
				ends = lease.Ends
			}
			if w.Run(10 * time.Millisecond); !old.pg.Accepts() && killed == 0 {
				killed = w.Now()
			}
		}
		if killed == 0 || killed >= ends {
			t.Errorf("drift %d: PostgreSQL was killed at %v, and the lease ended at %v", ppm, killed, ends)
		}
		if len(w.Broken) > 0 {
			t.Errorf("drift %d: %s", ppm, w.Broken[0])
		}
	}
}

// Everything of a suspended host stands still, but for its clock; what had to end by then ends when it wakes up, before anybody can write.
func TestSuspendedHost(t *testing.T) {
	w := New(Settings{Seed: 3, Members: 3, Config: config})
	for _, m := range w.members {
		m.Start()
	}
	if !w.RunUntil(time.Minute, w.Healthy) {
		t.Fatal("no cluster")
	}
	old := w.Leader()
	steps := old.seq
	old.Suspend()
	if !w.RunUntil(2*time.Minute, func() bool { return w.Leader() != nil && w.Leader() != old }) {
		t.Fatal("nobody took over")
	}
	if old.seq != steps || old.guard.fired || old.pg.Accepts() || !old.pg.Running() {
		t.Fatalf("suspended: %d steps, guard fired %v, accepts %v, runs %v", old.seq-steps, old.guard.fired, old.pg.Accepts(), old.pg.Running())
	}
	old.Wake()
	if old.pg.Accepts() {
		t.Fatal("it accepts writes after the lease has ended")
	}
	if !w.RunUntil(2*time.Minute, w.Healthy) {
		t.Fatal("it does not come back")
	}
	if len(w.Broken) > 0 {
		t.Error(w.Broken[0])
	}
}
