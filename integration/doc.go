// Package integration holds tests that start a whole cluster on this machine, hurt it, and judge what clients saw: real
// agents, guards, PostgreSQL servers and stores, by package simulations/live.
//
// A store has one cluster of three members, and the scenarios run on it one after the other, because a start costs more
// than most of them; each leaves it healthy or fails the rest. A writer and a probe for each member run through every
// scenario. No two members may ever have acknowledged writes at once. Acknowledged writes must not be missing after a switchover, a restart
// in place, an outage of the store or a full restart; replication is asynchronous, so after a failover their number is told.
// At the end the event logs are replayed: every decision must follow from what was recorded.
//
// TestScenarios plays files that the simulator plays, too, in network namespaces, which needs root.
//
// Bounds on time are generous, for loaded machines; what was measured is printed (go test -v).
//
// REGENT_GUARD_RUNS is the number of repetitions of the guard's scenarios, 2 by default; REGENT_GUARD_STORE their store.
// REGENT_KEEP keeps the directories of the clusters.
package integration
