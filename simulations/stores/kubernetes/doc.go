// Package kubernetes is a model of the Kubernetes API as a store: one to three API servers, each on a host with a member
// of etcd (kubeadm's stacked topology), and the objects of one cluster in Patroni's Endpoints layout. With ConfigMaps
// nothing changes but the name of the first object, <scope>-leader. The adapter does not exist yet: this is its plan.
//
// # What the API is
//
// Reads with resourceVersion "" and writes go to etcd with quorum; watches are fed by each server's own watch cache, which may
// lag, and whose window may be too short (410). A PUT with a stale resourceVersion is refused (409), one
// without it is invalid (422); one that changes nothing is answered 200, leaves the resourceVersion, and so does that of the
// next writer with the same one. All three: seen on kube-apiserver 1.36.3. Everything else was seen nowhere yet; where to check it in the source: 410,
// 429 with Retry-After, 503 while starting, the limit of 256 KiB for annotations (source: apimachinery,
// pkg/api/validation/objectmeta.go; apiserver, pkg/storage/cacher); and what etcd does without a majority.
//
// # The adapter
//
//  1. Objects. leader, status, optime/leader and failsafe are in <scope>; config, initialize, history, and every key that
//     Patroni does not know, in <scope>-config; sync and failover in objects of their own; members/<name> in its pod. A value
//     is split into Patroni's annotations where it has their form and kept as it is under regent/<key> where not.
//  2. Marks. Every write puts its own mark into the object: renewTime (microseconds, never twice the same from one
//     adapter) and the writer, in regent/write. So no write of ours changes nothing, and a 200 means that it was this one.
//  3. Revisions (C8). A key's revision is the resourceVersion at which it was last written. A write records, in the
//     annotation regent/keys, for each key that it does not touch: its revision, the mark of its last writer, and a
//     hash of its value. A key without a revision there, or with another hash (Patroni or kubectl wrote it), is at the
//     object's resourceVersion. All adapters compute the same from the object alone, a new one too. After a
//     write by others a key may seem newer than it is: an agent that was told a revision may go on to use it while mark and value stay.
//  4. Epoch (C3, C5). The epoch is the leader key's revision: the resourceVersion of the PUT that took the lease. It grows over
//     all objects of one etcd, as long as that is not recreated; transitions, Patroni's counter, can be set back by any editor.
//     A renewal records the epoch and changes no key, so watchers are not told. That the lease is still ours is told by the
//     mark of its acquisition, not by the epoch: a third party's edit moves resourceVersions.
//  5. Writes are PUTs with the resourceVersion that was decided on, first of the newest version known, after a 409 of one read
//     with quorum. A conflict is reported only after such a read. After a timeout, a broken connection or a 500
//     the object is read: it shows the mark (done), or the same resourceVersion (the same write is sent again, and only one can pass),
//     or an untouched key under another one (never applied), or else the outcome is unknown.
//  6. Acquire takes the lease where there is no holder, or where the adapter itself saw no change of holder and
//     renewTime for the ttl that the holder published, on its own boot clock, counted from when the answer that showed the last
//     change had come. SentAt is from before the PUT; after an attempt in doubt, from before the first one.
//  7. The end (C6). There is no ttl in the store. Every adapter with a watch removes the holder once it is over by
//     item 6, under the resourceVersion at which it saw it. So the key really goes: at a revision of its own, for
//     all watchers and for Patroni, and a renewal that comes later is refused. An adapter that told its own engine
//     alone would have no revision for it and could see the key return with the next renewal. The price: one more write per
//     failover, and one observer with a clock that runs fast suffices to end a lease.
//  8. A new adapter knows of no change: it waits a full ttl from its first look before it removes or takes a lease.
//  9. PutMember is a merge-PATCH of the own pod without resourceVersion, with ttl, mark and time. Records end as
//     in 7, also in Snapshot for an adapter without a watch. In addition an adapter that never saw a record change does not show
//     one that is older than ttl + 2 s by its writer's wall clock, but removes nothing for that. Wall clocks that differ
//     by more cost this: a living record is not shown to new adapters until its next write, or a dead one is for a ttl.
//     Safety depends on no wall clock.
//  10. Snapshot is a list of Endpoints with quorum and a list of pods at exactly its revision (resourceVersionMatch=Exact).
//  11. Watch is such a snapshot and two watches from its revision. They are not ordered among each other: an event that is
//     older than one already told becomes a snapshot. Every broken watch, and a 410, leads to a new snapshot; watches are
//     not resumed, so bookmarks are not needed.
//  12. Once a second the leader object is read with quorum: this says whether the store answers, sees renewals, and
//     leaves a server whose watch lags behind three such reads.
//  13. 401 and 403 are denied once every server has said so; 429 waits for Retry-After, or asks another server. No client-side rate limit.
//  14. Prepare does nothing (C13). No call waits for another (C12).
//
// Truth's Ends is the commit of the last acquisition, renewal or handover plus the ttl in the object: a contender that
// sees each change at once can take the lease then; others see it later, and for no one is it earlier.
//
// # Not modelled
//
// Pods that are deleted and made anew; Patroni's members as writers (Edit stands for all others); a third party that lowers the
// ttl annotation of a living lease, which every reader would believe; clocks that run at other rates.
package kubernetes
