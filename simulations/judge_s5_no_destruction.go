package simulations

import "github.com/regent-ha/regent/events"

// noDestruction is S5: data is discarded or rewound only by order, or where the divergence is true.
type noDestruction struct{ watching }

func (j *noDestruction) step(m *Member, _ *events.Input, d *events.Decision) {
	for i := range d.Effects {
		switch a := d.Effects[i].Action.(type) {
		case events.Clone:
			j.clone(m, a)
		case events.Rewind:
			j.rewind(m, a)
		}
	}
}

func (j *noDestruction) clone(m *Member, a events.Clone) {
	up := j.w.Member(a.From.Name)
	switch {
	case m.pg.SystemID() == "": // nothing is there
	case !a.Discard: // the driver refuses
	case up == nil || up == m:
		j.breaks("%s discards its data for a copy of %q", m.name, a.From.Name)
	case j.w.operators.ordered(m, events.AskReinitialize):
	case !m.pg.Diverged(up.pg):
		j.breaks("%s discards its data for a copy of %s, from which it has not diverged", m.name, up.name)
	}
}

func (j *noDestruction) rewind(m *Member, a events.Rewind) {
	up := j.w.Member(a.From.Name)
	gone := m.pg.SystemID() == "" || up != nil && up.pg.SystemID() == "" // the data was emptied since they were compared
	if up == nil || up == m || m.pg.Running() || !gone && !m.pg.Diverged(up.pg) {
		j.breaks("%s rewinds from %q, from which it has not diverged", m.name, a.From.Name)
	}
}
