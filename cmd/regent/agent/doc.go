// Package agent puts a member together: it opens the store, the driver, the guard, the event log and the
// REST API, runs the engine's loop between them, and performs the engine's effects. It decides nothing.
//
// Everything that can block has a goroutine of its own, owned by Run, which returns only after all of them have
// ended. What they see becomes a fact in the runner's queue; what the engine wants becomes an effect in the
// executor, which carries out each with the deadline that it came with and always posts an outcome.
//
// An executor refuses an effect whose justification is gone: a promotion, or a start as a primary, whose epoch is
// not that of the lease in force.
package agent
