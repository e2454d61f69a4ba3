package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// maxTTL is the longest ttl that chaos draws.
const maxTTL = 40 * time.Second

// lockBeforePromote is S4: whoever makes a primary holds the lease in the store itself, of the epoch that justified it, and its
// guard, where one is required, will fire before another member can have the lease.
type lockBeforePromote struct{ watching }

func (j *lockBeforePromote) step(m *Member, _ *events.Input, d *events.Decision) {
	now := j.w.Now()
	for i := range d.Effects {
		e := &d.Effects[i]
		if !events.MakesPrimary(e.Action) {
			continue
		}
		lease := j.w.store.Truth()
		if lease.Holder == "" && j.w.wipedWithin(2*maxTTL) {
			continue // the lease went with the store: nobody else takes one before its time is over (SP-58)
		}
		if lease.Holder != m.called || lease.Epoch != e.Epoch || lease.Ends != 0 && now >= lease.Ends {
			j.breaks("%s issues %s with epoch %d, and the lease is %+v", m.name, e.Action.ActionKind(), e.Epoch, lease)
			continue
		}
		if _, restarts := e.Action.(events.RestartPostgres); restarts {
			continue // it is a primary already; its guard may be missing for as long as that of any other
		}
		if g := &m.guard; j.w.set.Guard == "required" && (!g.alive || g.deadline == 0 || lease.Ends != 0 && m.clock.when(g.deadline) > lease.Ends) {
			j.breaks("%s issues %s, and its guard (alive %v) holds %d; the lease ends at %d", m.name, e.Action.ActionKind(), g.alive,
				g.deadline, lease.Ends)
		}
	}
}
