package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// RegentStatus is the body of GET /regent/status: what the member does, and why it does nothing else.
type RegentStatus struct {
	Name     string `json:"name"`
	Scope    string `json:"scope"`
	Version  string `json:"version"`
	Wall     int64  `json:"wall"`     // of the last input, Unix nanoseconds
	AgeMilli int64  `json:"age_ms"`   // since the last input
	State    string `json:"state"`    // of the lifecycle
	Rule     string `json:"rule"`     // that holds the member in State
	Why      string `json:"why"`      // the rule's reason
	Role     string `json:"role"`     // of PostgreSQL, in Patroni's words
	Postgres string `json:"postgres"` // its state, in Patroni's words
	Problem  string `json:"problem,omitempty"`
	Paused   bool   `json:"paused,omitempty"`
	// NoAnswerMilli is how long PostgreSQL has not answered.
	NoAnswerMilli int64 `json:"no_answer_ms,omitempty"`
	// SettingsErrors are the parts of the dynamic configuration that could not be used.
	SettingsErrors []string         `json:"settings_errors,omitempty"`
	Refusals       []events.Refusal `json:"refusals,omitempty"`
	Leader         string           `json:"leader,omitempty"` // in the DCS
	Lease          LeaseStatus      `json:"lease"`
	DCS            DCSStatus        `json:"dcs"`
	Guard          GuardStatus      `json:"guard"`
	FenceStrength  string           `json:"fence_strength"`
	InFlight       []InFlight       `json:"in_flight,omitempty"`
	Recent         []engine.Decided `json:"recent,omitempty"` // newest last
	Dropped        uint64           `json:"dropped,omitempty"`
}

// LeaseStatus is the member's own lease, by its own count.
type LeaseStatus struct {
	Held      bool   `json:"held"`
	LeftMilli int64  `json:"left_ms"` // zero when none is held
	Epoch     uint64 `json:"epoch,omitempty"`
}

// DCSStatus is what is known of the store.
type DCSStatus struct {
	Reachable bool             `json:"reachable"`
	LastSeen  int64            `json:"last_seen"` // Unix nanoseconds
	Revision  uint64           `json:"revision"`
	Term      uint64           `json:"term,omitempty"`
	Problems  []events.Problem `json:"problems,omitempty"`
}

// GuardStatus is what is known of the guard process.
type GuardStatus struct {
	Alive     bool   `json:"alive"`
	Armed     bool   `json:"armed"`
	LeftMilli int64  `json:"left_ms"` // until it kills PostgreSQL; zero when it is not armed
	Fired     bool   `json:"fired,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// InFlight is an effect whose outcome is not known yet.
type InFlight struct {
	ID        uint64            `json:"id"`
	Action    events.ActionKind `json:"action"`
	Epoch     uint64            `json:"epoch,omitempty"`
	LeftMilli int64             `json:"left_ms"` // until its deadline; negative when it is overdue
}

func (s *Server) regent(r *http.Request, p *picture) answer {
	if path := strings.Trim(r.URL.EscapedPath(), "/"); path != "regent/status" {
		return failure(http.StatusNotFound, "want /regent/status")
	}
	return value(http.StatusOK, regentStatus(p, s.doors.Now()))
}

func regentStatus(p *picture, now events.Instant) RegentStatus {
	st := RegentStatus{
		Name: p.Member.Name, Scope: p.Member.Scope, Version: p.Version, Wall: p.Wall, AgeMilli: milli(now.Sub(p.At)),
		State: string(p.State), Rule: string(p.Rule), Why: p.Why, Role: p.role(), Postgres: p.state(),
		Problem: p.Postgres.Problem, Paused: p.modes.pause, NoAnswerMilli: milli(p.Postgres.NoAnswerFor),
		SettingsErrors: p.SettingsErrors, Refusals: p.Refusals, Leader: p.View.Leader,
		Lease:         LeaseStatus{Held: p.HoldsLease(now), Epoch: p.Epoch},
		DCS:           DCSStatus{p.DCSReachable, p.DCSLastSeen, p.View.Revision, p.View.Term, p.View.Problems},
		Guard:         GuardStatus{Alive: p.Guard.Alive, Fired: p.Guard.Fired, Reason: p.Guard.Reason},
		FenceStrength: p.FenceStrength, Recent: p.Recent, Dropped: p.Dropped,
	}
	if st.Lease.Held {
		st.Lease.LeftMilli = milli(p.LeaseUntil.Sub(now))
	}
	if p.Guard.Deadline != 0 {
		st.Guard.Armed, st.Guard.LeftMilli = true, milli(p.Guard.Deadline.Sub(now))
	}
	for i := range p.Status.InFlight {
		e := &p.Status.InFlight[i]
		if e.Action == nil {
			continue
		}
		st.InFlight = append(st.InFlight, InFlight{e.ID, e.Action.ActionKind(), e.Epoch, milli(e.Deadline.Sub(now))})
	}
	return st
}

func milli(d time.Duration) int64 { return d.Milliseconds() }
