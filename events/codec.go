package events

import (
	"encoding/json"
	"fmt"
)

// The codec writes inputs and decisions as compact JSON with a tag for their kind. Struct fields come in
// the order of their declaration and maps in the order of their keys, so equal values give equal bytes.

type taggedInput struct {
	plainInput
	Kind FactKind        `json:"kind"`
	Fact json.RawMessage `json:"fact"`
}

type plainInput struct {
	Seq  uint64  `json:"seq"`
	At   Instant `json:"at"`
	Wall int64   `json:"wall"`
}

// MarshalJSON writes the input with the kind of its fact.
func (in Input) MarshalJSON() ([]byte, error) {
	if in.Fact == nil {
		return nil, fmt.Errorf("encode input %d: it holds no fact", in.Seq)
	}
	fact, err := json.Marshal(in.Fact)
	if err != nil {
		return nil, fmt.Errorf("encode input %d: %w", in.Seq, err)
	}
	return json.Marshal(taggedInput{plainInput{in.Seq, in.At, in.Wall}, in.Fact.FactKind(), fact})
}

// UnmarshalJSON reads an input; a kind that this version does not know is an error that names it.
func (in *Input) UnmarshalJSON(b []byte) error {
	var t taggedInput
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("decode input: %w", err)
	}
	fact, err := decodeFact(t.Kind, t.Fact)
	if err != nil {
		return fmt.Errorf("decode input %d: %w", t.Seq, err)
	}
	*in = Input{t.Seq, t.At, t.Wall, fact}
	return nil
}

func decode[T any](b []byte) (T, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

func asFact[T Fact](b []byte) (Fact, error)       { return decode[T](b) }
func asAction[T Action](b []byte) (Action, error) { return decode[T](b) }

var factDecoders = map[FactKind]func([]byte) (Fact, error){
	FactStarted: asFact[Started], FactDCSSnapshot: asFact[DCSSnapshot], FactDCSChange: asFact[DCSChange],
	FactDCSReach: asFact[DCSReach], FactLease: asFact[LeaseOutcome], FactPostgres: asFact[PostgresObserved],
	FactPostgresExited: asFact[PostgresExited], FactPeer: asFact[PeerAnswered], FactOperator: asFact[OperatorAsked],
	FactEffect: asFact[EffectFinished], FactProgress: asFact[Progress], FactTimer: asFact[TimerFired],
	FactGuard: asFact[GuardTick], FactStorage: asFact[StorageStalled], FactShutdown: asFact[ShutdownAsked],
}

var actionDecoders = map[ActionKind]func([]byte) (Action, error){
	ActAcquireLease: asAction[AcquireLease], ActRenewLease: asAction[RenewLease], ActReleaseLease: asAction[ReleaseLease],
	ActHandOverLease: asAction[HandOverLease], ActPrepareLease: asAction[PrepareLease], ActPutKey: asAction[PutKey], ActDeleteKey: asAction[DeleteKey],
	ActPutMember: asAction[PutMember], ActReadDCS: asAction[ReadDCS], ActBootstrap: asAction[Bootstrap],
	ActClone: asAction[Clone], ActStartPostgres: asAction[StartPostgres], ActStopPostgres: asAction[StopPostgres],
	ActRestartPostgres: asAction[RestartPostgres], ActPromote: asAction[Promote], ActFollow: asAction[Follow],
	ActCheckpoint: asAction[Checkpoint], ActCheckDivergence: asAction[CheckDivergence], ActCrashRecover: asAction[CrashRecover],
	ActRewind: asAction[Rewind], ActSyncSlots: asAction[SyncSlots], ActApplyConfig: asAction[ApplyConfig],
	ActArmGuard: asAction[ArmGuard], ActDisarmGuard: asAction[DisarmGuard], ActAskPeers: asAction[AskPeers],
	ActAnswerOperator: asAction[AnswerOperator], ActExit: asAction[Exit], ActCancel: asAction[Cancel],
}

func decodeFact(kind FactKind, b []byte) (Fact, error) {
	f, ok := factDecoders[kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of input %q: written by a newer version?", kind)
	}
	return f(b)
}

type taggedEffect struct {
	plainEffect
	Kind   ActionKind      `json:"kind"`
	Action json.RawMessage `json:"action"`
}

type plainEffect struct {
	ID       uint64  `json:"id"`
	Epoch    uint64  `json:"epoch,omitempty"`
	Revision uint64  `json:"revision,omitempty"`
	Deadline Instant `json:"deadline"`
}

// MarshalJSON writes the effect with the kind of its action.
func (e Effect) MarshalJSON() ([]byte, error) {
	if e.Action == nil {
		return nil, fmt.Errorf("encode effect %d: it holds no action", e.ID)
	}
	action, err := json.Marshal(e.Action)
	if err != nil {
		return nil, fmt.Errorf("encode effect %d: %w", e.ID, err)
	}
	return json.Marshal(taggedEffect{plainEffect{e.ID, e.Epoch, e.Revision, e.Deadline}, e.Action.ActionKind(), action})
}

// UnmarshalJSON reads an effect.
func (e *Effect) UnmarshalJSON(b []byte) error {
	var t taggedEffect
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("decode effect: %w", err)
	}
	f, ok := actionDecoders[t.Kind]
	if !ok {
		return fmt.Errorf("decode effect %d: unknown action %q: written by a newer version?", t.ID, t.Kind)
	}
	action, err := f(t.Action)
	if err != nil {
		return fmt.Errorf("decode effect %d: %w", t.ID, err)
	}
	*e = Effect{t.ID, t.Epoch, t.Revision, t.Deadline, action}
	return nil
}
