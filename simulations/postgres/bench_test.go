package postgres

import (
	"testing"
	"time"
)

// BenchmarkQuietHour is an hour of three servers that stream, with a commit and a look at each of them every second.
func BenchmarkQuietHour(b *testing.B) {
	for _, sync := range []string{"", "ANY 1 (b, d)"} {
		b.Run("sync="+sync, func(b *testing.B) {
			w := trio(b)
			if err := w.a.SetSync(sync); err != nil {
				b.Fatal(err)
			}
			var l Ledger
			var second func()
			second = func() {
				l.Write(w.a, nil)
				for _, s := range w.c.servers {
					s.Observe()
				}
				w.k.After(time.Second, second)
			}
			second()
			b.ReportAllocs()
			for b.Loop() {
				w.k.Run(time.Hour)
			}
			if n := l.Acknowledged().Len(); n < l.Sent()-1 || l.Lost(w.b).Len() > 1 {
				b.Fatalf("%d of %d acknowledged", n, l.Sent())
			}
		})
	}
}
