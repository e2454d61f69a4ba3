package coverage

import (
	"testing"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

func TestEveryRuleHasASlotOfItsOwn(t *testing.T) {
	seen := map[int]events.RuleID{}
	for _, id := range engine.RuleIDs() {
		s := slot(id)
		if s < rowsMax || s >= chaptersMax*rowsMax {
			t.Fatalf("%s: slot %d is outside of the array: enlarge chaptersMax", id, s)
		}
		if seen[s] != "" {
			t.Errorf("%s and %s share a slot", id, seen[s])
		}
		seen[s] = id
	}
	var c Counts
	c.Decision(&events.Decision{Rule: "XX-99", Fired: []events.Fired{{Rule: "IN-01"}, {Rule: "FL-30"}, {Rule: ""}}})
	if c.Rule("FL-30") != 1 || c.Rule("XX-99") != 0 || c.Rule("IN-01") != 0 {
		t.Errorf("FL-30 %d, and two that are in no table: %d, %d", c.Rule("FL-30"), c.Rule("XX-99"), c.Rule("IN-01"))
	}
}

func TestTheArraysAreLargeEnough(t *testing.T) {
	if len(states) > statesMax || len(Effects) >= effectsMax || len(stores.Ops()) > requestsMax || len(Outcomes) >= outcomesMax {
		t.Errorf("states %d, effects %d, requests %d, outcomes %d", len(states), len(Effects), len(stores.Ops()), len(Outcomes))
	}
	for i, a := range Effects {
		if effect(a) != i {
			t.Errorf("%s is counted as %d, and stands at %d", a, effect(a), i)
		}
	}
	for i, o := range Outcomes {
		if outcome(o) != i {
			t.Errorf("%s is counted as %d, and stands at %d", o, outcome(o), i)
		}
	}
	for op, a := range map[events.LeaseOp]events.ActionKind{events.LeaseAcquire: events.ActAcquireLease, events.LeaseRenew: events.ActRenewLease,
		events.LeaseRelease: events.ActReleaseLease, events.LeaseHandOver: events.ActHandOverLease} {
		if Effects[leaseEffect(op)] != a {
			t.Errorf("%s is counted as %s", op, Effects[leaseEffect(op)])
		}
	}
	for _, f := range Faults() {
		if f.String() == "" {
			t.Errorf("fault %d has no name", f)
		}
	}
}

func TestCountsAddUp(t *testing.T) {
	var a, b Counts
	for _, c := range []*Counts{&a, &b} {
		c.Decision(&events.Decision{Rule: "LD-99"})
		c.Fact(events.EffectFinished{Action: events.ActPromote, Outcome: events.Failed})
		c.Fact(events.LeaseOutcome{Op: events.LeaseRenew, Outcome: events.Unknown})
		c.Request(stores.Put, events.Lost)
		c.Strike(AgentKilled, engine.Promoting)
		c.Strike(AgentKilled, Down)
	}
	a.Add(&b)
	for what, n := range map[string]uint64{"rule": a.Rule("LD-99"), "effect": a.Effect(events.ActPromote, events.Failed),
		"lease": a.Effect(events.ActRenewLease, events.Unknown), "request": a.Requests(stores.Put, events.Lost),
		"fault": a.Strikes(AgentKilled, engine.Promoting), "half of all": a.StrikesAll(AgentKilled) / 2} {
		if n != 2 {
			t.Errorf("%s %d, want 2", what, n)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	var c Counts
	d := &events.Decision{Rule: "LD-99", Fired: []events.Fired{{Rule: "LE-10"}, {Rule: "PU-10"}}}
	var f events.Fact = events.EffectFinished{Action: events.ActCheckDivergence, Outcome: events.Done}
	if n := testing.AllocsPerRun(100, func() { c.Decision(d); c.Fact(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecision(b *testing.B) {
	var c Counts
	d := &events.Decision{Rule: "LD-99", Fired: []events.Fired{{Rule: "LE-10"}}}
	for b.Loop() {
		c.Decision(d)
	}
}
