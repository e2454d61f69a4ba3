// Package simulations rehearses the production engine in a modelled world: several members, each with an
// engine, a PostgreSQL and a guard, one store, one network, virtual time and one goroutine. The same seed and the same
// script give the same run, decision for decision.
//
// The models are small and honest about what they model: leases that end by the store's clock, watches with
// latency, WAL as positions on timelines, promotion and start as processes that take time, clients that write
// to every server that accepts writes. The world judges after every event that no two servers accept writes at
// once (S1), whoever the engines believe to lead.
//
// Scenarios say what happens and what must follow. Chaos draws both from a seed: settings, faults at random and at tender
// moments, small faults of every request (faults.go), judges of what must never be (judges.go), and in the end a
// healed cluster that must be healthy within a bound. What it finds becomes a scenario. REGENT_CHAOS_SEEDS=100-200 runs other
// seeds than those of every test run.
//
// World is the seam that grows: a store is anything with the methods of store.go, faults are methods of World.
package simulations
