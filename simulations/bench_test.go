package simulations

import (
	"syscall"
	"testing"
	"time"
)

// The floor of what the simulator must do stands in docs/SIMULATIONS.md, and BenchmarkFaultyHour is its measure.

// BenchmarkFaultyHour is an hour of a soak, under faults: three members on each store, a commit a second, all judges, SmallFaults all the time, and
// one of chaos's faults every SoakEvery, with as many again at tender moments; then everything is healed, and the cluster has to become healthy.
func BenchmarkFaultyHour(b *testing.B) {
	for _, store := range StoreKinds() {
		b.Run(store, func(b *testing.B) {
			measure(b, func(seed uint64) *World {
				c, _ := RunDay(ChaosSettings{Seed: seed, Store: store, For: time.Hour, Every: SoakEvery, Members: 3})
				return c.World
			})
		})
	}
}

// BenchmarkHour is how much a machine can simulate: three members on each store, a commit a second, all judges, small faults
// only. Its metrics are hours of a cluster for each second of the processor, and what happened in them.
func BenchmarkHour(b *testing.B) {
	for _, store := range StoreKinds() {
		b.Run(store, func(b *testing.B) {
			measure(b, func(seed uint64) *World {
				w := New(Settings{Seed: seed, Store: store, Members: 3, Config: config})
				w.Faults = SmallFaults
				for _, m := range w.members {
					m.Start()
				}
				w.Run(time.Hour)
				return w
			})
		})
	}
}

// BenchmarkBadHour is the same for an hour of chaos.
func BenchmarkBadHour(b *testing.B) {
	for _, store := range StoreKinds() {
		b.Run(store, func(b *testing.B) {
			measure(b, func(seed uint64) *World {
				c, _ := RunDay(ChaosSettings{Seed: seed, Store: store, For: time.Hour})
				return c.World
			})
		})
	}
}

func measure(b *testing.B, run func(seed uint64) *World) {
	b.ReportAllocs()
	CollectLess()
	var events, failovers uint64
	var virtual time.Duration
	began := processorTime(b)
	for seed := range b.N {
		w := run(uint64(seed))
		if len(w.Broken) > 0 {
			b.Logf("seed %d: %s", seed, w.Broken[0])
		}
		events, failovers, virtual = events+w.k.Events(), failovers+uint64(w.Failovers), virtual+w.k.Since()
	}
	seconds := (processorTime(b) - began).Seconds()
	b.ReportMetric(virtual.Hours()/seconds, "cluster-hours/cpu-s")
	b.ReportMetric(float64(events)/seconds, "events/cpu-s")
	b.ReportMetric(float64(failovers)/seconds, "failovers/cpu-s")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
