package events

import "encoding/json"

// OperatorVerb is an order that a person can give.
type OperatorVerb string

// The orders.
const (
	AskRestart      OperatorVerb = "restart"
	AskReinitialize OperatorVerb = "reinitialize"
	AskReload       OperatorVerb = "reload" // carries the local configuration read anew
	// AskUnscheduleRestart deletes a scheduled restart: 200 "scheduled restart deleted" or 404 "no restarts are scheduled".
	AskUnscheduleRestart OperatorVerb = "unschedule_restart"
)

// OperatorRequest is one order. ID is chosen by the door that took it and comes back in the
// AnswerOperator effect. Orders about the whole cluster (switchover, failover, pause, configuration)
// are writes to the DCS and reach the engine as such, whoever wrote them.
type OperatorRequest struct {
	ID   string       `json:"id"`
	Verb OperatorVerb `json:"verb"`
	// ScheduledAt is RFC 3339 with a zone; ScheduledUnix the same in Unix nanoseconds.
	ScheduledAt   string `json:"scheduled_at,omitempty"`
	ScheduledUnix int64  `json:"scheduled_unix,omitempty"`
	// Of a restart: which conditions must hold.
	Role            string `json:"role,omitempty"`
	PostgresVersion int    `json:"postgres_version,omitempty"` // restart only if the server is older
	RestartPending  bool   `json:"restart_pending,omitempty"`
	TimeoutSeconds  int    `json:"timeout_seconds,omitempty"`
	// Of a reinitialize.
	Force      bool `json:"force,omitempty"`
	FromLeader bool `json:"from_leader,omitempty"`
	// Of a reload.
	Member *MemberConfig   `json:"member,omitempty"`
	Local  json.RawMessage `json:"local,omitempty"`
}
