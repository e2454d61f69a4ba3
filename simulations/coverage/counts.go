package coverage

import (
	"slices"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Counts of one world, or of several that were added up.
type Counts struct {
	rules    [chaptersMax * rowsMax]uint64
	effects  [effectsMax][outcomesMax]uint64
	requests [requestsMax][outcomesMax]uint64
	faults   [faultsMax][statesMax]uint64
}

// The sizes of the arrays. A test compares them with the tables that they stand for.
const (
	chaptersMax = 40  // of rules: the letters of an ID
	rowsMax     = 100 // of a chapter: its digits
	statesMax   = 32
	requestsMax = 16
)

// chapters numbers the letters with which rules begin, from 1; at zero stands what is in no table.
var chapters = func() (all [26 * 26]uint8) {
	next := uint8(1)
	for _, id := range engine.RuleIDs() {
		if at := &all[letters(id)]; *at == 0 {
			*at = next
			next++
		}
	}
	return all
}()

func letters(id events.RuleID) int { return int(id[0]-'A')*26 + int(id[1]-'A') }

// slot is where a rule is counted. IDs are two letters, a dash and two digits, which a test of package engine demands.
func slot(id events.RuleID) int {
	if len(id) != 5 {
		return 0
	}
	return int(chapters[letters(id)])*rowsMax + int(id[3]-'0')*10 + int(id[4]-'0')
}

// Decision counts the rows that acted in a decision, and the one that holds after it.
func (c *Counts) Decision(d *events.Decision) {
	for i := range d.Fired {
		c.rules[slot(d.Fired[i].Rule)]++
	}
	c.rules[slot(d.Rule)]++
}

// Rule is how often a row acted or held.
func (c *Counts) Rule(id events.RuleID) uint64 {
	if slot(id)/rowsMax == 0 {
		return 0
	}
	return c.rules[slot(id)]
}

// Fact counts how an effect ended.
func (c *Counts) Fact(f events.Fact) {
	switch f := f.(type) {
	case events.EffectFinished:
		c.effects[effect(f.Action)][outcome(f.Outcome)]++
	case events.LeaseOutcome:
		c.effects[leaseEffect(f.Op)][outcome(f.Outcome)]++
	}
}

// Effect is how often an effect ended like that.
func (c *Counts) Effect(a events.ActionKind, o events.Outcome) uint64 {
	return c.effects[effect(a)][outcome(o)]
}

// Request counts how a request to the store ended.
func (c *Counts) Request(op stores.Op, o events.Outcome) { c.requests[op][outcome(o)]++ }

// Requests is how often a request to the store ended like that.
func (c *Counts) Requests(op stores.Op, o events.Outcome) uint64 { return c.requests[op][outcome(o)] }

// states are the lifecycle states, and Down.
var states = append(engine.States(), Down)

// Down is the state of a member whose agent does not run.
const Down events.LifecycleState = "down"

// States are what members are in when a fault strikes.
func States() []events.LifecycleState { return slices.Clone(states) }

// Strike counts a fault, and the state of the member that it struck.
func (c *Counts) Strike(f Fault, in events.LifecycleState) {
	c.faults[f][max(slices.Index(states, in), 0)]++
}

// Strikes is how often a fault has struck members in a state.
func (c *Counts) Strikes(f Fault, in events.LifecycleState) uint64 {
	return c.faults[f][max(slices.Index(states, in), 0)]
}

// StrikesAll is how often a fault has struck.
func (c *Counts) StrikesAll(f Fault) uint64 {
	n := uint64(0)
	for _, times := range c.faults[f] {
		n += times
	}
	return n
}

// Add adds the counts of another world.
func (c *Counts) Add(o *Counts) {
	addUp(c.rules[:], o.rules[:])
	for i := range c.effects {
		addUp(c.effects[i][:], o.effects[i][:])
	}
	for i := range c.requests {
		addUp(c.requests[i][:], o.requests[i][:])
	}
	for i := range c.faults {
		addUp(c.faults[i][:], o.faults[i][:])
	}
}

func addUp(to, from []uint64) {
	for i, n := range from {
		to[i] += n
	}
}
