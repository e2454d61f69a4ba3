package simulations

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// handsOff is S11: in a pause nothing is done to PostgreSQL but by order.
type handsOff struct{ watching }

func (j *handsOff) step(m *Member, _ *events.Input, d *events.Decision) {
	o := &j.w.operators
	if !o.paused || d.From != engine.Paused || d.To == engine.Campaigning || d.To == engine.Switching {
		return
	}
	for i := range d.Effects {
		switch k := d.Effects[i].Action.ActionKind(); k {
		case events.ActStartPostgres, events.ActStopPostgres, events.ActPromote, events.ActRewind, events.ActClone, events.ActRestartPostgres,
			events.ActCrashRecover, events.ActBootstrap:
			if !j.storeSaysPause() {
				return // it was restored to before the pause, and members obey it
			}
			if j.w.Now().Sub(o.moved) > time.Minute && !o.ordered(m, events.AskRestart) && !o.ordered(m, events.AskReinitialize) {
				j.breaks("%s issues %s in a pause", m.name, k)
			}
		}
	}
}

// storeSaysPause reads the configuration as it is in the store now.
func (j *handsOff) storeSaysPause() bool {
	var d struct {
		Pause bool `json:"pause"`
	}
	kv, there := j.w.Key(events.KeyConfig)
	return there && json.Unmarshal([]byte(kv.Value), &d) == nil && d.Pause
}
