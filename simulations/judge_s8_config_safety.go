package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// configSafety is S8: whatever is written into the configuration, the settings in force are always such as can be kept.
type configSafety struct{ watching }

func (j *configSafety) step(m *Member, in *events.Input, _ *events.Decision) {
	change, ok := in.Fact.(events.DCSChange)
	if !ok || change.Key != events.KeyConfig {
		return
	}
	s := m.engine.Status().Settings
	if s.TTL < events.MinTTL || s.LoopWait < time.Second || s.RetryTimeout < time.Second {
		j.breaks("%s has ttl %v, loop_wait %v, retry_timeout %v after %s", m.name, s.TTL, s.LoopWait, s.RetryTimeout, change.Value)
	}
}
