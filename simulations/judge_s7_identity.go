package simulations

import "github.com/regent-ha/regent/events"

// identity is S7: nobody accepts writes on a timeline before one on which there were writes already, nor in a cluster of another
// identity than the leader's before.
type identity struct {
	watching
	newest   events.Timeline // on which anybody was ever a primary
	systemID string          // of the server that was a primary last
}

func (j *identity) event() {
	for _, m := range j.w.judges.writers {
		if m.pg.Timeline() == j.newest && m.pg.SystemID() == j.systemID {
			continue // as nearly always
		}
		if m.pg.Timeline() < j.newest && j.w.wipedAt == 0 { // a store that was wiped has forgotten the newest
			j.breaks("%s accepts writes on timeline %d, and there were writes on %d", m.name, m.pg.Timeline(), j.newest)
		}
		if j.systemID != "" && m.pg.SystemID() != j.systemID {
			j.breaks("%s accepts writes as system %s, and the cluster is %s", m.name, m.pg.SystemID(), j.systemID)
		}
		j.newest, j.systemID = m.pg.Timeline(), m.pg.SystemID()
	}
}
