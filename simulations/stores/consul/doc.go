// Package consul models Consul and the adapter to it that regent is to have. No real server was run
// yet: every branch is "source: file", read in hashicorp/consul below agent/consul; the files are named where
// the branches are. What is modelled of the servers: raft's leader and elections (1 to 3 s, as with
// raft_multiplier 1; Consul's default of 5 is slower), keys with their indices, sessions and their timers,
// transactions, blocking queries, lock delays. Not modelled: the lag of healthy followers, ACLs,
// a local client agent between the adapter and the servers, clocks that drift.
//
// The adapter's plan, which this model follows:
//
//  1. Endpoints are the servers, or the local agent, or both; they are asked in turn, each with a share
//     of the call's time (as in backends/etcd). A request that may have been applied is sent again only
//     if a late application of the first is harmless: it names an index, or a session that is used once.
//  2. Every write is a transaction (PUT /v1/txn). Only that tells the index of the write, says which
//     condition failed, and tells the lock delay from a held lock; PUT /v1/kv?acquire says false to both.
//     Consul does not raise ModifyIndex when value, flags and session stay as they were, so every
//     write has new random flags; by them the writer also knows its own write again. A CAS delete of an
//     absent key says true, so the index is checked by a step of its own.
//  3. Sessions have no health checks, Behavior delete and a lock delay of 1 ms (the client library leaves out 0,
//     which then means 15 s). A session ends with the catalog node that it belongs to, whatever its
//     ttl. So those of leases belong to an external node that regent registers (node "regent", right
//     node:write): no agent's departure takes it from the catalog. Config.AgentNode is Patroni's way, the
//     node of the local agent; then a restart of that agent frees the lease while its holder still
//     relies on it, against C4 (patroni#977, #3453). Only the member record's session, whose early end does no
//     harm, belongs to the agent's node.
//  4. The ttl of a lease is the ttl of its session, at least 10 s (session_ttl_min, Limits.MinTTL). That is
//     what Consul promises; its timer is twice that (SessionTTLMultiplier), and begins anew at every election.
//     So a lease ends between ttl and 2 x ttl after its last renewal, in practice at 2 x ttl, and
//     later after elections. Patroni asks for ttl/2 and relies on the factor. regent does not: the second
//     half is no part of the promise, and point 5 spends it: with a promise of 2 x ttl and the same proof a renewal
//     that a deposed leader answered breaks C4 in this model. The price is that after the death of a
//     leader's host the lease is free after 2 x ttl: the ttl for Consul is to be half of what it is elsewhere.
//  5. A renewal (PUT /v1/session/renew) is an entry in the memory of the server that believes to lead; one
//     that was deposed says yes too. It counts when a consistent read of the leader key afterwards, through the
//     same server as the former proof, still shows our session, and all of this ended before the former
//     lease did. Proof: a server's knowledge of the leader's term never goes back. Either the renewal reached
//     the leader, whose timer then runs until 2 x ttl after it; or it reached a deposed one. Then the former
//     proof, through the same server, was still by that one or an earlier one, so the election came after
//     it and started the timer at 2 x ttl: the session outlives the former SentAt by 2 x ttl, thus this one
//     by ttl. And since no timer can have fired before the former lease ended, no invalidation is
//     under way (one that failed is tried again for minutes, and ends a session that was renewed meanwhile).
//  6. Where that proof is not to be had (another server, too late, another ttl, a new process) the renewal is
//     a write: a new session, and a transaction that checks the key's index, unlocks the old session and
//     locks the new one. The epoch stays; the adapter remembers which session has the key. The outcome of
//     several such calls at one time is ordered by index.
//  7. Acquire without Expect is a transaction of a CAS with index 0 and a lock: it demands that there is no key, also
//     none without a session, which a lock alone would take. With Expect it reads the key, which must name
//     this member, and moves it as in point 6. LockIndex proves nothing more: the session is new, so a
//     lock by it is a new one. The epoch is the ModifyIndex of the acquisition, an index of raft: it grows, also
//     over deletions and restored snapshots; in a recreated datacenter it begins anew.
//  8. Release checks the session and deletes the key in one transaction, HandOver unlocks ours and locks a new session's
//     with the successor's name and the ttl that was asked for, at least 10 s. Then the old session is destroyed,
//     so that a late application of its lock is refused. Destroying it while it has the key would delete the key.
//  9. Prepare creates the session ahead; an Acquire or HandOver that begins before it is ready does not wait for it.
//  10. PutMember renews the record's session, reads the record consistently and writes it only if it is not as it should be.
//  11. Watch is a consistent blocking query on the directory, 2 s each, which is also the proof that the store
//     answers. Answers are whole directories: the differences are the changes, in the order of their indices; a key that
//     is missing is deleted at the answer's index, one with a new CreateIndex was deleted before that. A change
//     that was overwritten before the answer is never seen. The index may go back (reaped tombstones, a restored
//     snapshot, another store), and then, and after silence, the directory is read anew and told as a snapshot.
//  12. A lock delay refuses with Failed, not Lost: nobody holds the key. An acquisition waits for that of our own sessions
//     (1 ms) and tries once more. Each server has it in its memory, since each applies the session's end; only the leader
//     asks for it, and a restart forgets it.
package consul
