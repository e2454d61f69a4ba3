// Package etcd is the DCS adapter for etcd 3.4 and later, external or embedded (package
// embedded below it). It writes Patroni's keys, /<namespace>/<scope>/<key>, so that Patroni's
// members and tools read them, and passes backendtest against real servers.
//
// What etcd does to leases, and what follows:
//
//   - A lease is an object of the server; keys are attached to it and go with it. Its ttl is in
//     whole seconds and fixed when it is granted; the server raises it to 1.5 election timeouts.
//     The leader key and the member record have a lease each. Another ttl means another lease.
//   - A keepalive does not touch the key and does not go through raft. A deposed leader can
//     answer one. Renew therefore dates the lease before the keepalive, reads the key with quorum
//     after it, on the same server, and demands that this server's raft term was the same before and
//     after: then the leader that took the keepalive was the leader.
//   - The client's own keepalive loop dates leases at the response; it is not used.
//   - A change of raft leader gives every lease its full ttl again: a lease ends late by that, never early.
//   - A leader that was stopped (SIGSTOP, a stalled disk) and wakes when another leads may have the leases that it knows
//     revoked by its own clock, although they were prolonged since: it passes the proposals on to the new leader (etcd
//     issue 15247; seen on 3.4.23, and on 3.7.3, whose check looks only at whether its ticks go on). Renew therefore relies on
//     a lease only under the leader that granted it, and attaches the key to a new one under the next; a former leader does
//     not know that one. What was relied on before the change ends before any clock of the former leader ends it.
//   - The server looks for ended leases every 500 ms.
//
// A timed-out request may have been applied, or be applied later. Requests that are sent again on
// another server are built so that a late application of the first is harmless: lease ids are
// chosen here and never used twice, and conditions name revisions or leases. Puts and deletes
// without such a condition are sent once.
//
// gRPC's balancer knows connections, not servers that have stopped answering (SIGSTOP, a stalled
// disk). The adapter holds connections of its own to every endpoint, gives each a share of the
// call's time, and tries those that failed to answer last. Renewals have connections of their own (C12).
package etcd
