package engine_test

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
)

// stream is what one member of a healthy cluster of three took in: warm until the cluster was healthy, then an hour.
type stream struct {
	warm, hour []events.Input
}

// record lets a cluster of three live for an hour and returns the streams of its leader and of a replica. A quiet cluster
// is one without writes.
func record(tb testing.TB, quiet bool) (leader, replica stream) {
	tb.Helper()
	w := simulations.New(simulations.Settings{Seed: 1, Members: 3,
		Config: `{"ttl":30,"loop_wait":10,"retry_timeout":10,"postgresql":{"use_pg_rewind":true}}`})
	w.Quiet = quiet
	warm, streams := true, map[string]*stream{"n1": {}, "n2": {}, "n3": {}}
	w.OnInput = func(member string, in events.Input, _ *events.Decision) {
		if s := streams[member]; warm {
			s.warm = append(s.warm, in)
		} else {
			s.hour = append(s.hour, in)
		}
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		w.Member(name).Start()
	}
	if !w.RunUntil(time.Minute, w.Healthy) {
		tb.Fatal("the cluster is not healthy after a minute")
	}
	w.Run(time.Minute)
	warm = false
	w.Run(time.Hour)
	leads, follows := w.LeaderKey(), "n1"
	if leads == follows {
		follows = "n2"
	}
	return *streams[leads], *streams[follows]
}

// engine is one that has taken in what came before the hour.
func (s *stream) engine() *engine.Engine {
	e := engine.New(engine.Options{})
	for _, in := range s.warm {
		e.Step(in)
	}
	return e
}

// BenchmarkHour replays an hour of one member's inputs; an operation is one step.
func BenchmarkHour(b *testing.B) {
	for _, c := range []struct {
		name  string
		quiet bool
	}{{"quiet", true}, {"writing", false}} {
		leader, replica := record(b, c.quiet)
		for _, m := range []struct {
			name string
			s    *stream
		}{{"leader", &leader}, {"replica", &replica}} {
			b.Run(c.name+"/"+m.name, func(b *testing.B) {
				b.ReportAllocs()
				for left := b.N; left > 0; {
					b.StopTimer()
					e := m.s.engine()
					b.StartTimer()
					n := min(left, len(m.s.hour))
					for i := range n {
						e.Step(m.s.hour[i])
					}
					left -= n
				}
			})
		}
	}
}

// A member of a healthy cluster allocates about once in a step, and mostly not at all.
func TestHourHardlyAllocates(t *testing.T) {
	leader, replica := record(t, false)
	for name, s := range map[string]*stream{"leader": &leader, "replica": &replica} {
		engines := []*engine.Engine{s.engine(), s.engine()} // one for AllocsPerRun's run before the one that counts
		n := testing.AllocsPerRun(1, func() {
			e := engines[0]
			engines = engines[1:]
			for _, in := range s.hour {
				e.Step(in)
			}
		})
		if n > 1.2*float64(len(s.hour)) {
			t.Errorf("%s: %v allocations in %d steps", name, n, len(s.hour))
		}
	}
}
