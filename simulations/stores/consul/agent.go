package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// agent is one member's adapter: what it remembers of the store.
type agent struct {
	m        *Model
	member   string
	line     stores.Line
	prefer   int
	suspects []events.Instant // by server: until when it is asked last
	tasks    []*task
	held     []*hold
	spares   []spare
	used     int // acquisitions and handovers so far
	record   record
	watch    *watch
	closed   bool
}

// hold is a lease of ours on the leader key.
type hold struct {
	epoch uint64
	id    sessionID
	index uint64 // of the write that put it under id
	// others are sessions that the key may be locked by: of a move that is under way, or of one with an unknown outcome.
	others []other
	ttl    time.Duration
	sentAt events.Instant // of the last proven call
	server int            // that took it; -1: nothing is proven yet
}

// other is a session that a move was begun with, from the key at an index.
type other struct {
	id   sessionID
	from uint64
}

func (h *hold) owns(id sessionID) bool {
	return id != 0 && (id == h.id || slices.ContainsFunc(h.others, func(o other) bool { return o.id == id }))
}

// sessions are all that the lease had, for when it is over.
func (h *hold) sessions() []sessionID {
	all := []sessionID{h.id}
	for _, o := range h.others {
		all = append(all, o.id)
	}
	return all
}

// spare is a session without a key.
type spare struct {
	id     sessionID
	ttl    time.Duration
	sentAt events.Instant
}

// Open begins the adapter of a member.
func (m *Model) Open(member string, line stores.Line) stores.Session {
	a := &agent{m: m, member: member, line: line, suspects: make([]events.Instant, len(m.servers))}
	a.prefer = m.env.Pick("preferred server", len(m.servers))
	a.goOn()
	m.agents = append(m.agents, a)
	if !slices.Contains(m.members, member) {
		m.members = append(m.members, member)
	}
	return a
}

// Close ends it as by SIGKILL: its sessions live on.
func (a *agent) Close() {
	a.closed = true
	a.tasks = nil
	if i := slices.Index(a.m.agents, a); i >= 0 {
		a.m.agents = slices.Delete(a.m.agents, i, i+1)
	}
}

// job is one call of a method of backends.Store.
type job struct {
	*agent
	stores.Request
	answer func(stores.Response)
}

// Do performs a request.
func (a *agent) Do(r stores.Request, answer func(stores.Response)) {
	if a.closed {
		return
	}
	j := &job{a, r, answer}
	switch r.Op {
	case stores.Acquire:
		j.acquire()
	case stores.Renew:
		j.renew()
	case stores.Release:
		j.release()
	case stores.HandOver:
		j.handOver()
	case stores.Prepare:
		j.prepare()
	case stores.Put:
		j.put()
	case stores.Delete:
		j.delete()
	case stores.PutMember:
		j.putMember()
	case stores.Snapshot:
		j.snapshot()
	}
}

func (j *job) end(o events.Outcome, reason string) {
	j.answer(stores.Response{Outcome: o, Error: reason})
}

func (j *job) lost(reason string) { j.end(events.Lost, reason) }

// failed ends the job for want of an answer.
func (j *job) failed(r *result) {
	if r.class == refused {
		j.end(events.Failed, r.reason)
		return
	}
	j.end(events.Unknown, r.reason)
}

// rejected ends a job whose only write was refused by a transaction's condition.
func (j *job) rejected(r *result) {
	switch {
	case r.maybe: // an earlier attempt may be what changed the key
		j.end(events.Unknown, r.fault.String())
	case r.fault == delayed, r.fault == noSession:
		j.end(events.Failed, r.fault.String())
	default:
		j.lost(r.fault.String())
	}
}

// read reads the directory consistently; then only sees answers.
func (j *job) read(then func(view []*entry)) {
	j.try(j.Deadline, true, request{ask: list}, func(r *result) {
		if r.class != answered {
			j.failed(r)
			return
		}
		then(r.view)
	})
}

func (j *job) write(repeat bool, steps []step, then func(*result)) {
	j.try(j.Deadline, repeat, request{ask: txn, steps: steps, isWrite: true}, then)
}

// token marks a write, so that an equal value raises the index too and the writer knows its own work.
func (a *agent) token() uint64 {
	a.m.tokens++
	return a.m.tokens
}

// granted is the ttl of a session that is asked for with ttl.
func granted(ttl time.Duration) time.Duration { return max(ttl, minTTL) }

// newSession creates a session for a lease. One without a key changes nothing, so no failure is unknown.
func (j *job) newSession(then func(spare)) {
	s := spare{ttl: granted(j.TTL), sentAt: j.m.env.Now()}
	node := ownNode
	if j.m.cfg.AgentNode {
		node = j.member
	}
	j.try(j.Deadline, true, request{ask: create, ttl: s.ttl, node: node, isWrite: true}, func(r *result) {
		if r.class != answered {
			j.end(events.Failed, r.reason)
			return
		}
		s.id = r.id
		then(s)
	})
}

// sessionFor takes the session that was prepared, if it is fresh, or creates one.
func (j *job) sessionFor(then func(spare)) {
	j.used++
	i := slices.IndexFunc(j.spares, func(s spare) bool { return s.ttl == granted(j.TTL) })
	if i < 0 {
		j.newSession(then)
		return
	}
	s := j.spares[i]
	j.spares = slices.Delete(j.spares, i, i+1)
	if j.m.env.Now() >= s.sentAt.Add(s.ttl/4) {
		j.forget(s.id)
		j.newSession(then)
		return
	}
	then(s)
}

func (j *job) prepare() {
	used := j.used
	j.newSession(func(s spare) {
		if j.used != used { // the acquisition that it was for did not wait
			j.forget(s.id)
			j.end(events.Done, "")
			return
		}
		j.spares = slices.DeleteFunc(j.spares, func(o spare) bool {
			if o.ttl == s.ttl {
				j.forget(o.id)
			}
			return o.ttl == s.ttl
		})
		j.spares = append(j.spares, s)
		j.end(events.Done, "")
	})
}

// forget destroys sessions that surely have no key. When it cannot be done soon they end by themselves.
func (a *agent) forget(ids ...sessionID) {
	for _, id := range ids {
		a.try(a.m.env.Now().Add(2*time.Second), true, request{ask: destroy, id: id, isWrite: true}, func(*result) {})
	}
}

func (j *job) snapshot() {
	j.try(j.Deadline, true, request{ask: list}, func(r *result) {
		if r.class != answered {
			j.failed(r)
			return
		}
		j.answer(stores.Response{Outcome: events.Done, Snapshot: snapshotOf(r.view, r.index)})
	})
}

func (j *job) done(s spare, epoch uint64) {
	j.answer(stores.Response{Outcome: events.Done, Lease: backends.Lease{Epoch: epoch, SentAt: s.sentAt, TTL: s.ttl}})
}
