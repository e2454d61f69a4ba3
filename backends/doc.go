// Package backends is the contract between regent and the store that its members agree in (DCS).
// Adapters for the stores live in the packages below it; backendtest is this contract as a test
// suite, and every adapter passes it against the real server.
//
// A Store belongs to one member of one cluster. It reads and writes only below the cluster's own
// directory, /<namespace>/<scope>/, with Patroni's keys and values.
//
// The contract, by number; tests and adapters cite it:
//
//	C1  Watch delivers a snapshot first, then changes in revision order. After any gap (reconnect,
//	    compaction, recreated store) it delivers a new snapshot; it never skips a change silently and
//	    never delivers an older revision of a key after a newer one without a snapshot between them.
//	C2  Snapshot is linearizable: it shows every write that was acknowledged before it was called.
//	C3  Acquire succeeds for at most one member while the leader key exists. With Expect it succeeds
//	    only if the key is at that revision. Epochs of successive leases of a cluster grow.
//	C4  The lease ends no earlier than SentAt + TTL of the last successful Acquire or Renew, SentAt
//	    being read from the boot clock before the request left. TTL is what the store granted.
//	C5  Renew succeeds only while the key is still this member's lease of that epoch; it prolongs the
//	    lease in the store itself, and never makes the key immortal.
//	C6  Once a lease ends, by release or by time, the key goes and watchers are told.
//	C7  Release and HandOver touch the key only if it is still this member's lease of that epoch. A
//	    handed-over key ends after the TTL that was asked for, unless its successor claims it.
//	C8  Put and Delete apply their condition atomically. The revision returned is the key's own.
//	C9  Every failure is one of four, told by Classify: conflict (a condition did not hold; nothing was
//	    changed), not applied for sure, unknown (it may have been applied), denied (credentials or
//	    rights). When in doubt it is unknown.
//	C10 ctx reaches the wire: when it ends, the call returns within a moment, with unknown unless the
//	    request never left.
//	C11 PutMember's record goes by itself after TTL, unless it is written or prolonged again.
//	C12 No method blocks another: a hung request never delays a renewal of the lease.
//	C13 Prepare changes nothing that others can see. What it got ready is used once, by the next Acquire or
//	    HandOver with that ttl, which dates the lease from Prepare; when it is older than a quarter of the
//	    ttl it is not used. Whether and how Prepare succeeds changes no outcome, only how long it takes.
package backends
