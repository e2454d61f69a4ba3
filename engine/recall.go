package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// Records of members end with a ttl, and after an outage of the store that was longer they are all gone, though every member lives.
// An election must not take that for having nobody to ask.

// recalled is a member whose record went, and where it was to be found.
type recalled struct {
	peer  events.Peer
	until events.Instant
}

// foldRecall notes whose records went with a new view. Members that live write theirs anew within a moment, and no member is missed
// for longer than a ttl.
func (s *state) foldRecall(before []events.MemberRecord) {
	s.recall = slices.DeleteFunc(s.recall, func(r recalled) bool { return !s.recalls(&r) || s.view.Member(r.peer.Name) != nil })
	for i := range before {
		m := &before[i]
		if m.APIURL == "" || m.Name == s.self() || s.view.Member(m.Name) != nil {
			continue
		}
		s.recall = append(s.recall, recalled{events.Peer{Name: m.Name, APIURL: m.APIURL}, s.now.Add(s.ttl())})
	}
}

func (s *state) recalls(r *recalled) bool { return s.now < r.until || r.peer.Name == s.unfenced }

// foldUnfenced notes whose lease ended in a pause: its PostgreSQL may run on as a primary, as no guard is armed then. Until somebody
// leads, the end of its lease proves nothing, and its answer is waited for.
func (s *state) foldUnfenced(before, after string) {
	switch {
	case after != "":
		s.unfenced = ""
	case before != "" && s.settings.Pause:
		s.unfenced = before
	}
}

var unfencedMute = predicate{"the member whose lease ended in a pause has a PostgreSQL that does not answer", func(s *state) bool {
	return s.unfenced != "" && s.anyAnswer(func(p *events.PeerStatus) bool { return p.Name == s.unfenced && p.Mute })
}}

// askRecalled adds them to those that are asked, sorted by name.
func (s *state) askRecalled() {
	for i := range s.recall {
		if r := &s.recall[i]; s.recalls(r) {
			at, _ := slices.BinarySearchFunc(s.ask.peers, r.peer.Name, func(p events.Peer, name string) int { return strings.Compare(p.Name, name) })
			s.ask.peers = slices.Insert(s.ask.peers, at, r.peer)
		}
	}
}

// recordsPatience is how long members that can reach the store need to write their records, after an agent has seen the store for the
// first time.
func (s *state) recordsPatience() time.Duration { return s.settings.LoopWait + s.settings.RetryTimeout }

// memberMissing: this agent has just met the store, and a member for whom PostgreSQL keeps a slot is not up yet, as far as its record
// tells. Later it is missing for good.
var memberMissing = predicate{"this agent has just begun, and a member whose slot is kept here is not up yet", func(s *state) bool {
	return s.now < s.metAt.Add(s.recordsPatience()) && s.missing() != ""
}}

// missing is the slot of a member that has no record, or one that says that its PostgreSQL does not answer.
func (s *state) missing() string {
next:
	for i := range s.pg.Server.Slots {
		slot := &s.pg.Server.Slots[i]
		if !slot.Physical || slot.Name == SlotName(s.self()) || slot.Name == SlotName(s.lastLead) { // who led just now is not waited for
			continue
		}
		for j := range s.view.Members {
			if m := &s.view.Members[j]; m.State == stateRunning && SlotName(m.Name) == slot.Name {
				continue next
			}
		}
		return slot.Name
	}
	return ""
}
