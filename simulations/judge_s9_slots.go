package simulations

import (
	"slices"
	"strings"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// slots is S9: the slot of a member that is there is never dropped.
type slots struct{ watching }

func (j *slots) step(m *Member, _ *events.Input, d *events.Decision) {
	for i := range d.Effects {
		a, ok := d.Effects[i].Action.(events.SyncSlots)
		if !ok {
			continue
		}
		for _, kv := range j.w.store.Contents().Keys {
			name, member := strings.CutPrefix(kv.Key, events.KeyMembers)
			if member && name != m.called && slices.Contains(a.Drop, engine.SlotName(name)) {
				j.breaks("%s drops the slot of %s, which is there", m.name, name)
			}
		}
	}
}
