package events

import (
	"encoding/json"
	"time"
)

// Input is one fact that the engine consumed, in the order in which it did.
//
// Seq grows by one for each input of a runner. At never goes back. Wall is for people only: no
// decision may depend on it, but for the schedule of an operator's order (Wall is then compared
// with the order's own wall time).
type Input struct {
	Seq  uint64  `json:"seq"`
	At   Instant `json:"at"`
	Wall int64   `json:"wall"` // Unix nanoseconds
	Fact Fact    `json:"-"`
}

// Fact is the sealed set of things that can be seen.
type Fact interface{ FactKind() FactKind }

// FactKind names a class of inputs. The names are permanent: they stand in event logs.
type FactKind string

// The classes of inputs.
const (
	FactStarted        FactKind = "started"
	FactDCSSnapshot    FactKind = "dcs_snapshot"
	FactDCSChange      FactKind = "dcs_change"
	FactDCSReach       FactKind = "dcs_reach"
	FactLease          FactKind = "lease"
	FactPostgres       FactKind = "postgres"
	FactPostgresExited FactKind = "postgres_exited"
	FactPeer           FactKind = "peer"
	FactOperator       FactKind = "operator"
	FactEffect         FactKind = "effect"
	FactProgress       FactKind = "progress"
	FactTimer          FactKind = "timer"
	FactGuard          FactKind = "guard"
	FactStorage        FactKind = "storage"
	FactShutdown       FactKind = "shutdown"
)

// Started is always the first input: who this member is and how it was configured.
type Started struct {
	Member  MemberConfig `json:"member"`
	Version string       `json:"version"` // of regent
}

// MemberConfig is the local configuration, as far as decisions depend on it. It holds no secrets.
type MemberConfig struct {
	Name         string `json:"name"`
	Scope        string `json:"scope"`
	APIURL       string `json:"api_url"`
	ConnURL      string `json:"conn_url"` // postgres://host:port/database, without credentials
	ProxyURL     string `json:"proxy_url,omitempty"`
	Tags         Tags   `json:"tags"`
	CanBootstrap bool   `json:"can_bootstrap"` // a bootstrap section is configured
	// Bootstrap is the dynamic configuration for a new cluster (bootstrap.dcs), also the one in
	// force until the DCS has answered. Compact JSON.
	Bootstrap json.RawMessage `json:"bootstrap,omitempty"`
	// GuardPolicy is "required" (no promotion without a live guard), "preferred" or "off".
	GuardPolicy string `json:"guard_policy"`
	// MinTTL is the smallest lease that the store grants; a smaller ttl is raised to it.
	MinTTL time.Duration `json:"min_ttl"`
	// The local file may allow what the dynamic configuration does not.
	UsePgRewind                        bool `json:"use_pg_rewind,omitempty"`
	RemoveDataDirectoryOnRewindFailure bool `json:"remove_data_directory_on_rewind_failure,omitempty"`
	RemoveDataDirectoryOnDivergence    bool `json:"remove_data_directory_on_diverged_timelines,omitempty"`
	// WholeSecondTTL tells that the store keeps leases in whole seconds.
	WholeSecondTTL bool `json:"whole_second_ttl,omitempty"`
}

// KeyValue is a key of the cluster's directory in the DCS, relative to it ("leader",
// "members/n1"), with the store's own revision of that key.
type KeyValue struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Revision uint64 `json:"revision"`
}

// DCSSnapshot is everything that the DCS holds of this cluster, read at one revision.
type DCSSnapshot struct {
	Revision uint64 `json:"revision"`
	// Term is the store's own election term, zero where it has none or does not tell.
	Term uint64     `json:"term,omitempty"`
	Keys []KeyValue `json:"keys"` // sorted by Key
}

// DCSChange is a change to one key, delivered in revision order after a snapshot.
type DCSChange struct {
	KeyValue
	Deleted bool `json:"deleted,omitempty"`
}

// DCSReach tells that the DCS answers or has stopped answering.
type DCSReach struct {
	Reachable bool   `json:"reachable"`
	Reason    string `json:"reason,omitempty"`
}

// LeaseOp is what was asked of the leader lease.
type LeaseOp string

// The operations on the leader lease.
const (
	LeaseAcquire  LeaseOp = "acquire"
	LeaseRenew    LeaseOp = "renew"
	LeaseRelease  LeaseOp = "release"
	LeaseHandOver LeaseOp = "hand_over"
)

// Outcome is how an effect ended. Unknown is not failed: a write that timed out may have happened.
type Outcome string

// The outcomes of effects.
const (
	Done    Outcome = "done"
	Failed  Outcome = "failed"  // not applied, for sure
	Unknown Outcome = "unknown" // may have been applied
	Lost    Outcome = "lost"    // a condition did not hold: somebody else was first
	Denied  Outcome = "denied"  // the store refused our credentials or rights
	Stale   Outcome = "stale"   // the executor refused: its justification no longer held
)

