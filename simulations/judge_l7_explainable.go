package simulations

import "github.com/regent-ha/regent/events"

// explainable is L7: every step of a lifecycle, and every rule that acts, has a reason in words.
type explainable struct{ watching }

func (j *explainable) step(m *Member, _ *events.Input, d *events.Decision) {
	for _, f := range d.Fired {
		if f.Why == "" {
			j.breaks("%s fires %s without a reason", m.name, f.Rule)
		}
	}
	if d.From != d.To && d.Why == "" {
		j.breaks("%s goes from %s to %s without a reason", m.name, d.From, d.To)
	}
}
