package simulations

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
)

// Shrunk is a failing run, made as small as could be found: the same invariant breaks.
type Shrunk struct {
	Settings ChaosSettings
	Script   map[string][]kernel.Choice
	Run      *Chaos
	Verdict  Verdict
	Runs     int // that it took
}

// shrinker looks for a smaller run that breaks the same invariant.
type shrinker struct {
	best      Shrunk
	invariant string
	left      int // runs that may still be made
	stopped   func() bool
}

// Shrink takes a failing day apart: a shorter day, whole domains of chance made harmless, then the faults of the schedule and the
// chances of the other domains, in halves and ever smaller parts. It makes at most budget runs. The second result is false when the day does
// not fail. It ends early, with what it has, when stopped tells so.
func Shrink(set ChaosSettings, budget int, stopped func() bool) (Shrunk, bool) {
	set.Tape = kernel.Seeded(set.Seed).Record()
	c, v := RunDay(set)
	if len(v.Broken) == 0 {
		return Shrunk{}, false
	}
	s := &shrinker{invariant: v.Invariant, left: budget, stopped: stopped}
	s.best = Shrunk{Settings: set, Script: set.Tape.Taken(), Run: c, Verdict: v}
	s.shorten()
	for _, domain := range []string{"network", "hosts", "postgres", "store"} {
		s.try(without(s.best.Script, domain, 0, len(s.best.Script[domain])), s.best.Settings.For)
	}
	for _, domain := range []string{"schedule", "network", "hosts", "postgres", "store"} {
		s.halve(domain)
	}
	s.shorten()
	return s.best, true
}

// try runs a candidate and keeps it if it breaks the same invariant.
func (s *shrinker) try(script map[string][]kernel.Choice, d time.Duration) bool {
	if s.stopped() {
		s.left = 0
	}
	if s.left <= 0 {
		return false
	}
	s.left--
	s.best.Runs++
	set := s.best.Settings
	set.For = d
	set.Tape = kernel.Recorded(script).Record()
	c, v := RunDay(set)
	if v.Invariant != s.invariant {
		return false
	}
	s.best = Shrunk{Settings: set, Script: set.Tape.Taken(), Run: c, Verdict: v, Runs: s.best.Runs}
	return true
}

// shorten ends the faults soon after the failure, and then in halves.
func (s *shrinker) shorten() {
	if d := s.best.Verdict.Virtual.Truncate(time.Second) + time.Second; d < s.best.Settings.For {
		s.try(s.best.Script, d)
	}
	for s.best.Settings.For > time.Second && s.try(s.best.Script, (s.best.Settings.For/2).Truncate(time.Second)) {
	}
}

// halve makes parts of a domain harmless: all of it, then halves, quarters, down to single choices.
func (s *shrinker) halve(domain string) {
	size := len(s.best.Script[domain])
	for size >= 1 && s.left > 0 {
		for from := 0; from < len(s.best.Script[domain]) && s.left > 0; from += size {
			to := min(from+size, len(s.best.Script[domain]))
			if harmful(s.best.Script[domain][from:to]) {
				s.try(without(s.best.Script, domain, from, to), s.best.Settings.For)
			}
		}
		size /= 2
	}
}

func harmful(choices []kernel.Choice) bool {
	return slices.ContainsFunc(choices, func(c kernel.Choice) bool { return c.Took != 0 })
}

// without is a copy of a script in which some choices of a domain are harmless.
func without(script map[string][]kernel.Choice, domain string, from, to int) map[string][]kernel.Choice {
	all := make(map[string][]kernel.Choice, len(script))
	for name, choices := range script {
		all[name] = choices
	}
	part := slices.Clone(script[domain])
	for i := from; i < to; i++ {
		part[i].Took = 0
	}
	all[domain] = part
	return all
}
