// Package engine decides. Step takes one input and returns one decision; nothing else moves the
// state, and the engine performs nothing: no clock, no socket, no file, no goroutine. The same
// inputs give the same decisions, byte for byte, on any machine.
//
// The life of one Step:
//
//  1. fold (fold.go): the input is folded into the state. Unknown is a value.
//  2. lifecycle (rules_*.go): the rows of the present state are tried in order and the first that
//     matches is taken. A row may step to another state, issue effects, or hold. The rows of the
//     state reached are then tried in turn, until a row holds.
//  3. duties (duties.go): rows that act beside the lifecycle: renewals, publications, slots.
//  4. invariants (invariants.go): checked after every step, in production too.
//
// Every row has a permanent ID, a named condition and a reason that is filled with the facts it
// used. The table prints itself to docs/RULES.md, the lifecycle to docs/STATES.md.
//
// Rules are level-triggered: a row looks at what is true now, never at what just happened. A lost
// watch event may cost time, never correctness.
package engine
