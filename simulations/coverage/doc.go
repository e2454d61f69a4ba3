// Package coverage counts what a simulation has shown: which rows of the rule table held or acted, how effects and requests to the
// store ended, and in which state of its lifecycle a fault struck a member.
//
// Counting is an increment of an array's element at an index that is computed from two or three bytes: worlds do it in every step.
// The counts of several worlds can be added. Names come into play only when somebody asks.
//
// Silent is the list of the rows that no simulation is expected to reach, each with its reason. A test of package simulations compares it with
// what the scenarios and a fixed set of bad days do: a row that is silent and not on the list fails it, and so does one that is on the list
// and fires. `regent sim run --html` shows all of it on a page.
package coverage
