// Package nats models a JetStream key-value bucket and our adapter to it (backends/nats).
//
// # Servers
//
// One server, or a cluster with a raft group for the stream. The leader of the group checks the
// condition of a write (last sequence of the subject), stamps it with its own wall clock, and
// acknowledges it when a majority has it. What was proposed and not yet committed when a leader is
// lost may survive in the log of the next one: a prefix of it, drawn. Elections take 4 to 8.5 s
// and cannot be tuned. A leader that was frozen or cut off goes on believing in itself for a while: it
// answers reads with the past, refuses by what it knows, and commits nothing.
//
// A message with a TTL ends by the clock of the leader, in whole seconds, up to 191 ms late. The
// server decides and writes the marker in two steps, so that a write in flight between them is
// acknowledged and swept away (the defect of 2.15.2 that backends/nats describes). Markers stay a minute.
//
// Every replica answers direct reads, also with the past. The adapter has them turned off; Direct is
// there for tests and for judges of what would become of a decision that was based on one.
//
// With sync_interval: always nothing that was acknowledged is ever lost. With the server's default of two
// minutes a power failure forgets the last writes, and their sequences come again.
//
// # Adapter
//
// The other half is backends/nats step by step: two connections, one for the lease; a read before a
// write that has no hint of what it replaces; tokens by which a write whose answer was lost is found
// again; a second write where the first may have been swept away; the linearizable read that begins
// with a write of its own; the watch, which is a snapshot and a consumer and begins anew after any
// hole. What the real one does once a second or more often and what shows nothing while all is well
// (keepalives of both connections, heartbeats of the consumer, the watch's pings) is one event a second here.
//
// Not in the model: a consumer that is so late that what was overwritten is never told (seen on nats-server 2.15.2 under load; the
// comparison with the real server allows it), rights and logins, leaf nodes, other users of the bucket, a disk that is full, and the split brain
// after the crash of a single operating system with sync_interval at its default (Jepsen 2025-12-08).
package nats
