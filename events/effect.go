package events

import (
	"encoding/json"
	"time"
)

// Effect is something to be done. Effects are values: numbered, idempotent, and carrying what
// justified them. An executor compares Epoch with the epoch in force when it is about to act and
// refuses a stale effect (outcome Stale).
type Effect struct {
	ID uint64 `json:"id"`
	// Epoch of the lease that justified the effect; zero where none is needed.
	Epoch uint64 `json:"epoch,omitempty"`
	// Revision of the DCS view on which it was decided.
	Revision uint64 `json:"revision,omitempty"`
	// Deadline after which the executor must have cancelled it and said so.
	Deadline Instant `json:"deadline"`
	Action   Action  `json:"-"`
}

// Action is the sealed set of things that can be done.
type Action interface{ ActionKind() ActionKind }

// ActionKind names a class of effects. The names are permanent: they stand in event logs.
type ActionKind string

// The classes of effects.
const (
	ActAcquireLease    ActionKind = "acquire_lease"
	ActRenewLease      ActionKind = "renew_lease"
	ActReleaseLease    ActionKind = "release_lease"
	ActHandOverLease   ActionKind = "hand_over_lease"
	ActPrepareLease    ActionKind = "prepare_lease"
	ActPutKey          ActionKind = "put_key"
	ActDeleteKey       ActionKind = "delete_key"
	ActPutMember       ActionKind = "put_member"
	ActReadDCS         ActionKind = "read_dcs"
	ActBootstrap       ActionKind = "bootstrap"
	ActClone           ActionKind = "clone"
	ActStartPostgres   ActionKind = "start_postgres"
	ActStopPostgres    ActionKind = "stop_postgres"
	ActRestartPostgres ActionKind = "restart_postgres"
	ActPromote         ActionKind = "promote"
	ActFollow          ActionKind = "follow"
	ActCheckpoint      ActionKind = "checkpoint"
	ActCheckDivergence ActionKind = "check_divergence"
	ActCrashRecover    ActionKind = "crash_recover"
	ActRewind          ActionKind = "rewind"
	ActSyncSlots       ActionKind = "sync_slots"
	ActApplyConfig     ActionKind = "apply_config"
	ActArmGuard        ActionKind = "arm_guard"
	ActDisarmGuard     ActionKind = "disarm_guard"
	ActAskPeers        ActionKind = "ask_peers"
	ActAnswerOperator  ActionKind = "answer_operator"
	ActExit            ActionKind = "exit"
	ActCancel          ActionKind = "cancel"
)

// AcquireLease takes the leader key. Expect zero: it must not exist. Otherwise the key must be at
// that revision: a lease that was handed over to this member, or its own from before a restart.
type AcquireLease struct {
	Expect uint64        `json:"expect,omitempty"`
	TTL    time.Duration `json:"ttl"`
}

// RenewLease prolongs the lease of the effect's epoch.
type RenewLease struct {
	TTL time.Duration `json:"ttl"`
}

// ReleaseLease deletes the leader key if it is still ours.
type ReleaseLease struct{}

// HandOverLease writes another member's name into the leader key, if it is still ours. The
// successor must claim it (AcquireLease with Expect) within TTL, or the key goes.
type HandOverLease struct {
	To  string        `json:"to"`
	TTL time.Duration `json:"ttl"`
}

// PrepareLease tells the store that a lease with TTL is about to be acquired or handed over, so that it can do ahead what nobody
// else can see.
type PrepareLease struct {
	TTL time.Duration `json:"ttl"`
}

// Any as PutKey.Expect or DeleteKey.Expect makes the write unconditional.
const Any = -1

// PutKey writes a key. Expect is the revision it must have, zero for absent, Any for no condition.
type PutKey struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Expect int64  `json:"expect"`
}

// DeleteKey removes a key under a condition as PutKey's.
type DeleteKey struct {
	Key    string `json:"key"`
	Expect int64  `json:"expect"`
}

// PutMember writes this member's own record, which ends with TTL unless written again.
type PutMember struct {
	Value string        `json:"value"`
	TTL   time.Duration `json:"ttl"`
}

// ReadDCS asks for a fresh, linearizable snapshot.
type ReadDCS struct{}

// Bootstrap creates a new database cluster in an empty data directory and leaves it stopped: it is started as a primary when the
// lease is held.
type Bootstrap struct{}

// Upstream is whom to clone from, rewind from or follow.
type Upstream struct {
	Name    string `json:"name,omitempty"`
	ConnURL string `json:"conn_url,omitempty"`
	APIURL  string `json:"api_url,omitempty"`
}

// Clone fills an empty data directory with a base backup of From.
type Clone struct {
	From Upstream `json:"from"`
	// Discard allows removal of what is in the data directory: only ever set by an operator's
	// order, or by a setting that allows it after a divergence was proven.
	Discard bool `json:"discard,omitempty"`
}

// StartPostgres starts the server: as a primary, or as a replica of From (of nobody if empty).
type StartPostgres struct {
	AsPrimary bool     `json:"as_primary,omitempty"`
	From      Upstream `json:"from"`
}

// StopMode is PostgreSQL's own word for how to stop.
type StopMode string

// The ways to stop.
const (
	StopFast      StopMode = "fast"
	StopImmediate StopMode = "immediate"
	StopKill      StopMode = "kill" // SIGKILL for every process: the last resort
)

// StopPostgres stops the server. It escalates to immediate after EscalateAfter, and to kill at the deadline.
type StopPostgres struct {
	Mode          StopMode      `json:"mode"`
	EscalateAfter time.Duration `json:"escalate_after,omitempty"`
}

