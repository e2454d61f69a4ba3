// Package runner is the loop around the engine, the only one: it takes facts from one queue in the order in
// which they came, stamps them, lets the engine step, gives input and decision to the recorder, publishes the
// new status, and hands out the effects. It also keeps time: when nothing comes before the instant at which
// the engine wants to be woken, it makes a TimerFired of it.
//
// Nothing can stop the loop. Post never blocks, the recorder never blocks, effects are handed to an executor
// that must return at once, and the one wait there is, for the log to be synced before an irreversible effect, is
// bounded by a few milliseconds.
//
// The recorder, the executor and Observe are called by the loop itself. One of them that waits, for a disk, a socket
// or a lock that is held over either, delays every decision after it, the demotion before the end of the lease
// included: that is a programming error, which the runner does not and could not repair. The guard is the layer below.
package runner
