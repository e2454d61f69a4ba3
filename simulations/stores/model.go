package stores

import (
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// Fate is what becomes of a message.
type Fate int

// The fates.
const (
	Arrives  Fate = iota
	Vanishes      // nobody learns of it: dropped packets, a black hole
	Resets        // the sender learns at once that it was not taken: connection refused
)

// Line is the network between the host of one member and the servers of the store.
type Line interface {
	// Send draws what becomes of a message sent now to a server, and how long it takes if it arrives.
	Send(server int) (time.Duration, Fate)
	// Return is the same for the way back, where Resets is a connection that breaks before the answer has come.
	Return(server int) (time.Duration, Fate)
}

// Clocked is a Line from a host that has a clock of its own. A session reads that where its adapter measures time.
type Clocked interface {
	Line
	// Clock is what the host's clock reads at a true instant.
	Clock(at events.Instant) events.Instant
}

// Op is what a request asks for: the methods of backends.Store.
type Op int

// The requests.
const (
	Acquire Op = iota
	Renew
	Release
	HandOver
	Prepare
	Put
	Delete
	PutMember
	Snapshot

	opsEnd
)

// String is the name of the method.
func (o Op) String() string {
	return [opsEnd]string{"acquire", "renew", "release", "hand over", "prepare", "put", "delete", "put member", "snapshot"}[o]
}

// Ops are all of them.
func Ops() []Op {
	all := make([]Op, opsEnd)
	for i := range all {
		all[i] = Op(i)
	}
	return all
}

// Request is one call of a method of backends.Store; the fields are its arguments.
type Request struct {
	Op         Op
	Key, Value string // Put, Delete, PutMember
	Expect     int64  // Acquire (0: absent), Put, Delete (events.Any: no condition)
	Epoch      uint64 // Renew, Release, HandOver
	To         string // HandOver
	TTL        time.Duration
	// Deadline is when ctx ends: by then, or within a millisecond, the answer has come.
	Deadline events.Instant
}

// Response is what the method returns: the outcome is what backends.Classify makes of its error.
type Response struct {
	Outcome  events.Outcome // Done, Lost (a conflict), Failed (not applied for sure), Unknown, Denied
	Lease    backends.Lease // Acquire, Renew
	Revision uint64         // Put
	Snapshot events.DCSSnapshot
	Error    string
}

// Session is one agent's adapter, from its Open to the end of the agent. It is the store's client: what the adapter remembers (held
// leases, sessions, the preferred server) it remembers.
type Session interface {
	// Do answers exactly once, never before Do has returned, and not at all after Close.
	Do(r Request, answer func(Response))
	// Watch delivers snapshots, changes and reachability to sink, as backends.Store.Watch. It is called once.
	Watch(sink func(events.Fact))
	// Close is the end of the agent, as by SIGKILL: the servers notice nothing but the silence, and the sink and answers hear nothing more.
	Close()
}

// Model is a store with its servers, for one cluster's directory.
type Model interface {
	// Kind is the store's name: etcd, consul, zookeeper, kubernetes, nats.
	Kind() string
	Limits() backends.Limits
	// Begin fills a store that was just made, before any session is opened. It refuses what this kind of store cannot hold.
	Begin(b Beginning) error
	// Open begins a session of a member. Sessions of one member may overlap: the servers do not know that the agent of the former died.
	Open(member string, line Line) Session
	// Servers is their number. The following name them from 0.
	Servers() int
	// Leader is the server that leads the store now, -1 if none does.
	Leader() int
	// Kill ends a server as a crash does; what it had synced is there when Start starts it again.
	Kill(server int)
	Start(server int)
	// Freeze stops a server's time without closing a connection; Thaw lets it go on.
	Freeze(server int)
	Thaw(server int)
	// Split lets only the servers of a group reach each other; Join heals that.
	Split(group []int)
	Join()
	// Wipe empties the store and recreates it: revisions begin anew where the real store's do.
	Wipe()
	// Troubles are what else can happen to this kind of store. Each is a thing that its operators have met.
	Troubles() []Trouble
	// Truth is the leader key as all servers together would agree now. Judges ask, members never.
	Truth() Truth
	// Contents is the whole directory, linearized, sorted by key, for judges and operators.
	Contents() events.DCSSnapshot
	// Edit writes (or, with remove, deletes) a key as an operator's tool would, at once and without a condition.
	Edit(key, value string, remove bool)
}

// Trouble is a fault that only one kind of store has.
type Trouble struct {
	Name string // as in a scenario: "the consul agent restarts"
	// Wipes tells that it loses what the store had acknowledged, the leases with the rest.
	Wipes bool
	// Do lets it happen; what ends by itself ends within a bound that Do plans.
	Do func()
}

// Truth is what judges compare claims of leadership with.
type Truth struct {
	Holder string // empty: nobody
	Epoch  uint64
	// Ends is the first instant at which the store could let another member have the lease, unless it is prolonged. Zero: never by itself.
	Ends events.Instant
}

// Beginning is what a store holds when a world begins in the middle of something.
type Beginning struct {
	// Contents are its keys, sorted, with their revisions; all later revisions are larger than its own.
	Contents events.DCSSnapshot
	// Leases are the keys that end by themselves unless they are prolonged: the leader key, and members' records.
	Leases []Lease
}

// Lease is a key of a beginning that ends by itself.
type Lease struct {
	Key string
	// Holder is the member whose first session goes on with it, empty for none: a key that was handed over and is not claimed yet.
	Holder string
	// Epoch is the leader key's, zero for other keys.
	Epoch uint64
	TTL   time.Duration
	// Ends is when the store could let it go at the earliest.
	Ends events.Instant
}

// Of finds the lease of a key, nil if that has none.
func (b *Beginning) Of(key string) *Lease {
	for i := range b.Leases {
		if b.Leases[i].Key == key {
			return &b.Leases[i]
		}
	}
	return nil
}
