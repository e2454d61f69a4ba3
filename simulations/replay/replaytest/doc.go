// Package replaytest records a simulated world as the agents of a real cluster would: one event log for each member, written by
// events/log, with instants by a clock of its own host.
//
// A world is a world of one clock. The instants of what a member sees are moved to the clock of its host and given to an
// engine of the recorder's own: an engine decides the same by any clock, only moved. The logs hold what that engine decided, with
// the hashes of its states.
//
// What a test wants to be wrong is doctored on the way: facts before they are decided on, decisions after, steps that are not
// written. The world itself goes on as it was.
package replaytest
