package scenario

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// Stage is where a scenario is played: a modelled world, or real processes on real hosts. Members are named n1, n2, … and servers of
// the store are numbered from 1. A method that a stage cannot play returns an error that says what it lacks.
type Stage interface {
	// Watch has every decision told to see, in the order of each member's decisions, from within Pass and Await or between them,
	// never at once. It is called once, before Build.
	Watch(see func(member string, d *events.Decision))
	// Build makes empty hosts and the store. No agent runs afterwards.
	Build(c Cluster) error

	Time
	Agents
	Servers
	Network
	Store
	Operator
	Clients
	Witness
}

// Cluster says what is built.
type Cluster struct {
	Members int
	Tags    map[string]events.Tags // by member
	// Config is the dynamic configuration that the first member writes.
	Config json.RawMessage
	// Guard is the guard policy of all members: required, preferred or off.
	Guard        string
	StoreServers int
}

// Time passes.
type Time interface {
	Pass(d time.Duration) error
	// Await lets time pass until ok, but at most so long, and tells whether ok holds.
	Await(most time.Duration, ok func() (bool, error)) (bool, error)
}

// Agents run beside PostgreSQL, each with its guard, on a host of its own.
type Agents interface {
	StartAgent(member string) error
	// StopAgent asks it to end, as systemd does. The end is not waited for.
	StopAgent(member string) error
	KillAgent(member string) error
	FreezeAgent(member string) error
	ThawAgent(member string) error
	KillGuard(member string) error
	// KillHost ends everything of a member at once, as a power cut does; BootHost lets guard and agent start again.
	KillHost(member string) error
	BootHost(member string) error
}

// Servers are the members' PostgreSQL servers.
type Servers interface {
	KillPostgres(member string) error
	// HangPostgres lets it go on existing without doing anything; ResumePostgres ends that.
	HangPostgres(member string) error
	ResumePostgres(member string) error
	// WedgePostgres lets it hang in the kernel: what is killed of it stays until ResumePostgres.
	WedgePostgres(member string) error
	// BlindProbe lets the agent's looks at it be in vain, though it works.
	BlindProbe(member string, blind bool) error
	// PromotePostgres is what a person does with pg_ctl promote, without asking the agent.
	PromotePostgres(member string) error
	// EmptyData takes the data directory away: a volume that is not mounted. PostgreSQL must not run.
	EmptyData(member string) error
	// ForeignData puts the data of another cluster there: the wrong backup. PostgreSQL must not run.
	ForeignData(member string) error
}

// Way is the direction in which messages to the store are cut.
type Way int

// The ways.
const (
	BothWays Way = iota
	Requests     // what the member sends is lost
	Answers      // what the store answers is lost
)

// Network is between members, and between members and the store.
type Network interface {
	// CutStore lets messages vanish, or has them refused, which a sender learns of at once.
	CutStore(member string, way Way, refused bool) error
	JoinStore(member string) error
	// CutMembers lets none of a reach any of b, nor the other way round.
	CutMembers(a, b []string) error
	JoinMembers(a, b []string) error
}

// Store is the servers of the DCS, numbered from 1, and the cluster's keys in it.
type Store interface {
	StoreServers() int
	// StoreLeader is the server that leads the others, zero if none does.
	StoreLeader() (int, error)
	KillStoreServer(server int) error
	StartStoreServer(server int) error
	FreezeStoreServer(server int) error
	ThawStoreServer(server int) error
	// SplitStore cuts a server off from the others; HealStore ends all of that.
	SplitStore(server int) error
	HealStore() error
	// WipeStore empties the store and creates it anew.
	WipeStore() error
	// StoreTroubles are the names of what else can happen to this kind of store; TroubleStore lets one of them happen.
	StoreTroubles() []string
	TroubleStore(name string) error

	Key(name string) (value string, there bool, err error)
	PutKey(name, value string) error
	RemoveKey(name string) error
}

// Operator gives orders. Members answer restarts and reinitializations in their decisions; the others are writes to the store, and
// what a door of the API says to them at once is the answer here, empty if nothing.
type Operator interface {
	// PatchConfig changes the dynamic configuration as PATCH /config does: null removes.
	PatchConfig(patch json.RawMessage) (answer string, err error)
	// Switchover names the leader; to is empty for any member, and a schedule of zero means at once.
	Switchover(from, to string, in time.Duration) (answer string, err error)
	Failover(to string) (answer string, err error)
	Restart(member string) error
	Reinitialize(member string, force bool) error
}

// Clients write to every server that takes it.
type Clients interface {
	// Write sets how often in a second; zero is never.
	Write(perSecond int) error
	// Writes counts what was acknowledged so far, and what of it the present leader does not have.
	Writes() (acknowledged, missing int, err error)
}

// Witness sees how things are.
type Witness interface {
	// State is a member's lifecycle state, "down" if its agent does not run.
	State(member string) (string, error)
	// Leader is the member that leads and accepts writes, empty if there is none.
	Leader() (string, error)
	// Primaries are the members whose PostgreSQL accepts writes, whatever anybody believes.
	Primaries() ([]string, error)
	// Healthy tells that one member leads and all others stream from it.
	Healthy() (bool, error)
	// Broken is what must never be and was.
	Broken() []string
}
