// Package embedded runs a member of an etcd cluster inside the agent: three members, or two and a
// witness, and nothing else to install. The adapter in the package above speaks to it like to any other
// etcd, and so does everything that speaks etcd, Patroni included.
//
// # Start
//
// A member with data starts with it. A member without data has to know whether the cluster exists:
// an etcd member that starts anew under its old identity has forgotten what it voted for, and can lose
// what was acknowledged. Start therefore asks the other members at their peer URLs:
//
//   - One of them knows this member as one that never started: the cluster is being formed, or this
//     member was added to it. It starts.
//   - One of them knows this member as one that did start: its directory was emptied. The member is
//     removed and added again, by a quorum of the others, and starts as a new one.
//   - None of them runs: a new cluster is formed only when all its members are there and all
//     are empty. Until then each tells the others, at its peer URL, that it waits.
//   - Otherwise it waits and says for what.
//
// # Leadership
//
// MoveLeaderAway keeps the raft leader off the host of PostgreSQL's primary, so that the death of
// that host is never also an election of the store.
//
// # Bounds
//
// WAL segments are 8 MB instead of 64, old revisions are compacted, the database has a quota of
// 256 MB, and few raft entries are kept in memory. Every write is synced before it is
// acknowledged. Where etcd would end the process on an error that it cannot handle, such as a failed
// sync of its WAL, only the goroutine ends and Failed tells why: the agent and PostgreSQL go on with
// the other members. A plain panic inside etcd or bbolt cannot be caught.
package embedded
