package engine

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// CompatVersion is the version that member records and the REST API name: other members and tools
// compare it as Patroni's.
const CompatVersion = "4.1.4"

// postgresState is Patroni's word for the state of the local PostgreSQL.
func (s *state) postgresState() string {
	f := s.lifecycleEffect()
	kind := events.ActionKind("")
	if f != nil {
		kind = f.effect.Action.ActionKind()
	}
	switch {
	case s.life == Bootstrapping:
		return stateInitializing
	case kind == events.ActClone:
		return stateCreating
	case kind == events.ActRestartPostgres:
		return stateRestarting
	case kind == events.ActStopPostgres:
		return stateStopping
	case s.running() && s.pg.Answering:
		return stateRunning
	case s.running() || kind == events.ActStartPostgres:
		return stateStarting
	case s.exited && s.crashed:
		return stateCrashed
	case s.failures > 0 && s.life != Following:
		return stateStartFailed
	}
	return stateStopped
}

// role is Patroni's word for the role of the local PostgreSQL.
func (s *state) role() string {
	switch {
	case s.pg.Data == events.DataEmpty || s.pg.Data == events.DataUnknown || s.life == Cloning || s.life == Bootstrapping:
		return roleUninitialized
	case s.primary():
		return rolePrimary
	case s.replica():
		return roleReplica
	case s.life == Demoting || s.life == Yielding:
		return roleDemoted
	case s.life == Leading || s.life == Opening:
		return rolePrimary
	}
	return roleReplica
}

// shape is the part of the member record that others act upon: a change of it is published at once,
// where positions wait for the next turn.
type shape struct {
	state, role, replication, apiURL, connURL string
	timeline                                  events.Timeline
	pending                                   int
	paused, scheduled, noFailover             bool
}

func (s *state) shape() shape {
	return shape{
		state: s.postgresState(), role: s.role(), replication: s.pg.Server.ReplicationState,
		apiURL: s.member.APIURL, connURL: s.member.ConnURL, timeline: s.timeline(),
		pending: len(s.pg.Server.PendingRestart), paused: s.life == Paused, scheduled: s.scheduled != nil,
		noFailover: s.member.Tags.NoFailover,
	}
}

// memberText is the value of this member's key.
func (s *state) memberText() string {
	m := events.MemberRecord{
		ConnURL: s.member.ConnURL, APIURL: s.member.APIURL, ProxyURL: s.member.ProxyURL, Version: CompatVersion,
		State: s.postgresState(), Role: s.role(), Pause: s.life == Paused, ScheduledRestart: s.scheduled,
	}
	if tags, err := json.Marshal(s.member.Tags); err == nil && string(tags) != "{}" {
		m.Tags = &s.member.Tags
	}
	if s.pg.Answering {
		srv := &s.pg.Server
		m.XlogLocation, m.Timeline, m.ReplicationState = srv.Position(), s.timeline(), srv.ReplicationState
		if srv.InRecovery {
			m.ReceiveLSN, m.ReplayLSN = srv.ReceivedLSN, srv.ReplayedLSN
		}
		for _, p := range srv.PendingRestart {
			if m.PendingRestartReason == nil {
				m.PendingRestart, m.PendingRestartReason = true, map[string]events.OldNew{}
			}
			m.PendingRestartReason[p.Name] = events.OldNew{Old: p.Old, New: p.New}
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "{}" // tags were checked when the configuration was read
	}
	return string(b)
}

// slotOwner is a member for which a slot is kept.
type slotOwner struct {
	name string // of the slot
	seen events.Instant
}

// SlotName is the replication slot of a member: lower case, and nothing but letters, digits and
// underscores, as Patroni names it.
func SlotName(member string) string {
	plain := len(member) <= 63
	for i := 0; i < len(member) && plain; i++ {
		c := member[i]
		plain = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	}
	if plain {
		return member
	}
	return slotNameOf(member)
}

func slotNameOf(member string) string {
	const hex = "0123456789abcdef"
	var b []byte
	for _, r := range member {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
			b = append(b, byte(r))
		case r >= 'A' && r <= 'Z':
			b = append(b, byte(r)+'a'-'A')
		case r == '-' || r == '.':
			b = append(b, '_')
		default:
			b = append(b, 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
	}
	return string(b[:min(len(b), 63)])
}

// foldSlotOwners notes which members were seen.
func (s *state) foldSlotOwners() {
next:
	for i := range s.view.Members {
		name := SlotName(s.view.Members[i].Name)
		for j := range s.slotOwners {
			if s.slotOwners[j].name == name {
				s.slotOwners[j].seen = s.now
				continue next
			}
		}
		s.slotOwners = append(s.slotOwners, slotOwner{name, s.now})
	}
}

// slotsDue tells that a slot is missing or left over, and that the last attempt is a while ago.
func (s *state) slotsDue() bool {
	if !s.settings.UseSlots || s.find(events.ActSyncSlots) != nil || !s.viewKnown || s.pg.Server.Version == 0 {
		return false
	}
	if s.published.slotsAt != 0 && s.pg.Sampled <= s.published.slotsAt {
		return false
	}
	for i := range s.slotOwners {
		o := &s.slotOwners[i]
		if s.slotWanted(o) && !s.hasSlot(o.name) || s.slotExpired(o) {
			return s.published.slotsAt == 0 || s.now >= s.published.slotsAt.Add(time.Second)
		}
	}
	return false
}

func (s *state) slotWanted(o *slotOwner) bool {
	return o.name != SlotName(s.self()) && s.now < o.seen.Add(max(s.settings.MemberSlotsTTL, s.ttl()))
}

// slotExpired: the member has been gone for longer than its slot is kept. A slot that is in use, or whose
// owner was never seen, is never dropped.
func (s *state) slotExpired(o *slotOwner) bool {
	if s.slotWanted(o) || o.name == SlotName(s.self()) || s.life == Paused {
		return false
	}
	for i := range s.pg.Server.Slots {
		if slot := &s.pg.Server.Slots[i]; slot.Name == o.name {
			return slot.Physical && !slot.Active
		}
	}
	return false
}

func (s *state) hasSlot(name string) bool {
	for i := range s.pg.Server.Slots {
		if s.pg.Server.Slots[i].Name == name {
			return true
		}
	}
	return false
}

func (s *state) slotsWanted() (want, drop []string) {
	for i := range s.slotOwners {
		o := &s.slotOwners[i]
		switch {
		case s.slotWanted(o):
			want = append(want, o.name)
		case s.slotExpired(o):
			drop = append(drop, o.name)
		}
	}
	return want, drop
}
