package engine

import "github.com/regent-ha/regent/events"

// Status is the picture of a member that the runner publishes after a step that changed something.
// It is complete and never modified afterwards: the REST API, the metrics and the terminal view are
// served from it, without touching PostgreSQL or the DCS.
type Status struct {
	Member  events.MemberConfig
	Version string // of regent
	// At and Wall are those of the last input.
	At   events.Instant
	Wall int64

	State    events.LifecycleState
	Rule     events.RuleID // that holds the member in State
	Why      string
	Refusals []events.Refusal // why this member, or each candidate, does not lead

	View         events.View
	DCSReachable bool
	DCSLastSeen  int64 // Unix nanoseconds of the last answer
	Settings     events.Settings
	SettingsDoc  []byte // the dynamic configuration in force, compact JSON
	// SettingsErrors are the parts of it that could not be used, and what would be right.
	SettingsErrors []string

	// LeaseUntil is when this member's own lease ends by its own count, zero when it holds none.
	LeaseUntil events.Instant
	Epoch      uint64

	Postgres events.Observation
	// PostgresState and Role are Patroni's words: running, starting, stopped, creating replica, …;
	// primary, replica, uninitialized, demoted, promoted.
	PostgresState string
	Role          string

	Guard            events.GuardTick
	FenceStrength    string // "guard", "engine only", "none needed"
	ScheduledRestart *events.ScheduledRestart
	InFlight         []events.Effect // effects without an outcome yet
	Recent           []Decided       // newest last
	Dropped          uint64          // event log records that could not be written
}

// Decided is a decision as it is shown to people.
type Decided struct {
	Seq  uint64                `json:"seq"`
	Wall int64                 `json:"wall"`
	From events.LifecycleState `json:"from"`
	To   events.LifecycleState `json:"to"`
	Rule events.RuleID         `json:"rule"`
	Why  string                `json:"why"`
}

// HoldsLease tells whether the member's lease is valid at now, by its own count.
func (s *Status) HoldsLease(now events.Instant) bool {
	return s.LeaseUntil != 0 && now < s.LeaseUntil
}
