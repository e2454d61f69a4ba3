package kubernetes

import (
	"net/http"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// session is the adapter of one agent.
type session struct {
	m      *Model
	member string
	line   stores.Line
	id     uint32
	writes uint32 // numbers its writes
	server int    // that answered last
	closed bool
	pod    int
	held   held
	seen   []*observed // by object: the leader object and the pods
	known  []*version  // newest version known, by object
	read   []bool      // whether known says anything
	watch  *watch
}

// held is the lease that this adapter won last.
type held struct {
	epoch uint64
	by    token
}

// observed is when this adapter saw a lease or a record change.
type observed struct {
	uid   uint32
	rv    uint64
	by    token
	value string
	there bool
	at    events.Instant
	ttl   time.Duration
	moved bool // a change was seen, not only a state
	// sweeping tells that its removal is under way.
	sweeping bool
}

func newSession(m *Model, member string, line stores.Line) *session {
	s := &session{m: m, member: member, line: line, id: m.sessions, pod: m.locate(events.KeyMembers + member)}
	if n := len(m.servers); n > 1 {
		s.server = m.env.Pick("the API server of an adapter", n)
	}
	return s
}

// now is what the clock of the adapter's host reads.
func (s *session) now() events.Instant {
	if c, ok := s.line.(stores.Clocked); ok {
		return c.Clock(s.m.env.Now())
	}
	return s.m.env.Now()
}

func (s *session) token() token {
	s.writes++
	return token{s.id, s.writes}
}

// Close ends the session; requests under way go on at the servers.
func (s *session) Close() {
	s.closed = true
	if s.watch != nil {
		s.watch.drop()
	}
}

// ask sends a call to the preferred server; every failure to answer makes the next one preferred.
func (s *session) ask(c call, limit events.Instant, answer func(reply)) {
	i := s.server
	s.m.ask(s.line, i, c, limit, func(r reply) {
		if s.closed {
			return
		}
		if (r.code < 0 || r.code >= 500 || r.code == http.StatusForbidden || r.code == http.StatusTooManyRequests) && s.server == i {
			s.server = (i + 1) % len(s.m.servers)
		}
		answer(r)
	})
}

// share is until when one attempt may take, so that there is time for another, on another server or connection.
func (s *session) share(deadline events.Instant) events.Instant {
	now := s.m.env.Now()
	if left := deadline.Sub(now); left > 100*time.Millisecond {
		return now.Add(left / 2)
	}
	return deadline
}

// learn takes note of a version: it may be newer than what is known, and it may tell of life.
func (s *session) learn(obj int, v *version) {
	for len(s.known) <= obj {
		s.known, s.read, s.seen = append(s.known, nil), append(s.read, false), append(s.seen, nil)
	}
	if k := s.known[obj]; v == nil || k == nil || k.uid != v.uid || k.rv < v.rv {
		s.known[obj] = v
	}
	s.read[obj] = true
	if v != nil && (obj == objLeader || obj >= firstPod) {
		s.observe(v)
	} else if v == nil && s.seen[obj] != nil {
		s.seen[obj].there = false
	}
}

// observe dates a change by the own clock, when the answer that shows it has come.
func (s *session) observe(v *version) {
	o := s.seen[v.obj]
	if o == nil {
		o = &observed{}
		s.seen[v.obj] = o
	}
	if o.uid == v.uid && v.rv <= o.rv {
		return
	}
	var by token
	var value string
	var ttl time.Duration
	e := v.subject()
	if e != nil {
		value, by, ttl = e.value, e.by, v.ttl
		if v.obj == objLeader {
			by, ttl = v.lease.stamp, v.leaseTTL()
		}
	}
	first := o.rv == 0
	if changed := o.uid != v.uid || o.there != (e != nil) || o.by != by || o.value != value; changed {
		o.by, o.value, o.there, o.at, o.ttl = by, value, e != nil, s.now(), ttl
		o.moved = !first
	}
	o.uid, o.rv = v.uid, v.rv
	if s.watch != nil {
		s.watch.planSweep(o)
	}
}

// subject is the entry of an object that ends by time.
func (v *version) subject() *entry {
	if v.obj == objLeader {
		return v.holder()
	}
	if len(v.keys) > 0 {
		return &v.keys[0]
	}
	return nil
}

// over tells whether the lease or record in v has ended by own observation: v shows what was seen, unchanged, a ttl ago.
func (s *session) over(v *version) bool {
	if v == nil || v.obj >= len(s.seen) {
		return false
	}
	o, e := s.seen[v.obj], v.subject()
	if o == nil || e == nil || !o.there || o.ttl == 0 || o.uid != v.uid || o.value != e.value {
		return false
	}
	by := e.by
	if v.obj == objLeader {
		by = v.lease.stamp
	}
	return o.by == by && s.now() >= o.at.Add(o.ttl)
}

// allowance is by how much the wall clocks of members may differ before a new adapter takes a living record for old.
const allowance = 2 * time.Second

// hidden tells that a record is not shown: it is over, or was never seen to change and is too old by its writer's wall clock.
func (s *session) hidden(v *version) bool {
	if v.obj != objLeader && v.obj < firstPod {
		return false
	}
	if s.over(v) {
		return true
	}
	o := s.seen[v.obj]
	if v.obj == objLeader || o == nil || o.moved || v.ttl == 0 {
		return false
	}
	return s.wall().Sub(v.written) > v.ttl+allowance
}

func (s *session) wall() events.Instant { return s.m.env.Now().Add(s.m.clock(s.member).off) }

// unseen tells that a key is not shown, in an object whose lease or record is hidden or not.
func (v *version) unseen(e *entry, hide bool) bool {
	if v.obj >= firstPod {
		return hide
	}
	return e.key == events.KeyLeader && (hide || e.value == "")
}

// shown is the revision of a key as this adapter tells it: once told, it stays while nobody writes the key.
func (s *session) shown(v *version, e *entry) uint64 {
	if s.watch != nil {
		if t := s.watch.told(v.obj, e.key); t != nil && t.value == e.value && t.by == e.by {
			return t.rev
		}
	}
	return v.revision(e)
}

// snapshot is what the adapter shows of the objects.
func (s *session) snapshot(rv uint64, all ...[]*version) events.DCSSnapshot {
	snap := events.DCSSnapshot{Revision: rv, Keys: make([]events.KeyValue, 0, 12)}
	for _, list := range all {
		for _, v := range list {
			if v == nil {
				continue
			}
			hide := s.hidden(v)
			for i := range v.keys {
				e := &v.keys[i]
				if v.unseen(e, hide) {
					continue
				}
				snap.Keys = append(snap.Keys, events.KeyValue{Key: e.key, Value: e.value, Revision: s.shown(v, e)})
			}
		}
	}
	sortKeys(snap.Keys)
	return snap
}

// readAll reads both resources at one revision: a quorum list of the first, and one of the second at exactly that revision.
func (s *session) readAll(limit func() events.Instant, done func(r reply, rv uint64, ends, pods []*version)) {
	s.ask(call{verb: verbList, resource: endpoints}, limit(), func(first reply) {
		if first.code != http.StatusOK {
			done(first, 0, nil, nil)
			return
		}
		s.ask(call{verb: verbList, resource: pods, rv: first.rv}, limit(), func(second reply) {
			if second.code == http.StatusOK {
				for obj := range firstPod {
					var v *version
					for _, x := range first.list {
						if x.obj == obj {
							v = x
						}
					}
					s.learn(obj, v)
				}
				for _, v := range second.list {
					s.learn(v.obj, v)
				}
			}
			done(second, first.rv, first.list, second.list)
		})
	})
}

// Do answers a request (see stores.Session).
func (s *session) Do(r stores.Request, answer func(stores.Response)) {
	if s.closed {
		return
	}
	done := func(p stores.Response) {
		if !s.closed {
			answer(p)
		}
	}
	at := func(p stores.Response) { s.m.env.After(0, func() { done(p) }) }
	switch {
	case r.Op == stores.Prepare:
		at(stores.Response{Outcome: events.Done})
	case s.m.env.Now() >= r.Deadline:
		at(stores.Response{Outcome: events.Failed, Error: "kubernetes: the deadline passed before the request left"})
	case r.Op == stores.Snapshot:
		s.readUntil(r.Deadline, 0, done)
	case (r.Op == stores.Renew || r.Op == stores.Release || r.Op == stores.HandOver) && (r.Epoch != s.held.epoch || r.Epoch == 0):
		at(stores.Response{Outcome: events.Lost, Error: "kubernetes: not a lease of this member: condition does not hold"})
	default:
		j := &job{s: s, r: r, answer: done, by: s.token(), obj: objLeader}
		switch r.Op {
		case stores.Put, stores.Delete:
			if j.obj = s.m.locate(r.Key); j.obj < 0 {
				at(stores.Response{Outcome: events.Failed, Error: "kubernetes: no pod for " + r.Key})
				return
			}
		case stores.PutMember:
			j.obj = s.pod
		}
		j.begin()
	}
}

// readUntil repeats a snapshot until it is answered.
func (s *session) readUntil(deadline events.Instant, denied int, done func(stores.Response)) {
	s.readAll(func() events.Instant { return s.share(deadline) }, func(r reply, rv uint64, ends, all []*version) {
		if r.code == http.StatusOK {
			done(stores.Response{Outcome: events.Done, Snapshot: s.snapshot(rv, ends, all)})
			return
		}
		if r.code == http.StatusForbidden {
			if denied++; denied >= len(s.m.servers) {
				done(stores.Response{Outcome: events.Denied, Error: "kubernetes: list: 403"})
				return
			}
		}
		s.pause(r, deadline, func(over bool) {
			if over {
				done(stores.Response{Outcome: events.Failed, Error: "kubernetes: list: no answer"})
				return
			}
			s.readUntil(deadline, denied, done)
		})
	})
}

// pause waits as long as an answer asks for, or a moment, but not past the deadline.
func (s *session) pause(r reply, deadline events.Instant, then func(over bool)) {
	d := 20 * time.Millisecond
	if r.after > 0 && len(s.m.servers) == 1 {
		d = r.after
	} else if r.after > 0 {
		d = 100 * time.Millisecond
	}
	left := deadline.Sub(s.m.env.Now())
	s.m.env.After(max(0, min(d, left)), func() {
		if !s.closed {
			then(left <= d)
		}
	})
}
