package kernel

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func TestOrderOfEvents(t *testing.T) {
	k := New(Seeded(1))
	var got []string
	say := func(s string) func() { return func() { got = append(got, fmt.Sprintf("%v %s", k.Since(), s)) } }
	k.After(2*time.Second, say("second"))
	k.After(time.Second, say("first"))
	k.After(time.Second, func() { say("first, planned later")(); k.After(0, say("now")); k.After(-time.Hour, say("past is now")) })
	timer := k.NewTimer(say("timer"))
	timer.Set(k.Now().Add(5 * time.Second))
	timer.Set(k.Now().Add(3 * time.Second))
	stopped := k.NewTimer(say("never"))
	stopped.Set(k.Now().Add(time.Second))
	stopped.Stop()
	k.Run(time.Minute)
	want := []string{"1s first", "1s first, planned later", "1s now", "1s past is now", "2s second", "3s timer"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if k.Since() != time.Minute || timer.At() != 0 {
		t.Errorf("at %v after a minute, timer at %v", k.Since(), timer.At())
	}
}

// TestAgendaIsSorted lets many entries come, be moved and be stopped, and compares with a plain search for the least.
func TestAgendaIsSorted(t *testing.T) {
	k := New(Seeded(7))
	d := k.Domain("test")
	timers := make([]*Timer, 200)
	var last events.Instant
	fired := 0
	for i := range timers {
		timers[i] = k.NewTimer(func() { fired++ })
	}
	for range 5000 {
		tm := timers[d.Pick("which", len(timers))]
		switch d.Pick("what", 4) {
		case 0:
			tm.Stop()
		default:
			tm.Set(k.Now().Add(time.Duration(d.Pick("when", 1000)) * time.Millisecond))
		}
		least := events.Instant(1 << 62)
		for _, x := range timers {
			if at := x.At(); at != 0 && at < least {
				least = at
			}
		}
		if d.Pick("step", 3) == 0 && least != 1<<62 {
			k.Next(1 << 61)
			if k.Now() != least || k.Now() < last {
				t.Fatalf("at %v, want %v", k.Now(), least)
			}
			last = k.Now()
		}
	}
	if fired == 0 {
		t.Error("nothing fired")
	}
}

func draws(k *Kernel, domain string, n int) (all []int) {
	d := k.Domain(domain)
	for i := range n {
		all = append(all, d.Pick("draw", 2+i%7))
	}
	return all
}

func TestChoicesAreAFunctionOfTheSeed(t *testing.T) {
	a, b := New(Seeded(3)), New(Seeded(3))
	draws(b, "another domain", 50) // does not shift the others
	if x, y := draws(a, "store", 100), draws(b, "store", 100); !reflect.DeepEqual(x, y) {
		t.Errorf("%v\n%v", x, y)
	}
	if x, y := draws(New(Seeded(3)), "store", 100), draws(New(Seeded(4)), "store", 100); reflect.DeepEqual(x, y) {
		t.Error("two seeds give the same choices")
	}
}

func TestRecordingIsPlayedBack(t *testing.T) {
	first := New(Seeded(9).Record())
	want := draws(first, "store", 100)
	b, err := Encode(first.Tape().Taken())
	if err != nil {
		t.Fatal(err)
	}
	script, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	second := New(Recorded(script))
	if got := draws(second, "store", 100); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%v", got, want)
	}
	if got := second.Domain("store").Pick("draw", 10); got != 0 {
		t.Errorf("after the end of the tape: %d, want the harmless choice", got)
	}
	skipping := New(Recorded(map[string][]Choice{"x": {{"a", 5, 3}, {"b", 5, 4}, {"a", 5, 2}}}))
	x := skipping.Domain("x")
	if got := []int{x.Pick("b", 5), x.Pick("a", 2), x.Pick("b", 5)}; !reflect.DeepEqual(got, []int{4, 1, 0}) {
		t.Errorf("a run that asks less: %v", got)
	}
}

func TestTapeThatCannotBe(t *testing.T) {
	for _, text := range []string{`{"x":[{"label":"a","n":2,"took":2}]}`, `{"x":[{"label":"a","n":2,"took":-1}]}`, `{"x":`, `[]`} {
		if _, err := Decode([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestChance(t *testing.T) {
	d := New(Seeded(1)).Domain("x")
	hits := 0
	for range 10000 {
		if Chance(d, "c", 250) {
			hits++
		}
	}
	if hits < 2200 || hits > 2800 {
		t.Errorf("%d of 10000 with a chance of a quarter", hits)
	}
	h := New(Harmless()).Domain("x")
	if Chance(h, "c", 999) || Between(h, "b", time.Second, time.Minute) != time.Second {
		t.Error("the harmless tape is not harmless")
	}
}

func BenchmarkTimer(b *testing.B) {
	k := New(Seeded(1))
	for i := range 50 {
		var t *Timer
		t = k.NewTimer(func() { t.Set(k.Now().Add(time.Duration(i+1) * time.Millisecond)) })
		t.Set(k.Now())
	}
	b.ReportAllocs()
	for b.Loop() {
		k.Next(1 << 62)
	}
}

func BenchmarkPick(b *testing.B) {
	d := New(Seeded(1)).Domain("x")
	b.ReportAllocs()
	for b.Loop() {
		d.Pick("draw", 100)
	}
}
