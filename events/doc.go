// Package events holds the facts that regent is made of: what was seen (inputs), what was
// concluded (decisions) and what is to be done (effects), together with the values they are
// written in: LSN, timeline, instants, and the contents of the DCS keys.
//
// An Input is a fact with a sequence number and the time at which the runner took it from its
// queue. A Decision is what the engine concluded from one input: the rule that matched, the
// lifecycle states before and after, the reason, and the effects to perform. An Effect is a value:
// numbered, idempotent, carrying the epoch and revision that justified it. Its outcome comes back
// as another input. Nothing in this package performs anything.
//
// The package imports nothing of regent and names no clock, no socket, no file and no goroutine:
// that is what makes a recorded run replayable, byte for byte, on any machine.
package events
