package log

import (
	"testing"

	"github.com/regent-ha/regent/events"
)

func observed() events.Input {
	walsenders := []events.Walsender{{User: "r", ApplicationName: "n2", State: "streaming", FlushLSN: 1 << 40}}
	return events.Input{Seq: 1, At: 1e12, Wall: 17e17, Fact: events.PostgresObserved{Observation: events.Observation{
		Data: events.DataPresent, Running: true, PID: 4711, Answering: true,
		Server:  events.Server{Timeline: 3, FlushLSN: 1 << 40, Version: 150004, Walsenders: walsenders},
		Control: events.Control{SystemID: "7300000000000000000", State: "in production", Timeline: 3, CheckpointLSN: 1 << 39},
	}}}
}

// BenchmarkAppend is what the engine's loop pays.
func BenchmarkAppend(b *testing.B) {
	w := &Writer{queue: make(chan Record, 1)}
	r := OfInput(observed())
	b.ReportAllocs()
	for b.Loop() {
		w.Append(r)
		<-w.queue
	}
}

// BenchmarkAppendRefused is what it pays while the disk hangs.
func BenchmarkAppendRefused(b *testing.B) {
	w := &Writer{queue: make(chan Record, 1)}
	r := OfInput(observed())
	w.Append(r)
	b.ReportAllocs()
	for b.Loop() {
		w.Append(r)
	}
}

// BenchmarkEncode is what the writing goroutine pays for each record, without the disk.
func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct {
		name string
		r    Record
	}{{"input", OfInput(observed())}, {"decision", OfDecision(testDecision(1), 0)}, {"timer", OfInput(events.Input{Seq: 1, Fact: events.TimerFired{}})}} {
		b.Run(bb.name, func(b *testing.B) {
			o := output{opt: &Options{}}
			bytes := 0
			b.ReportAllocs()
			for b.Loop() {
				o.add(bb.r)
				bytes += len(o.tail)
				o.tail = o.tail[:0]
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "bytes/record")
		})
	}
}

// BenchmarkWrite is the whole way to a local disk, with the syncs that are due.
func BenchmarkWrite(b *testing.B) {
	opt := Options{Disk: LocalDisk{}}
	opt.setDefaults()
	o, _, err := openOutput(b.TempDir(), &opt)
	if err != nil {
		b.Fatal(err)
	}
	r := OfInput(observed())
	b.ReportAllocs()
	for b.Loop() {
		for !o.full() {
			o.add(r)
		}
		if _, err := o.flush(false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(o.number)/b.Elapsed().Seconds(), "records/s")
	if err := o.close(); err != nil {
		b.Fatal(err)
	}
}
