package postgres

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// What a replica flushes whose answers are lost is there, and the primary does not know it: a commit that waits for it hangs, although it
// would survive.
func TestFeedbackIsLost(t *testing.T) {
	w := trio(t)
	if err := w.a.SetSync("b"); err != nil {
		t.Fatal(err)
	}
	w.k.Run(time.Second)
	w.cut[[2]string{"b", "a"}] = true
	w.c.Changed()
	answers := 0
	told := func(Answer) { answers++ }
	w.a.Write(1, told)
	w.k.Run(100 * time.Millisecond)
	if !w.b.Has(1) || answers != 0 {
		t.Fatalf("there %v, answers %d: TCP goes on sending for a moment, and nothing comes back", w.b.Has(1), answers)
	}
	w.k.Run(time.Second)
	w.a.Write(2, told)
	w.k.Run(10 * time.Second)
	if w.b.Has(2) || w.b.Streaming() || answers != 0 {
		t.Fatalf("there %v, streaming %v, answers %d: nothing new is sent when nothing is acknowledged", w.b.Has(2), w.b.Streaming(), answers)
	}
	w.cut[[2]string{"b", "a"}] = false
	w.c.Changed()
	w.until("both are released", func() bool { return answers == 2 && w.b.Has(2) })
}

// The other way round nothing comes, whatever could be answered.
func TestDataIsLost(t *testing.T) {
	w := trio(t)
	w.cut[[2]string{"a", "b"}] = true
	w.c.Changed()
	w.a.Write(1, func(Answer) {})
	w.k.Run(time.Second)
	if w.b.Has(1) || w.b.Streaming() || !w.d.Has(1) {
		t.Fatalf("b has it %v, streaming %v; d has it %v", w.b.Has(1), w.b.Streaming(), w.d.Has(1))
	}
}

// A way that refuses breaks a stream at once, and says so to whoever tries again.
func TestRefusedWay(t *testing.T) {
	w := trio(t)
	w.c.Refuses = func(from, to string) bool { return w.cut[[2]string{from, to}] }
	w.cut[[2]string{"a", "b"}] = true
	w.c.Changed()
	if w.b.Streaming() {
		t.Fatal("it streams over a connection that was reset")
	}
	w.k.Run(2 * time.Second)
	if w.b.Refusal() != "connection refused" {
		t.Fatalf("refusal %q", w.b.Refusal())
	}
	began := w.k.Now()
	w.must(w.b, events.StopPostgres{Mode: events.StopFast})
	w.fails(w.b, events.Rewind{From: of(w.a)}, "connection refused")
	if took := w.k.Now().Sub(began); took > time.Second {
		t.Fatalf("it took %v to learn of a refusal", took)
	}
	w.cut[[2]string{"a", "b"}] = false
	w.must(w.b, events.StartPostgres{From: of(w.a)})
	w.until("it streams again", w.b.Streaming)
}

// A slow way delays what is received by just that.
func TestSlowWay(t *testing.T) {
	w := trio(t)
	late := time.Duration(0)
	w.c.Late = func(from, to string) time.Duration {
		if from == "a" && to == "b" {
			return late
		}
		return 0
	}
	late = 5 * time.Second
	w.c.Changed()
	w.k.Run(20 * time.Second)
	w.a.Write(1, func(Answer) {})
	w.k.Run(4 * time.Second)
	if w.b.Has(1) || !w.d.Has(1) {
		t.Fatalf("after four seconds: b %v, d %v", w.b.Has(1), w.d.Has(1))
	}
	w.k.Run(2 * time.Second)
	if !w.b.Has(1) {
		t.Fatal("not there after six seconds")
	}
}
