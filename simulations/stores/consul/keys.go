package consul

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// put writes a key (C8). Only a write that names a revision may be sent again: others could be applied late, over what
// came between.
func (j *job) put() {
	s := step{verb: set, key: j.Key, value: j.Value, flags: j.token()}
	if j.Expect != events.Any {
		s.verb, s.index = cas, uint64(j.Expect)
	}
	j.write(j.Expect > 0, []step{s}, func(r *result) {
		switch {
		case r.class != answered:
			j.failed(r)
		case r.fault == fine:
			j.answer(stores.Response{Outcome: events.Done, Revision: r.index})
		case r.maybe:
			j.read(func(view []*entry) {
				if e := lookup(view, j.Key); e != nil && e.flags == s.flags {
					j.answer(stores.Response{Outcome: events.Done, Revision: e.modify})
					return
				}
				j.rejected(r)
			})
		default:
			j.rejected(r)
		}
	})
}

// delete removes a key. A CAS delete of an absent key succeeds in Consul, so the condition is a step of its own.
// source: state/kvs.go kvsDeleteCASTxn
func (j *job) delete() {
	steps := []step{{verb: erase, key: j.Key}}
	switch {
	case j.Expect > 0:
		steps = []step{{verb: checkIndex, key: j.Key, index: uint64(j.Expect)}, {verb: erase, key: j.Key}}
	case j.Expect == 0:
		steps[0].verb = checkAbsent
	}
	j.write(j.Expect > 0, steps, func(r *result) {
		switch {
		case r.class != answered:
			j.failed(r)
		case r.fault == fine:
			j.end(events.Done, "")
		default:
			j.rejected(r)
		}
	})
}

// record is what is known of this member's record.
type record struct {
	id    sessionID
	ttl   time.Duration
	index uint64 // of the last write
}

// memberTries bounds how often a record is written anew because somebody else wrote it.
const memberTries = 5

// putMember writes this member's record under a session of its own (C11). One that is there with the same value is only prolonged.
func (j *job) putMember() {
	if j.record.id == 0 || j.record.ttl != granted(j.TTL) {
		j.memberSession(memberTries)
		return
	}
	id := j.record.id
	j.try(j.Deadline, true, request{ask: renew, id: id}, func(r *result) {
		switch {
		case r.class != answered:
			j.failed(r)
		case r.found:
			j.writeMember(id, memberTries)
		default:
			j.memberSession(memberTries)
		}
	})
}

// memberSession creates a session for the record, on the node of the member's own Consul agent: what ends it early does no harm.
func (j *job) memberSession(tries int) {
	ttl := granted(j.TTL)
	j.try(j.Deadline, true, request{ask: create, ttl: ttl, node: j.member, isWrite: true}, func(r *result) {
		if r.class != answered {
			j.end(events.Failed, r.reason)
			return
		}
		j.record.id, j.record.ttl, j.record.index = r.id, ttl, 0
		j.writeMember(r.id, tries)
	})
}

func (j *job) writeMember(id sessionID, tries int) {
	key := events.KeyMembers + j.member
	j.read(func(view []*entry) {
		e, token := lookup(view, key), j.token()
		mine := e != nil && e.session == id && e.value == j.Value
		if mine && e.modify == j.record.index {
			j.end(events.Done, "")
			return
		}
		steps := []step{{verb: cas, key: key, value: j.Value, flags: token}}
		var former sessionID
		if e != nil {
			steps[0] = step{verb: checkIndex, key: key, index: e.modify}
			if e.session != 0 && e.session != id { // of a former session or process
				former = e.session
				steps = append(steps, step{verb: unlock, key: key, value: j.Value, flags: token, session: former})
			}
		}
		steps = append(steps, step{verb: lock, key: key, value: j.Value, flags: token, session: id})
		j.write(true, steps, func(r *result) { j.wroteMember(id, former, r, tries) })
	})
}

func (j *job) wroteMember(id, former sessionID, r *result, tries int) {
	switch {
	case r.class != answered:
		j.failed(r)
	case r.fault == fine:
		j.record.index = r.index
		if former != 0 {
			j.forget(former)
		}
		j.end(events.Done, "")
	case r.fault == delayed || tries <= 1:
		j.end(events.Failed, r.fault.String())
	case r.fault == noSession:
		j.memberSession(tries - 1)
	default:
		j.writeMember(id, tries-1)
	}
}
