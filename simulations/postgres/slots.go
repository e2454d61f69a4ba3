package postgres

import (
	"slices"
	"strings"

	"github.com/regent-ha/regent/events"
)

// slot is a physical replication slot. While a replica streams by it, the replica says where it stands.
type slot struct {
	name    string
	restart events.LSN
}

func (s *Server) slot(name string) *slot {
	i, found := s.findSlot(name)
	if !found {
		return nil
	}
	return s.slots[i]
}

func (s *Server) findSlot(name string) (int, bool) {
	return slices.BinarySearchFunc(s.slots, name, func(x *slot, name string) int { return strings.Compare(x.name, name) })
}

// user is the replica that streams by a slot, nil if none does.
func (s *Server) user(x *slot) *Server {
	for _, d := range s.c.servers {
		if d.up != nil && d.up.from == s && d.useSlots && d.slotName == x.name {
			return d
		}
	}
	return nil
}

// createSlot reserves WAL at once, from the last checkpoint on.
func (s *Server) createSlot(name string) {
	i, found := s.findSlot(name)
	if found {
		return
	}
	s.slots = slices.Insert(s.slots, i, &slot{name: name, restart: max(s.control.checkpoint, s.oldest)})
	s.c.Changed()
}

func (s *Server) dropSlot(name string) {
	if i, found := s.findSlot(name); found {
		s.slots = slices.Delete(s.slots, i, i+1)
	}
}

// DropSlot removes a slot as an operator would who does not ask whether it is used.
func (s *Server) DropSlot(name string) { s.dropSlot(name) }

// Slots are the names of the slots, in order.
func (s *Server) Slots() []string {
	var names []string
	for _, x := range s.slots {
		names = append(names, x.name)
	}
	return names
}

// restartOf is what a slot keeps WAL from.
func (s *Server) restartOf(x *slot) events.LSN {
	if d := s.user(x); d != nil {
		return max(x.restart, d.reported())
	}
	return x.restart
}

// keepFor notes in its slot how far a replica came that stops to stream.
func (s *Server) keepFor(d *Server) {
	if x := s.slot(d.slotName); x != nil && d.useSlots {
		x.restart = max(x.restart, d.reported())
	}
}

// removeWAL is what a checkpoint and a restart point do at their end.
func (s *Server) removeWAL() {
	keep := s.control.checkpoint
	if s.flushed < s.walKeep {
		return
	}
	keep = min(keep, s.flushed-s.walKeep)
	for _, x := range s.slots {
		keep = min(keep, s.restartOf(x))
	}
	s.oldest = max(s.oldest, keep-keep%segmentBytes)
}
