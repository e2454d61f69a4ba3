// Package zookeeper is a model of a ZooKeeper ensemble of one or three servers, and of the adapter that regent will
// have for it. The adapter is not written yet: what the second half of this package does is its plan.
//
// # The servers
//
// Writes go through the leader: it checks them against what is proposed already, gives them a zxid (epoch << 32 +
// counter, the revision of this store) and commits what a majority has logged. Refusals are agreed on like
// anything else. Every server has a tree of its own and answers reads from it, which may be old; a session's reads
// come after its own writes. Leader and followers give each other up after syncLimit ticks of silence; the longest
// log wins an election, and what is in it counts as committed. Connections are TCP: in order, with
// retransmissions, and broken by a server that changes its role. Marked "seen on 3.8.0" is what was measured (with ticks
// of 500 ms, a session of 2 s ended after 2.042 to 2.470 s); "source:" names what was only read, at ZooKeeper's commit
// 53a78e3.
//
// Sessions are the leader's affair: a timeout in 2 to 20 ticks, an expiry in (timeout, timeout + tick] after the
// last touch that the leader knows of, and the full timeout again under every new leader. A follower answers pings and
// reads from what it has, and tells the leader who was there when the leader pings it, twice a tick. From this
// follow two facts on which naive leases break:
//
//   - A follower that lost its leader answers pings happily for up to syncLimit ticks (10 s by default), while the
//     leader expires the session.
//   - A write that a follower forwards does not touch the session at the leader (source: LearnerHandler.run,
//     case REQUEST, goes past ZooKeeperServer.touch; LeaderZooKeeperServer.submitLearnerRequest). So an acknowledged
//     versioned set proves that the session was alive, but not that its timeout counts from now: if the follower dies
//     before its next answer to a ping, the session ends a timeout after some earlier touch.
//
// # The adapter's plan
//
//  1. A client of our own, for connect, create, setData, delete, exists, getData, getChildren, sync, multi, multiRead and
//     setWatches. The public Go client pings by itself, so that a hung agent keeps its lease; hides the negotiated
//     timeout; and has one connection for everything.
//  2. Sessions by purpose, each with its own connection (C12): one for reads and writes (pinged, owns nothing), one for
//     each watch, one for the member record, and one for each lease or handover. The latter two are never pinged:
//     they end when nobody renews them.
//  3. Connections: a request has attempts of a third of the time that is left, at least 100 ms, at first at
//     most 1 s. An attempt in vain closes the connection (with a reset, so that nothing unsent follows), and the
//     session moves to the next server. The leader then refuses what the former server still forwards
//     (session moved), so a read after the move tells whether a write without an answer was applied. Where it
//     cannot be told from somebody else's, the outcome is unknown.
//  4. A read that decides comes after a barrier: a multi that only checks the directory node. It changes nothing but
//     goes through the quorum, and the reads behind it on the connection show all that was committed before. sync alone is not
//     enough: a deposed leader answers it until it notices (source: Leader.processSync). A condition may be refused
//     by what the leader refused or by a read behind a barrier, never by a local read.
//  5. Revisions are mzxids, which ZooKeeper cannot compare; it compares versions, which begin anew with each life of a
//     node. So a conditional write reads first, and is a multi: check the node ".lives" at the version
//     that was read with the key, then write the key at its version. Every creation of a key by us raises the version
//     of .lives in the same multi. Names with a dot are not shown. Patroni's members do not know .lives; the
//     only key that they delete and create is the leader's, which has version 0 from them and from us never (6).
//  6. Acquire creates "leader" as an ephemeral of a new session and sets it once, in one multi, so that its version is at
//     least 1. The epoch is the zxid of that multi. With Expect the multi deletes the node as it was read
//     first. The lease is dated from before the connect of its session. If the answer was lost, the node's
//     ephemeralOwner tells.
//  7. Renew is a set of the node at its version, with the check of .lives, in the lease's own session. It is dated from before
//     the set if the connected server leads, which "srvr" tells (Mode; it is whitelisted by default) and which holds as
//     long as the connection. On a follower the session is first attached to the next server anew, which
//     makes the leader touch it (source: Leader.revalidateSession), and the renewal is dated from before that. So a
//     lease arrives at the leader with its second renewal and stays there; in calm times a renewal is one round trip
//     and opens no connection. TTL is the negotiated timeout from the answer to the connect; it may be smaller
//     than what was asked for (20 ticks, 40 s by default), or greater (Limits.MinTTL: two ticks).
//  8. Renew with another ttl makes a session with the new timeout and moves the node to it: a multi that
//     deletes and creates, as in Acquire; nobody sees the key absent. The node's czxid changes, the epoch is
//     what the adapter remembers. If the answer was lost, both sessions are kept in mind until the owner was read.
//  9. Release deletes the node under the same conditions and closes the session.
//  10. HandOver makes the node anew with the successor's name as an ephemeral of a session that is left alone: it ends
//     a ttl later. The successor claims it by Acquire with Expect, the mzxid that it saw.
//  11. Prepare opens the session of a later Acquire or HandOver, which is used within a quarter of its timeout.
//  12. PutMember sets the member record, an ephemeral of the record's session, dated as in 7. A record of another session is
//     deleted and created in one multi; another ttl is another session.
//  13. Snapshot is a barrier, the lists of names, and a multiRead of the lists and all nodes, again if a list changed.
//  14. Watch has a new session with each connection, hence proof of a quorum. It reads behind a barrier and arms one-shot
//     watches on lists and nodes; what fires is read again. Changes are delivered in zxid order, as soon as
//     no open question can have an earlier one: an event comes before any answer that shows its change. Changes of one key
//     between two reads are one change. It asks for a sync every second, which unlike a ping only the leader answers. After a
//     second without an answer it goes to the next server, with a new snapshot; after 2.5 s the store is
//     reported unreachable.
//
// Left out: parents of keys (members, optime), which the adapter creates when they are missing; ACLs, so that nothing is
// denied; observers, local sessions, read-only servers, reconfiguration; clocks of servers that drift; overflow of a zxid.
package zookeeper
