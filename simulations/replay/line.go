package replay

import (
	"strings"

	"github.com/regent-ha/regent/events"
)

// Line is a step of one member's lifecycle, beside the states of all.
type Line struct {
	At     events.Instant        `json:"at"`
	Member string                `json:"member"`
	From   events.LifecycleState `json:"from,omitempty"`
	To     events.LifecycleState `json:"to,omitempty"`
	Rule   events.RuleID         `json:"rule,omitempty"`
	States map[string]string     `json:"states"` // of the members, as they were then
	Run    int                   `json:"run"`    // of the member's agent, counted in its log
	Seq    uint64                `json:"seq"`
	Text   string                `json:"text"`
}

func (t *Tracker) line(m *watched, in *events.Input, d *events.Decision) Line {
	states := t.states()
	states[m.Member] = string(d.To)
	return Line{At: in.At, Member: m.Member, From: d.From, To: d.To, Rule: d.Rule, States: states, Run: m.run, Seq: in.Seq, Text: reason(d)}
}

// states are what the members are in now.
func (t *Tracker) states() map[string]string {
	states := make(map[string]string, len(t.members))
	for _, m := range t.members {
		states[m.Member] = string(m.state)
		if !m.alive {
			states[m.Member] = "-"
		}
	}
	return states
}

// reason tells the rows that acted, without publications and renewals; where none did, why the member is held where it is.
func reason(d *events.Decision) string {
	var parts []string
	for _, f := range d.Fired {
		if !strings.HasPrefix(string(f.Rule), "PU") && !strings.HasPrefix(string(f.Rule), "LE") {
			parts = append(parts, string(f.Rule)+" "+f.Why)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, string(d.Rule)+" "+d.Why)
	}
	return strings.Join(parts, "; ")
}
