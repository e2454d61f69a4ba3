// Package nats keeps a cluster's directory in a NATS JetStream key-value bucket (server 2.11 or newer).
//
// # Layout
//
// One bucket serves a namespace: regent-<namespace>, the stream KV_regent-<namespace>. The path
// /service/batman/members/n1 is the KV key service.batman.members.n1: a slash becomes the dot that
// separates NATS tokens, so that one cluster can be watched, and permitted, as
// $KV.regent-service.service.batman.>; every other byte that a key may not hold, and the dot and the
// equals sign, becomes =XX. Values are Patroni's. Each member also owns a key =read.<member>, written by
// its linearizable reads; it is no part of the directory.
//
// # Revisions
//
// A key's revision is its stream sequence. The stream is created with first_seq set to the Unix time in
// microseconds, so the sequences of a recreated stream begin above all that came before it (below a
// million writes per second, and unless the wall clock went back). A bucket that was made without that is
// refused by Open, and a lease whose epoch would not be above every revision that the Store has seen is
// given back. Who makes the bucket by other means, for want of rights, sets first_seq,
// max_msgs_per_subject 1, allow_msg_ttl, subject_delete_marker_ttl, allow_rollup_hdrs and no allow_direct.
//
// # Leases
//
// The leader key is a message with a TTL of its own, in whole seconds: what is asked for is rounded up, 1
// s is the least. The server removes it TTL after the time at which the stream's leader stamped the write.
// A renewal is another write with the same TTL, under the condition that the last one is still there; a
// plain KV update would make the key immortal. Every write carries a random token in the header
// Regent-Token: a renewal whose answer was lost is found again by it, and a conflict counts as the loss of
// the lease only after a linearizable read has shown that the key holds another token.
//
// The server decides on expiry and writes the marker in two steps, without a condition (2.15.2, filestore
// expireMsgs; seen on a cluster, about once in 70 renewals at that very moment): a renewal that is in
// flight between them is acknowledged and then swept away. So a write that was acknowledged when the one
// before it may already have expired does not count; it is done once more, and that one counts, for it
// would be refused if a marker were under way. No write is without the condition that names the message it
// replaces, so that one which was stuck in a frozen server cannot overwrite a later one.
//
// Expiry follows the wall clocks of the NATS servers. A leader of the stream whose clock is ahead of its
// predecessor's by d ends a lease d early: keep the servers' clocks together, or raise Config.ClockSkew,
// which is added to the TTL in the store and not to the one that is promised.
//
// # Reads and watches
//
// Direct gets are off: any replica may answer them with the past. A Snapshot first writes the member's own
// key =read (sequence S, acknowledged by a quorum), then reads the directory in sequence order through the
// stream's leader until nothing is left and something not older than S was seen. That shows every write
// that was acknowledged before the call, on one replica or more; a deposed leader without S cannot satisfy
// it. Watch is a snapshot and an ephemeral consumer from the sequence after it; a hole in the consumer's
// numbers, silence for four heartbeats, or a lost connection starts it anew with a snapshot. Markers of
// deletions live for a minute, far longer than any such silence. A subject has one message: what is overwritten
// before the consumer gets to it is never told, only what it was overwritten with (seen on 2.15.2, within
// milliseconds). A read through the stream's leader every second tells whether the store answers.
//
// # Operation
//
// Rights that a member needs: publish $KV.<bucket>.<namespace>.<scope>.> and, below $JS.API, INFO and for
// the stream STREAM.INFO, STREAM.MSG.GET, CONSUMER.CREATE and CONSUMER.DELETE, with STREAM.CREATE and
// STREAM.UPDATE where it shall make the bucket; subscribe _INBOX.>.
//
// Elections of JetStream take 5 to 8 s and cannot be tuned: use a ttl of 20 s or more. The server syncs to
// disk every two minutes by default, so that a power failure of all replicas forgets acknowledged writes,
// leases among them: set sync_interval: always in its jetstream block.
package nats