// RestartPostgres stops and starts the server in its present role.
type RestartPostgres struct {
	AsPrimary bool     `json:"as_primary,omitempty"`
	From      Upstream `json:"from"`
}

// Promote ends recovery. The effect's Epoch must be the lease in force.
type Promote struct{}

// Follow points a running replica at another upstream.
type Follow struct {
	From Upstream `json:"from"`
}

// Checkpoint makes the server write a checkpoint now.
type Checkpoint struct{}

// CheckDivergence compares the local timeline and position with the leader's history.
type CheckDivergence struct {
	Leader Upstream `json:"leader"`
}

// CrashRecover runs the stopped server alone until its WAL is applied, so that it can be rewound.
type CrashRecover struct{}

// Rewind makes a stopped, diverged server a copy of From again.
type Rewind struct {
	From Upstream `json:"from"`
}

// SyncSlots makes the physical slots of the named members exist, and removes those of Drop.
type SyncSlots struct {
	Members []string `json:"members"`
	Drop    []string `json:"drop,omitempty"`
}

// ApplyConfig gives the dynamic configuration to PostgreSQL: files are written, the server reloads.
type ApplyConfig struct {
	Document json.RawMessage `json:"document"`
	// Local is set when the operator asked for a reload of the local file.
	Local bool `json:"local,omitempty"`
}

// ArmGuard tells the guard when PostgreSQL must be dead unless the deadline has moved by then.
type ArmGuard struct {
	Deadline Instant `json:"deadline"`
}

// DisarmGuard tells the guard that PostgreSQL is no primary.
type DisarmGuard struct{}

// Peer is a member to be asked.
type Peer struct {
	Name   string `json:"name"`
	APIURL string `json:"api_url"`
}

// AskPeers asks members in parallel for their state; each answer is an input of its own.
type AskPeers struct {
	Peers   []Peer        `json:"peers"`
	Timeout time.Duration `json:"timeout"`
}

// AnswerOperator ends an operator's request. Code is an HTTP status.
type AnswerOperator struct {
	Request string `json:"request"`
	Code    int    `json:"code"`
	Body    string `json:"body"`
}

// Exit ends the agent.
type Exit struct {
	Code int    `json:"code"`
	Why  string `json:"why"`
}

// Cancel asks the executor of Effect to give up as soon as it safely can.
type Cancel struct {
	Effect uint64 `json:"effect"`
}

// ActionKind implementations.
func (AcquireLease) ActionKind() ActionKind    { return ActAcquireLease }
func (RenewLease) ActionKind() ActionKind      { return ActRenewLease }
func (ReleaseLease) ActionKind() ActionKind    { return ActReleaseLease }
func (HandOverLease) ActionKind() ActionKind   { return ActHandOverLease }
func (PrepareLease) ActionKind() ActionKind    { return ActPrepareLease }
func (PutKey) ActionKind() ActionKind          { return ActPutKey }
func (DeleteKey) ActionKind() ActionKind       { return ActDeleteKey }
func (PutMember) ActionKind() ActionKind       { return ActPutMember }
func (ReadDCS) ActionKind() ActionKind         { return ActReadDCS }
func (Bootstrap) ActionKind() ActionKind       { return ActBootstrap }
func (Clone) ActionKind() ActionKind           { return ActClone }
func (StartPostgres) ActionKind() ActionKind   { return ActStartPostgres }
func (StopPostgres) ActionKind() ActionKind    { return ActStopPostgres }
func (RestartPostgres) ActionKind() ActionKind { return ActRestartPostgres }
func (Promote) ActionKind() ActionKind         { return ActPromote }
func (Follow) ActionKind() ActionKind          { return ActFollow }
func (Checkpoint) ActionKind() ActionKind      { return ActCheckpoint }
func (CheckDivergence) ActionKind() ActionKind { return ActCheckDivergence }
func (CrashRecover) ActionKind() ActionKind    { return ActCrashRecover }
func (Rewind) ActionKind() ActionKind          { return ActRewind }
func (SyncSlots) ActionKind() ActionKind       { return ActSyncSlots }
func (ApplyConfig) ActionKind() ActionKind     { return ActApplyConfig }
func (ArmGuard) ActionKind() ActionKind        { return ActArmGuard }
func (DisarmGuard) ActionKind() ActionKind     { return ActDisarmGuard }
func (AskPeers) ActionKind() ActionKind        { return ActAskPeers }
func (AnswerOperator) ActionKind() ActionKind  { return ActAnswerOperator }
func (Exit) ActionKind() ActionKind            { return ActExit }
func (Cancel) ActionKind() ActionKind          { return ActCancel }

// MakesPrimary tells whether an action leads to a server that accepts writes. Bootstrap does not: what it leaves is stopped.
func MakesPrimary(a Action) bool {
	switch a := a.(type) {
	case Promote:
		return true
	case StartPostgres:
		return a.AsPrimary
	case RestartPostgres:
		return a.AsPrimary
	}
	return false
}

// WorksOnData tells whether effects of this kind work on the data directory, or on the server's life: at most one of them at a time.
func (k ActionKind) WorksOnData() bool {
	switch k {
	case ActBootstrap, ActClone, ActStartPostgres, ActStopPostgres, ActRestartPostgres, ActPromote, ActFollow, ActCheckDivergence,
		ActCrashRecover, ActRewind:
		return true
	}
	return false
}
