package engine

import (
	"encoding/json"
	"slices"
	"strconv"
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
	if !s.member.Tags.None() {
		if _, err := json.Marshal(s.member.Tags); err == nil { // or the record goes without them
			m.Tags = &s.member.Tags
		}
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
	var room [512]byte
	if b, ok := m.AppendPlain(room[:0]); ok {
		return string(b)
	}
	rare := m // which only then has to be on the heap
	b, err := json.Marshal(&rare)
	if err != nil {
		return "{}" // tags were checked when the configuration was read
	}
	return string(b)
}

// statusText is the value of status, a StatusRecord: the position, and of each slot the WAL that it keeps. It is built by hand
// because a leader whose clients write builds it all the time.
func (s *state) statusText() string {
	optime := s.pg.Server.Position()
	b := strconv.AppendUint(append(make([]byte, 0, 256), `{"optime":`...), uint64(optime), 10)
	if len(s.pg.Server.Slots) > 0 {
		var room [16]events.Slot
		slots := s.slotsKept(room[:0], optime)
		b = append(b, `,"slots":{`...)
		for i := range slots {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, slots[i].Name)
			b = strconv.AppendUint(append(b, ':'), uint64(slots[i].RestartLSN), 10)
		}
		b = append(b, '}')
	}
	return string(append(b, '}'))
}

// slotsKept appends the slots that keep WAL, sorted by name, as they stand in status: this member's own, with its position, is
// for those who lead after it.
func (s *state) slotsKept(into []events.Slot, optime events.LSN) []events.Slot {
	set := func(name string, at events.LSN) {
		i := 0
		for i < len(into) && into[i].Name < name {
			i++
		}
		if i == len(into) || into[i].Name != name {
			into = slices.Insert(into, i, events.Slot{})
		}
		into[i] = events.Slot{Name: name, RestartLSN: at}
	}
	for i := range s.pg.Server.Slots {
		if slot := &s.pg.Server.Slots[i]; slot.RestartLSN != 0 {
			set(slot.Name, slot.RestartLSN)
		}
	}
	set(SlotName(s.self()), optime)
	return into
}

// appendQuoted appends a JSON text. PostgreSQL allows no slot name that would need an escape.
func appendQuoted(b []byte, name string) []byte {
	if name == SlotName(name) {
		return append(append(append(b, '"'), name...), '"')
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		quoted = []byte(`""`) // any string can be encoded
	}
	return append(b, quoted...)
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
	if at := s.published.slotsAt; at != 0 && (s.pg.Sampled <= at || s.now < at.Add(time.Second)) {
		return false
	}
	own, keep := SlotName(s.self()), s.keepSlots()
	for i := range s.slotOwners {
		o := &s.slotOwners[i]
		if o.name == own {
			continue
		}
		if s.now < o.seen.Add(keep) {
			if !s.hasSlot(o.name) {
				return true
			}
		} else if s.slotExpired(o) {
			return true
		}
	}
	return false
}

func (s *state) slotWanted(o *slotOwner) bool {
	return o.name != SlotName(s.self()) && s.now < o.seen.Add(s.keepSlots())
}

// keepSlots is how long the slot of a member that is gone is kept.
func (s *state) keepSlots() time.Duration { return max(s.settings.MemberSlotsTTL, s.ttl()) }

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
