package etcdtest

import (
	"syscall"
	"testing"

	"github.com/regent-ha/regent/backends/backendtest"
)

// Faults are the hooks for backendtest: with one server those that hit all, with several all.
func (e *Ensemble) Faults() backendtest.Faults {
	all := func(testing.TB) []*Member { return e.Members }
	leader := func(t testing.TB) []*Member { return []*Member{e.Leader(t)} }
	f := backendtest.Faults{FreezeAll: e.freeze(all), KillAll: e.crash(all)}
	if len(e.Members) > 1 {
		f.FreezeLeader, f.KillLeader = e.freeze(leader), e.crash(leader)
		f.FreezeFollower = e.freeze(e.follower)
	}
	return f
}

func (e *Ensemble) follower(t testing.TB) []*Member {
	leader := e.Leader(t)
	for _, m := range e.Members {
		if m != leader {
			return []*Member{m}
		}
	}
	t.Fatal("an ensemble of one has no follower")
	return nil
}

func (e *Ensemble) freeze(which func(testing.TB) []*Member) backendtest.Fault {
	return func(t testing.TB) func() {
		hit := which(t)
		for _, m := range hit {
			e.Signal(t, m, syscall.SIGSTOP)
		}
		return func() {
			for _, m := range hit {
				e.Signal(t, m, syscall.SIGCONT)
			}
		}
	}
}

func (e *Ensemble) crash(which func(testing.TB) []*Member) backendtest.Fault {
	return func(t testing.TB) func() {
		hit := which(t)
		for _, m := range hit {
			e.Kill(t, m)
		}
		return func() {
			for _, m := range hit {
				if e.stopped(m) {
					e.Run(t, m)
				}
			}
			e.Ready(t, hit...)
		}
	}
}

func (e *Ensemble) stopped(m *Member) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return m.cmd == nil
}
