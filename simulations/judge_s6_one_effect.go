package simulations

import "github.com/regent-ha/regent/events"

// oneEffect is S6: at most one effect at a time works on a data directory, by what the engine asks for and what has ended in truth: an agent
// that was frozen may hear of an end after the deadline until which it must wait for it.
type oneEffect struct {
	watching
	under map[*Member]*work
}

// work is what an agent's effects do to its data directory now.
type work struct {
	run    int // of the agent
	effect uint64
	kind   events.ActionKind
}

func (j *oneEffect) step(m *Member, in *events.Input, d *events.Decision) {
	if j.under == nil {
		j.under = map[*Member]*work{}
	}
	u := j.under[m]
	if u == nil {
		u = &work{}
		j.under[m] = u
	}
	if f, ok := in.Fact.(events.EffectFinished); ok && f.Effect == u.effect || u.run != m.run || m.ended == u.effect {
		*u = work{run: m.run}
	}
	for i := range d.Effects {
		e := &d.Effects[i]
		if !e.Action.ActionKind().WorksOnData() {
			continue
		}
		if u.effect != 0 {
			j.breaks("%s issues %s while %s works on the data directory", m.name, e.Action.ActionKind(), u.kind)
		}
		u.effect, u.kind = e.ID, e.Action.ActionKind()
	}
}
