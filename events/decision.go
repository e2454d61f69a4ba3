package events

// RuleID names a row of the rule table, for example "FO-20". IDs are permanent and never reused.
type RuleID string

// LifecycleState names a state of the lifecycle machine, for example "following".
type LifecycleState string

// Refusal is a rule's answer to "why not": for this member, or for one candidate.
type Refusal struct {
	Rule      RuleID `json:"rule"`
	Candidate string `json:"candidate,omitempty"`
	Why       string `json:"why"`
}

// Fired is one row of the rule table that acted.
type Fired struct {
	Rule RuleID `json:"rule"`
	Why  string `json:"why"`
}

// Decision is what the engine concluded from one input.
//
// The effects are handed out in order. They MUST NOT be performed before the runner has given the
// decision to the event log; an irreversible one waits a few milliseconds for the log to be synced.
type Decision struct {
	Input uint64         `json:"input"` // Seq of the input
	From  LifecycleState `json:"from"`
	To    LifecycleState `json:"to"`
	// Rule holds the member in To, or took it there.
	Rule RuleID `json:"rule"`
	// Why is set when Rule or the state changed.
	Why string `json:"why,omitempty"`
	// Fired are the rows that acted, in order: steps of the lifecycle first, then duties (renewals,
	// publications, slots).
	Fired    []Fired   `json:"fired,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
	Effects  []Effect  `json:"effects,omitempty"`
	// Broken names the invariants that did not hold after the step. Never empty silently: each is a bug.
	Broken []string `json:"broken,omitempty"`
	// WakeAt is when the engine wants a TimerFired, if nothing else happens before.
	WakeAt Instant `json:"wake_at"`
	// StateHash is the hash of the folded state after the step, zero where it was not asked for.
	StateHash uint64 `json:"state_hash,omitempty"`
}

// Changed tells that the decision says anything new.
func (d *Decision) Changed() bool {
	return d.From != d.To || d.Why != "" || len(d.Fired) > 0 || len(d.Effects) > 0 || len(d.Broken) > 0
}

// HasFired tells whether one of the rules acted in this decision.
func (d *Decision) HasFired(rules ...RuleID) bool {
	for _, f := range d.Fired {
		for _, r := range rules {
			if f.Rule == r {
				return true
			}
		}
	}
	return false
}
