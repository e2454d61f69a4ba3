// Package kernel is the engine room of the simulations: virtual time with an agenda of what is
// to happen, and the choices of a run. Everything in a run happens on one goroutine, one event after
// the other, and every chance is a choice with a label, drawn from the stream of its domain. So a
// run is a function of its choices: with the same seed it is the same run, and with a recorded
// tape it is the recorded one, or a shrunk one.
//
// Each domain (network, store, postgres, clients, …) has a stream of its own: a new draw in one does
// not shift the others. By convention the choice 0 is the harmless one, so that what is cut from a
// tape becomes harmless.
package kernel
