// Package simulations rehearses the production engine in a modelled world: several members, each with an
// engine, a PostgreSQL (package postgres below) and a guard, one store of five kinds (package stores), one network, operators and
// clients; virtual time, one goroutine, and every chance from a labelled tape (package kernel). The same tape gives the same run,
// decision for decision.
//
// Judges (judge_*.go) watch every decision and every event for what must never be, whoever the engines believe to lead. Chaos draws a
// cluster and its bad day from a seed, with faults at random and at tender moments; then everything is healed, and the
// cluster must be healthy within a bound and stay so, or say why only a person can help. Mutants are deliberately wrong agents: each
// must be found out. Shrink makes a failing run small.
//
// Scenarios as text (package scenario, testdata/scenarios) say what happens, and show every decision as golden output; Stage is
// the world as they see it. docs/SIMULATIONS.md is the page for users.
package simulations
