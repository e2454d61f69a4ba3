package coverage

import "github.com/regent-ha/regent/events"

// SilentRow is a row of the rule table that no simulation reaches, and why.
type SilentRow struct {
	Rule events.RuleID
	Why  string
}

// Silent are the rows that neither the scenarios nor the fixed bad days reach. What is not here fires in one of them.
var Silent = []SilentRow{}

// WhySilent is the reason for which a row is not expected to fire, empty if it is.
func WhySilent(rule events.RuleID) string {
	for i := range Silent {
		if Silent[i].Rule == rule {
			return Silent[i].Why
		}
	}
	return ""
}
