package nats

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// plainLine loses nothing and draws nothing.
type plainLine struct{}

func (plainLine) Send(int) (time.Duration, stores.Fate) {
	return 100 * time.Microsecond, stores.Arrives
}
func (plainLine) Return(int) (time.Duration, stores.Fate) {
	return 100 * time.Microsecond, stores.Arrives
}

func (l *lab) members(n int) (all []*session, seen *int) {
	seen = new(int)
	for _, name := range []string{"n1", "n2", "n3"}[:n] {
		s := l.m.Open(name, plainLine{}).(*session)
		s.Watch(func(events.Fact) { *seen++ })
		all = append(all, s)
	}
	l.run(time.Second)
	return all, seen
}

func (l *lab) wait(s *session, r stores.Request) stores.Response {
	var got stores.Response
	r.Deadline = l.k.Now().Add(10 * time.Second)
	s.Do(r, func(a stores.Response) { got = a })
	for end := l.k.Now().Add(10 * time.Second); got.Outcome == "" && l.k.Next(end); {
	}
	if got.Outcome != events.Done {
		l.Fatalf("%+v", got)
	}
	return got
}

func BenchmarkRenew(b *testing.B) {
	l := newLab(b, 1, Options{Servers: 3})
	all, _ := l.members(1)
	lease := l.wait(all[0], stores.Request{Op: stores.Acquire, TTL: 20 * time.Second}).Lease
	b.ReportAllocs()
	for b.Loop() {
		l.wait(all[0], stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second})
	}
}

func BenchmarkPutSeenByThree(b *testing.B) {
	l := newLab(b, 1, Options{Servers: 3})
	all, seen := l.members(3)
	b.ReportAllocs()
	for b.Loop() {
		want := *seen + 3
		l.wait(all[0], stores.Request{Op: stores.Put, Key: "status", Value: "1", Expect: events.Any})
		for end := l.k.Now().Add(time.Second); *seen < want && l.k.Next(end); {
		}
		if *seen < want {
			b.Fatal("not seen by all")
		}
	}
}

// BenchmarkIdleHour is an hour of three members that watch, one of which renews its lease every five seconds.
func BenchmarkIdleHour(b *testing.B) {
	l := newLab(b, 1, Options{Servers: 3})
	all, _ := l.members(3)
	lease := l.wait(all[0], stores.Request{Op: stores.Acquire, TTL: 20 * time.Second}).Lease
	b.ReportAllocs()
	for b.Loop() {
		for end := l.k.Now().Add(time.Hour); l.k.Now() < end; l.run(5 * time.Second) {
			l.wait(all[0], stores.Request{Op: stores.Renew, Epoch: lease.Epoch, TTL: 20 * time.Second})
		}
	}
}
