package simulations

import (
	"syscall"
	"testing"
	"time"
)

// BenchmarkHour is how much a machine can simulate: three members on each store, a commit a second, all judges, faults as in chaos. Its
// metrics are hours of a cluster for each second of the processor, and what happened in them.
func BenchmarkHour(b *testing.B) {
	for _, store := range StoreKinds() {
		b.Run(store, func(b *testing.B) {
			b.ReportAllocs()
			var events, failovers uint64
			var virtual time.Duration
			began := processorTime(b)
			for seed := range b.N {
				_, v := RunDay(ChaosSettings{Seed: uint64(seed), Store: store, For: time.Hour})
				if len(v.Broken) > 0 {
					b.Logf("seed %d: %s", seed, v.Broken[0])
				}
				events, failovers, virtual = events+v.Events, failovers+uint64(v.Failovers), virtual+v.Virtual
			}
			seconds := (processorTime(b) - began).Seconds()
			b.ReportMetric(virtual.Hours()/seconds, "cluster-hours/cpu-s")
			b.ReportMetric(float64(events)/seconds, "events/cpu-s")
			b.ReportMetric(float64(failovers)/seconds, "failovers/cpu-s")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
