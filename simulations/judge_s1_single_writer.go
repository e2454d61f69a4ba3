package simulations

import "github.com/regent-ha/regent/events"

// singleWriter is S1: at no instant do two servers accept writes, and nobody gives the lease away while his does.
type singleWriter struct {
	watching
	told bool
}

func (j *singleWriter) event() {
	if w := j.w.judges.writers; len(w) > 1 && !j.told {
		j.told = true
		j.breaks("%s and %s accept writes at once", w[0].name, w[1].name)
	}
}

func (j *singleWriter) step(m *Member, _ *events.Input, d *events.Decision) {
	for i := range d.Effects {
		switch d.Effects[i].Action.(type) {
		case events.HandOverLease, events.ReleaseLease:
			if m.pg.Accepts() {
				j.breaks("%s gives the lease away while its PostgreSQL accepts writes", m.name)
			}
		}
	}
}
