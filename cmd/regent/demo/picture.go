package demo

import (
	"fmt"
	"time"
)

// Picture is one moment of the demo: everything that the view shows, and nothing that it would have to ask for.
type Picture struct {
	At     time.Time
	Up     time.Duration // since the demo began
	Scope  string
	Store  string
	Timing string // ttl, loop_wait, retry_timeout
	Paused bool
	Leader string // who holds the lease by the newest answer, empty if nobody does

	Members   []Member
	Writes    Writes
	Decisions []Decision // oldest first
	Target    string     // whom the keys are for: a member, or empty for the leader
	Notice    string     // the answer to the last order
	Bad       bool       // the notice is of something that was refused or failed
}

// The states of an agent's process.
const (
	ProcessRuns   = "running"
	ProcessFrozen = "frozen"
	ProcessDown   = "down"
)

// Member is what is known of one member.
type Member struct {
	Number int
	Name   string
	Agent  string // ProcessRuns, ProcessFrozen or ProcessDown
	// Answers tells whether the REST API answered this time; if not, State, Rule and Why are of its last answer.
	Answers  bool
	State    string // of the lifecycle
	Role     string // of PostgreSQL, in Patroni's words
	Postgres string // its state, in Patroni's words
	// PostgresRuns tells that a postmaster lives, by the machine's word and not by the agent's.
	PostgresRuns bool
	Timeline     uint32
	Lag          int64 // bytes behind the leader; negative when unknown
	// LeaseLeft is what is left of the member's lease, by its own last word. Zero: it holds none.
	LeaseLeft time.Duration
	Fence     string
	Rule, Why string
}

// Writes is what the writing client sees.
type Writes struct {
	PerSecond float64
	Last      uint64 // the number that was acknowledged last
	Gap       time.Duration
	Longest   time.Duration
}

// Decision is one that a member took, or an order of the person (then Rule is empty).
type Decision struct {
	At     time.Time
	Member string
	Rule   string
	To     string // the state of the lifecycle after it
	Why    string
}

// text is the decision without its time.
func (d Decision) text() string {
	if d.Rule == "" {
		return fmt.Sprintf("%-3s %-6s %s", d.Member, "", d.Why)
	}
	return fmt.Sprintf("%-3s %-6s %-13s %s", d.Member, d.Rule, d.To, d.Why)
}

// member finds a member by name, nil if there is none.
func (p *Picture) member(name string) *Member {
	for i := range p.Members {
		if p.Members[i].Name == name {
			return &p.Members[i]
		}
	}
	return nil
}
