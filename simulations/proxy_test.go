package simulations

import (
	"testing"
	"time"
)

// The proxy leads to the primary, notices within its period when that is another, and counts what its clients met meanwhile.
func TestProxyFollowsThePrimary(t *testing.T) {
	w := New(Settings{Seed: 6, Members: 3, Config: config})
	w.Quiet = true
	p := newProxy(w)
	for _, m := range w.members {
		m.Start()
	}
	if !w.RunUntil(time.Minute, w.Healthy) {
		t.Fatal("no cluster")
	}
	w.Quiet = false
	w.Run(10 * time.Second)
	old := w.Leader()
	if p.to != old || p.Stats.Acknowledged < 9 {
		t.Fatalf("it leads to %v, %+v", p.to, p.Stats)
	}
	before := p.Stats
	old.Freeze() // gives no answer, and PostgreSQL goes on until the guard kills it
	w.Run(3 * time.Second)
	if p.to != nil || p.Stats.Stale == before.Stale {
		t.Errorf("it leads to a member that does not answer: %+v", p.Stats)
	}
	if !w.RunUntil(2*time.Minute, func() bool { l := w.Leader(); return l != nil && l != old }) {
		t.Fatal("nobody takes over")
	}
	before = p.Stats
	w.Run(5 * time.Second)
	if p.to == nil || p.to == old || p.Stats.Acknowledged < before.Acknowledged+3 {
		t.Errorf("it does not lead to the new primary: %+v, before %+v", p.Stats, before)
	}
	if len(w.Broken) > 0 {
		t.Error(w.Broken[0])
	}
}

// Only the leader says that it is the primary.
func TestOnlyTheLeaderSaysPrimary(t *testing.T) {
	w := New(Settings{Seed: 6, Members: 3, Config: config})
	for _, m := range w.members {
		m.Start()
	}
	if !w.RunUntil(time.Minute, w.Healthy) {
		t.Fatal("no cluster")
	}
	if !w.Leader().saysPrimary() {
		t.Fatal("the leader does not say so")
	}
	for _, m := range w.members {
		if m != w.Leader() && m.saysPrimary() {
			t.Errorf("%s says that it is the primary", m.name)
		}
	}
}
