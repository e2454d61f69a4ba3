package simulations

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// Moment is a cluster in the middle of what was recorded of it: from there on a world of models goes on. Its instants are those of one axis,
// which a world takes for true time. It belongs to nobody: worlds that begin with it only read it.
type Moment struct {
	At   events.Instant
	Wall time.Time // what the axis' own wall clock showed then
	// Members are sorted by name.
	Members []MemberMoment
	// Contents are what the store held, as far as anybody knew.
	Contents events.DCSSnapshot
	// Settings are those in force.
	Settings events.Settings
	// History is that of the newest timeline.
	History []events.TimelineSwitch
	// Timeline is the newest on which anybody was seen to accept writes.
	Timeline events.Timeline
	// LeaseEnds is when the leader's lease ends at the earliest, zero if nobody knew; LeaseTTL is what it was granted for.
	LeaseEnds events.Instant
	LeaseTTL  time.Duration
}

// MemberMoment is one member.
type MemberMoment struct {
	Name   string
	Config events.MemberConfig
	// Inputs are those of its agent from its start on, the last one no later than the moment. None: its log is not there, and the agent starts
	// at the moment.
	Inputs []events.Input
	// Dead agents have ended, and start when somebody starts them; Frozen ones go on when they thaw.
	Dead, Frozen bool
	// Seen is the last look at its PostgreSQL, Last what the server told when it last answered.
	Seen events.Observation
	Last events.Server
	// Upstream is the name of the member that it was last told to follow.
	Upstream string
	// Guard is the last word of its guard.
	Guard events.GuardTick
	// RecordEnds is when the member's record ends unless it is written again, zero if nobody knew.
	RecordEnds events.Instant
	RecordTTL  time.Duration
	// Orders are when operators last asked it for something.
	Orders map[events.OperatorVerb]events.Instant
}

// config is the dynamic configuration in the store, or else the one that the members began with, and as chaos edits it: where it has
// mistakes that is what is in force instead.
func (mo *Moment) config() (text string, doc map[string]any) {
	for _, kv := range mo.Contents.Keys {
		if kv.Key == events.KeyConfig {
			text = kv.Value
		}
	}
	if text == "" && len(mo.Members) > 0 {
		text = string(mo.Members[0].Config.Bootstrap)
	}
	_, errs := events.ParseSettings(json.RawMessage(text), events.DefaultSettings())
	if json.Unmarshal([]byte(text), &doc) != nil || doc == nil || len(errs) > 0 {
		doc = map[string]any{"ttl": int(mo.Settings.TTL.Seconds()), "loop_wait": int(mo.Settings.LoopWait.Seconds()),
			"retry_timeout": int(mo.Settings.RetryTimeout.Seconds())}
	}
	return text, doc
}
