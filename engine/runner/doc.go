// Package runner is the loop around the engine, the only one: it takes facts from one queue in the order in
// which they came, stamps them, lets the engine step, gives input and decision to the recorder, publishes the
// new status, and hands out the effects. It also keeps time: when nothing comes before the instant at which
// the engine wants to be woken, it makes a TimerFired of it.
//
// Nothing can stop the loop. Post never blocks, the recorder never blocks, effects are handed to an executor
// that must return at once, and the one wait there is, for the log to be synced before an irreversible effect, is
// bounded by a few milliseconds.
package runner
