// Package sim is `regent sim`: bad days on a modelled world, many of them, with the production engine.
//
// Each run is a cluster whose settings and faults follow from a seed; judges watch it (package simulations). A
// run that breaks an invariant is made small and printed as one block: what broke, on which store and seed, the
// faults that it needs, the last steps of the members' lifecycles, and the command that runs it again. Every run
// that fails is run twice first: if the two differ, that is what is reported.
//
// Reports for other people's CI: a JSON file with a line for each run, and JUnit's XML.
package sim
