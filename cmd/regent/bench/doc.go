// Package bench measures on one machine, in one run, how long a cluster accepts no writes when its primary is moved, and sets
// that beside the time that PostgreSQL itself needs.
//
// A cluster of three members with each store is hurt in the ways that happen, over and over, and each time a client that writes
// every 5 ms tells the longest time between two acknowledged writes. Acknowledged writes that the next leader does not have are
// counted. Beside each run, a cluster of three servers without agents is moved by hand (live.Bare): that is the limit, under the same noise.
// At the beginning, with nothing to do, the memory and the processor time of agents and guards are read from /proc.
//
// Marks are what this version wants to reach. They are judged by the median, and those of memory by the largest
// member. A missed mark is told and is no error, because a busy machine misses it too. An error is a scenario that did not do
// what it is for, and an acknowledged write that is missing although the scenario promises all of them: a switchover
// loses none, and neither does a restart in place. A crash under asynchronous replication promises nothing, and
// the count is told.
//
// Times are of one machine whose members share a kernel, so a killed host closes its connections at once; what it is to
// lose packets is not measured. Compare figures of one run with each other: the table names the load that the
// machine had besides.
package bench
