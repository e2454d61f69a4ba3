package engine

import (
	"strings"

	"github.com/regent-ha/regent/events"
)

// predicate is a named condition on the folded state.
type predicate struct {
	name string
	ok   func(*state) bool
}

func not(p predicate) predicate {
	return predicate{"not " + p.name, func(s *state) bool { return !p.ok(s) }}
}

func either(a, b predicate) predicate {
	return predicate{a.name + " or " + b.name, func(s *state) bool { return a.ok(s) || b.ok(s) }}
}

// act is a named thing that a row does: it issues effects and notes what it did in the state.
type act struct {
	name string
	do   func(*Engine)
}

// row is one rule. Rows of a state are tried in order; the first whose conditions all hold is
// taken. A row without To and Then holds: it says why nothing is done.
type row struct {
	ID   events.RuleID
	In   events.LifecycleState
	When []predicate
	Then act
	To   events.LifecycleState
	// Why is the reason for people; {words} are filled with facts (facts.go).
	Why string
	// Refusal marks a row that says why this member, or a candidate, is not to lead.
	Refusal bool
}

func all(p ...predicate) []predicate { return p }

// always marks the last row of each state: what it waits for when nothing else is to be done.
var always []predicate

// fails tells which of the conditions is the first that does not hold, -1 if all hold.
func fails(when []func(*state) bool, s *state) int {
	for i := range when {
		if !when[i](s) {
			return i
		}
	}
	return -1
}

// checks are predicates without their names.
func checks(when []predicate) []func(*state) bool {
	all := make([]func(*state) bool, len(when))
	for i := range when {
		all[i] = when[i].ok
	}
	return all
}

// shared counts the conditions with which two rows begin alike: where one of those fails for the former row, it fails for
// the latter, which then need not be asked. Conditions are known by their names.
func shared(former, latter []predicate) int {
	n := 0
	for n < min(len(former), len(latter)) && former[n].name == latter[n].name {
		n++
	}
	return n
}

// table is the rule table: every row of the lifecycle, in the order in which it is tried.
var table = concat(startingRules, waitingRules, bootstrapRules, cloneRules, stoppedRules, repairRules, joiningRules, followingRules,
	campaignRules, promotingRules, openingRules, adoptingRules, leadingRules, switchingRules, demotingRules, yieldingRules,
	restartingRules, fencedRules, pausedRules, strandedRules, stoppingRules)

func concat(chapters ...[]row) []row {
	var out []row
	for _, c := range chapters {
		out = append(out, c...)
	}
	return out
}

// candidate is a row in its place among those of its state.
type candidate struct {
	*row
	when   []func(*state) bool
	shared int // with the candidate before
}

// rowsOf are the rows of each state.
var rowsOf = byState()

// byState indexes the table.
func byState() map[events.LifecycleState][]candidate {
	m := map[events.LifecycleState][]candidate{}
	for i := range table {
		r, here := &table[i], m[table[i].In]
		c := candidate{row: r, when: checks(r.When)}
		if n := len(here); n > 0 {
			c.shared = shared(here[n-1].When, r.When)
		}
		m[r.In] = append(here, c)
	}
	return m
}

// fill replaces each {word} of a reason with the fact it names.
func fill(text string, s *state) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 32)
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		word, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("{" + rest)
			return b.String()
		}
		b.WriteString(factNamed(word)(s))
		text = after
	}
}
