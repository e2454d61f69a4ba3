package linear

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// state is one key. Of the leader key: who holds it, and what he was promised.
type state struct {
	value    string // empty: there is no key
	revision uint64 // zero: it is not known yet, since the outcome of the write was unknown
	epoch    uint64 // of the lease, zero while it is not known
	highest  uint64 // epoch so far
	until    events.Instant
}

// promised is what the contract says of every key.
var promised = porcupine.NondeterministicModel{
	Partition: byKey,
	Init:      func() []any { return []any{state{}} },
	Step: func(s, in, out any) []any {
		c, a, was := in.(call), out.(answer), s.(state)
		var next []state
		if c.key == events.KeyLeader {
			next = lease(was, c, a)
		} else {
			next = register(was, c, a)
		}
		all := make([]any, len(next))
		for i := range next {
			all[i] = next[i]
		}
		return all
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
}

func byKey(ops []porcupine.Operation) [][]porcupine.Operation {
	all := append([]string{events.KeyLeader}, keys...)
	parts := make([][]porcupine.Operation, len(all))
	for _, op := range ops {
		for i, key := range all {
			if op.Input.(call).key == key {
				parts[i] = append(parts[i], op)
			}
		}
	}
	return parts
}

// register is a key that is written under conditions (C2, C8).
func register(s state, c call, a answer) []state {
	if c.op == stores.Snapshot {
		return read(s, a)
	}
	var may, mayNot bool // the condition can hold, or not
	switch c.expect {
	case events.Any:
		may = true
	case 0:
		may, mayNot = s.value == "", s.value != ""
	default:
		may = s.value != "" && (s.revision == 0 || s.revision == uint64(c.expect))
		mayNot = s.value == "" || s.revision != uint64(c.expect)
	}
	done := state{}
	if c.op == stores.Put {
		done = state{value: c.value, revision: a.revision}
	}
	switch a.outcome {
	case events.Done:
		if may && (c.op == stores.Delete || a.revision > s.revision) {
			return []state{done}
		}
	case events.Lost:
		if mayNot {
			return []state{s}
		}
	case events.Unknown:
		if may {
			done.revision = 0
			return []state{s, done}
		}
		return []state{s}
	}
	return nil
}

func read(s state, a answer) []state {
	switch {
	case a.found != (s.value != "") || a.value != s.value:
		return nil
	case a.found && s.revision != 0 && s.revision != a.revision:
		return nil
	}
	s.revision = a.revision
	return []state{s}
}

// lease is the leader key (C3 to C7): nobody wins it, and nobody reads that it is free, before the end that its holder was promised.
func lease(s state, c call, a answer) []state {
	next := held(s, c, a)
	if s.value == "" || s.until > a.at {
		return next
	}
	// It may have ended by itself. Where the store knows no ttl that is what each member observes, and its holder may renew
	// it until another has won it.
	next = append(next, held(state{highest: s.highest}, c, a)...)
	if c.observes && c.op == stores.Snapshot && !a.found {
		next = append(next, s)
	}
	return next
}

func held(s state, c call, a answer) []state {
	own := s.value == c.member && (s.epoch == 0 || s.epoch == c.epoch)
	notOwn := s.value != c.member || s.epoch != c.epoch
	free := state{highest: s.highest}
	switch c.op {
	case stores.Snapshot:
		if a.value == s.value {
			return []state{s}
		}
	case stores.Acquire:
		switch {
		case a.outcome == events.Done && s.value == "" && a.epoch > s.highest:
			return []state{{value: c.member, epoch: a.epoch, highest: a.epoch, until: a.until}}
		case a.outcome == events.Lost && s.value != "":
			return []state{s}
		case a.outcome == events.Unknown && s.value == "":
			return []state{s, {value: c.member, highest: s.highest}}
		case a.outcome == events.Unknown:
			return []state{s}
		}
	case stores.Renew:
		switch {
		case a.outcome == events.Done && own:
			s.epoch, s.until = c.epoch, max(s.until, a.until)
			return []state{s}
		case a.outcome == events.Lost && notOwn:
			return []state{s}
		}
	case stores.Release:
		switch {
		case a.outcome == events.Done && own:
			return []state{free}
		case a.outcome == events.Done || a.outcome == events.Lost:
			if notOwn { // what is gone need not be released
				return []state{s}
			}
		case a.outcome == events.Unknown && own:
			return []state{s, free}
		case a.outcome == events.Unknown:
			return []state{s}
		}
	}
	return nil
}
