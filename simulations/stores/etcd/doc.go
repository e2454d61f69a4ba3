// Package etcd is a model of etcd with one or three servers, and of our adapter to it (package
// backends/etcd).
//
// Of raft it has what an agent can notice: a leader with a term, which needs a majority to commit and to
// serve reads; elections one or two seconds after a leader fell silent; entries without a majority,
// which the next leader may have or not; a deposed leader that believes in itself for a moment more; and
// followers that apply late. The contents are kept once, as the committed entries make them, with
// revisions as etcd counts them; each server has its own place in their history, which its watches
// follow. Leases are the leader's affair: they run by its clock, are looked through every half
// second, and a new leader gives each of them its full time again.
//
// The adapter half follows the files of backends/etcd with the same names and the same numbers:
// servers are tried one after another within the deadline, a connection that is refused tells that
// nothing was sent, and a renewal is a keepalive and a read with quorum in an unchanged term, which must be that of the
// grant: otherwise the key moves to a new lease.
//
// Left out: authentication, learners, snapshots between servers, and that a leader whose disk hangs
// misses heartbeats.
package etcd
