package kubernetes

import (
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// token names one write of one adapter. In the objects it is renewTime (UTC, microseconds, never the same twice
// from one adapter) together with the name of the adapter that wrote.
type token struct{ session, n uint32 }

// entry is one key of the directory as the annotations of its object hold it.
type entry struct {
	key, value string
	by         token  // the last write of this key by an adapter of ours
	rev        uint64 // as recorded beside it; zero: changed by the very write that made this version
	recorded   string // the value that rev speaks of (a hash in the object): others write values and no records
}

// lease are the annotations beside leader: renewTime, ttl, transitions.
type lease struct {
	stamp       token // of the last acquisition, renewal or handover
	ttl         time.Duration
	transitions uint32
}

// version is one version of an object. It is never modified after it was committed.
type version struct {
	obj   int
	uid   uint32 // grows when the store is recreated
	rv    uint64 // metadata.resourceVersion
	keys  []entry
	lease lease
	// by is the last write of an adapter to any part of the object.
	by token
	// other stands for all that others keep in the object: labels, subsets, a pod's status.
	other uint64
	// ttl and written are of a member's record; written is by the writer's wall clock.
	ttl     time.Duration
	written events.Instant
}

// The objects. Pods follow.
const (
	objLeader = iota
	objConfig
	objSync
	objFailover
	firstPod
)

// Kinds of resources; each has lists and watches of its own.
const (
	endpoints = iota
	pods
	resources
)

func resourceOf(obj int) int {
	if obj >= firstPod {
		return pods
	}
	return endpoints
}

// objectOf tells which object holds a key. Keys that Patroni does not know stand beside its config.
func objectOf(key string) int {
	switch key {
	case events.KeyLeader, events.KeyStatus, events.KeyOptimeLeader, events.KeyFailsafe:
		return objLeader
	case events.KeySync:
		return objSync
	case events.KeyFailover:
		return objFailover
	}
	return objConfig
}

// find is where key is, or would be.
func (v *version) find(key string) (int, bool) {
	if v == nil {
		return 0, false
	}
	for i := range v.keys {
		if v.keys[i].key >= key {
			return i, v.keys[i].key == key
		}
	}
	return len(v.keys), false
}

func (v *version) get(key string) *entry {
	if i, ok := v.find(key); ok {
		return &v.keys[i]
	}
	return nil
}

// holder is the leader annotation, nil where it is absent or empty.
func (v *version) holder() *entry {
	if e := v.get(events.KeyLeader); e != nil && e.value != "" {
		return e
	}
	return nil
}

// revision is the resourceVersion at which the key got its value: every adapter computes the same from the object alone.
func (v *version) revision(e *entry) uint64 {
	if e.rev != 0 && e.recorded == e.value {
		return e.rev
	}
	return v.rv
}

// next copies v for a write, with the revisions of all keys recorded.
func (v *version) next(obj int, by token) *version {
	n := &version{obj: obj, by: by}
	if v == nil {
		return n
	}
	*n = *v
	n.by = by
	n.keys = make([]entry, len(v.keys), len(v.keys)+1)
	copy(n.keys, v.keys)
	for i := range n.keys {
		e := &n.keys[i]
		e.rev, e.recorded = v.revision(e), e.value
	}
	return n
}

func (v *version) set(key, value string, by token) {
	i, ok := v.find(key)
	if !ok {
		v.keys = append(v.keys, entry{})
		copy(v.keys[i+1:], v.keys[i:])
	}
	v.keys[i] = entry{key: key, value: value, by: by}
}

func (v *version) remove(key string) {
	if i, ok := v.find(key); ok {
		v.keys = append(v.keys[:i], v.keys[i+1:]...)
	}
}

// foreign copies v as a writer does that knows nothing of our records.
func (v *version) foreign(obj int) *version {
	if v == nil {
		return &version{obj: obj}
	}
	n := *v
	n.keys = make([]entry, len(v.keys), len(v.keys)+1)
	copy(n.keys, v.keys)
	return &n
}

// edit sets or removes a key and leaves the records as they are.
func (v *version) edit(key, value string, remove bool) {
	i, ok := v.find(key)
	switch {
	case remove:
		v.remove(key)
	case ok:
		v.keys[i].value = value
	default:
		v.set(key, value, token{})
	}
}

// same tells that a write of n over v changes nothing.
func (v *version) same(n *version) bool {
	if v.by != n.by || v.lease != n.lease || v.other != n.other || v.ttl != n.ttl || v.written != n.written || len(v.keys) != len(n.keys) {
		return false
	}
	for i := range v.keys {
		if v.keys[i] != n.keys[i] {
			return false
		}
	}
	return true
}

// maxAnnotations is how much an object's annotations may hold together (apimachinery, pkg/api/validation:
// TotalAnnotationSizeLimitB).
const maxAnnotations = 256 << 10

func (v *version) size() (n int) {
	for i := range v.keys {
		n += len(v.keys[i].key) + len(v.keys[i].value)
	}
	return n
}

// patronisTTL is what a reader takes a lease without a ttl to have.
const patronisTTL = 30 * time.Second

func (v *version) leaseTTL() time.Duration {
	if v.lease.ttl <= 0 {
		return patronisTTL
	}
	return v.lease.ttl
}

// whole is a ttl as the annotations hold it: Patroni reads whole seconds.
func whole(ttl time.Duration) time.Duration {
	return max(time.Second, (ttl+time.Second-1)/time.Second*time.Second)
}

func limits() backends.Limits {
	return backends.Limits{Kind: "kubernetes", MinTTL: time.Second, WholeSecondTTL: true}
}