// LeaseOutcome answers AcquireLease, RenewLease, ReleaseLease and HandOverLease.
type LeaseOutcome struct {
	Effect  uint64  `json:"effect"`
	Op      LeaseOp `json:"op"`
	Outcome Outcome `json:"outcome"`
	// Epoch is the revision at which the lease was won; it stays the same while it is held.
	Epoch uint64 `json:"epoch,omitempty"`
	// SentAt is from before the request left: the lease ends no earlier than SentAt + TTL.
	SentAt Instant       `json:"sent_at,omitempty"`
	TTL    time.Duration `json:"ttl,omitempty"` // as granted
	Error  string        `json:"error,omitempty"`
}

// PostgresObserved is what the probe learned of the local PostgreSQL.
type PostgresObserved struct {
	Observation Observation `json:"observation"`
}

// PostgresExited tells that a postmaster that ran is gone. Gone tells that every one of its
// children is gone too, so that none can still acknowledge a commit.
type PostgresExited struct {
	PID  int  `json:"pid"`
	Gone bool `json:"gone"`
}

// PeerAnswered is one member's answer to AskPeers, or the lack of one.
type PeerAnswered struct {
	Effect uint64     `json:"effect"`
	Peer   PeerStatus `json:"peer"`
}

// OperatorAsked is an order from a person, by REST or CLI.
type OperatorAsked struct {
	Request OperatorRequest `json:"request"`
}

// EffectFinished is the outcome of any effect that has no answer of its own kind.
type EffectFinished struct {
	Effect uint64 `json:"effect"`
	// Ended is when the executor was done: a look at PostgreSQL that began later shows what it did. Zero: when the
	// fact was consumed.
	Ended   Instant    `json:"ended,omitempty"`
	Action  ActionKind `json:"action"`
	Outcome Outcome    `json:"outcome"`
	Error   string     `json:"error,omitempty"`
	Hint    string     `json:"hint,omitempty"` // what an operator should do
	Result  Result     `json:"result"`
}

// Result is what an effect learned. Each field says which effect fills it.
type Result struct {
	SystemID    string           `json:"system_id,omitempty"`    // Bootstrap, Clone
	ShutdownLSN LSN              `json:"shutdown_lsn,omitempty"` // StopPostgres, clean
	Divergence  Divergence       `json:"divergence,omitempty"`   // CheckDivergence
	Revision    uint64           `json:"revision,omitempty"`     // PutKey, DeleteKey
	Timeline    Timeline         `json:"timeline,omitempty"`     // Promote
	History     []TimelineSwitch `json:"history,omitempty"`      // Promote
}

// Divergence is what CheckDivergence found.
type Divergence string

// The findings of CheckDivergence.
const (
	DivergenceNone  Divergence = "none"
	DivergenceFound Divergence = "found" // this member has WAL that the leader has not
)

// Progress is a sign of life from a long effect.
type Progress struct {
	Effect uint64 `json:"effect"`
	Text   string `json:"text"`
}

// TimerFired tells that the instant that the last decision asked to be woken at has come.
type TimerFired struct{}

// GuardTick is what is known of the guard process.
type GuardTick struct {
	Alive    bool    `json:"alive"`
	Deadline Instant `json:"deadline,omitempty"` // that the guard has acknowledged; zero: disarmed
	Fired    bool    `json:"fired,omitempty"`    // it has killed PostgreSQL
	Reason   string  `json:"reason,omitempty"`
}

// StorageStalled tells that the event log's disk does not answer, or does again.
type StorageStalled struct {
	Stalled bool   `json:"stalled"`
	Missing uint64 `json:"missing,omitempty"` // records that were not written
}

// ShutdownAsked tells that the agent was asked to stop (SIGTERM, SIGINT).
type ShutdownAsked struct {
	Reason string `json:"reason,omitempty"`
}

// FactKind implementations.
func (Started) FactKind() FactKind          { return FactStarted }
func (DCSSnapshot) FactKind() FactKind      { return FactDCSSnapshot }
func (DCSChange) FactKind() FactKind        { return FactDCSChange }
func (DCSReach) FactKind() FactKind         { return FactDCSReach }
func (LeaseOutcome) FactKind() FactKind     { return FactLease }
func (PostgresObserved) FactKind() FactKind { return FactPostgres }
func (PostgresExited) FactKind() FactKind   { return FactPostgresExited }
func (PeerAnswered) FactKind() FactKind     { return FactPeer }
func (OperatorAsked) FactKind() FactKind    { return FactOperator }
func (EffectFinished) FactKind() FactKind   { return FactEffect }
func (Progress) FactKind() FactKind         { return FactProgress }
func (TimerFired) FactKind() FactKind       { return FactTimer }
func (GuardTick) FactKind() FactKind        { return FactGuard }
func (StorageStalled) FactKind() FactKind   { return FactStorage }
func (ShutdownAsked) FactKind() FactKind    { return FactShutdown }
