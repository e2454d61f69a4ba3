package consul

import (
	"slices"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

func (j *job) acquire() {
	if j.Expect == 0 {
		j.sessionFor(func(s spare) {
			token := j.token()
			j.claim(s, claimTries, []step{ // the CAS demands that there is no key, also none without a session
				{verb: cas, key: events.KeyLeader, value: j.member, flags: token},
				{verb: lock, key: events.KeyLeader, value: j.member, flags: token, session: s.id},
			})
		})
		return
	}
	j.read(func(view []*entry) {
		e := lookup(view, events.KeyLeader)
		if e == nil || int64(e.modify) != j.Expect || e.value != j.member {
			j.lost("the leader key is not as expected")
			return
		}
		j.sessionFor(func(s spare) { j.claim(s, claimTries, j.moved(e, s.id, j.member, false)) })
	})
}

// moved are the steps that put the leader key from the session that it is locked by, if any, under another.
func (a *agent) moved(e *entry, to sessionID, value string, keepEpoch bool) []step {
	token := a.token()
	steps := []step{{verb: checkIndex, key: e.key, index: e.modify}}
	if e.session != 0 {
		steps = append(steps, step{verb: unlock, key: e.key, value: value, flags: token, session: e.session})
	}
	return append(steps, step{verb: lock, key: e.key, value: value, flags: token, session: to, keepEpoch: keepEpoch})
}

// claimTries is one more than the lock delay of our own sessions, which is over in a moment, makes necessary.
const claimTries = 2

// claim performs an acquisition.
func (j *job) claim(s spare, tries int, steps []step) {
	j.write(true, steps, func(r *result) {
		switch {
		case r.class != answered:
			j.failed(r) // the session is left alone: the key may be locked by it
		case r.fault == fine:
			j.won(s, r.index, r.by)
		case r.maybe: // by an earlier attempt?
			j.read(func(view []*entry) {
				if e := lookup(view, events.KeyLeader); e != nil && e.session == s.id {
					j.won(s, e.modify, r.by)
					return
				}
				j.end(events.Unknown, "an earlier attempt may have been applied")
			})
		case r.fault == delayed && tries > 1:
			j.m.env.After(lockDelay, func() {
				if !j.closed {
					j.claim(s, tries-1, steps)
				}
			})
		default:
			j.forget(s.id)
			j.rejected(r)
		}
	})
}

func (j *job) won(s spare, epoch uint64, by int) {
	if len(j.held) > 0 && j.held[0].epoch > epoch { // another call was later, and its answer sooner
		j.done(s, epoch)
		return
	}
	for _, h := range j.held {
		j.forget(h.sessions()...)
	}
	j.held = append(j.held[:0], &hold{epoch: epoch, id: s.id, index: epoch, ttl: s.ttl, sentAt: s.sentAt, server: by})
	j.done(s, epoch)
}

func (a *agent) holding(epoch uint64) *hold {
	for _, h := range a.held {
		if h.epoch == epoch {
			return h
		}
	}
	return nil
}

// drop forgets a lease that is over.
func (a *agent) drop(h *hold) {
	if i := slices.Index(a.held, h); i >= 0 {
		a.held = slices.Delete(a.held, i, i+1)
	}
}

// settled finds the session that the key of our lease is locked by: what this adapter knows, or, if it
// does not know for sure, what a consistent read shows.
func (j *job) settled(then func(h *hold, e *entry)) {
	h := j.holding(j.Epoch)
	if h != nil && len(h.others) == 0 {
		then(h, nil)
		return
	}
	j.readOwn(h, then)
}

// readOwn reads the leader key and goes on if it is ours.
func (j *job) readOwn(h *hold, then func(h *hold, e *entry)) {
	j.read(func(view []*entry) {
		e := lookup(view, events.KeyLeader)
		switch {
		case h == nil && e != nil && e.modify == j.Epoch && e.value == j.member && e.session != 0:
			h = &hold{epoch: j.Epoch, id: e.session, index: e.modify, server: -1}
		case h == nil:
			j.lost("the epoch is not held")
			return
		case e != nil && e.modify < h.index: // read before another call moved the key
			j.readOwn(h, then)
			return
		case e == nil || e.value != j.member || !h.owns(e.session):
			j.drop(h)
			j.lost("the leader key is not ours")
			return
		}
		then(h, e)
	})
}

// renew resets the session's timer and proves that it counts; doc.go, point 5, has the argument.
func (j *job) renew() {
	h := j.holding(j.Epoch)
	now := j.m.env.Now()
	if h == nil || h.server < 0 || h.ttl != granted(j.TTL) || len(h.others) > 0 || now >= h.sentAt.Add(h.ttl) || j.suspects[h.server] > now {
		j.move(h, moveTries)
		return
	}
	server, index := h.server, h.index
	patience := min(max(j.Deadline.Sub(now)/4, leastShare), mostShare)
	j.on(server, j.Deadline, patience, request{ask: renew, id: h.id}, func(r *result) {
		if r.class != answered {
			j.move(h, moveTries)
			return
		}
		found := r.found
		j.on(server, j.Deadline, patience, request{ask: list}, func(r *result) {
			if r.class != answered {
				j.move(h, moveTries)
				return
			}
			e := lookup(r.view, events.KeyLeader)
			switch {
			case h.index != index: // another call moved the key to a session that was not renewed here
				j.move(h, moveTries)
			case e == nil || e.value != j.member || !h.owns(e.session):
				j.drop(h)
				j.lost("the leader key is not ours")
			case !found || e.session != h.id || j.m.env.Now() >= h.sentAt.Add(h.ttl):
				j.move(h, moveTries)
			default:
				h.sentAt = max(h.sentAt, now)
				j.answer(stores.Response{Outcome: events.Done, Lease: backends.Lease{Epoch: h.epoch, SentAt: now, TTL: h.ttl}})
			}
		})
	})
}

// moveTries bounds how often a move is begun anew because somebody else wrote the key.
const moveTries = 3

// move renews by a write: the key gets a new session, for the same epoch.
func (j *job) move(h *hold, tries int) {
	if h != nil && j.holding(h.epoch) != h {
		h = nil // dropped by another call meanwhile
	}
	j.readOwn(h, func(h *hold, e *entry) {
		j.newSession(func(s spare) {
			h.others = append(h.others, other{s.id, e.modify})
			j.write(true, j.moved(e, s.id, j.member, true), func(r *result) { j.moveEnded(h, e, s, r, tries) })
		})
	})
}

func (j *job) moveEnded(h *hold, e *entry, s spare, r *result, tries int) {
	h.ended(s.id, r)
	switch {
	case r.class != answered:
		if r.class == ambiguous {
			j.keep(h)
		}
		j.failed(r)
	case r.fault == fine:
		j.forget(e.session) // the key can never be under it again
		if r.index > h.index {
			h.id, h.index, h.ttl, h.sentAt, h.server = s.id, r.index, s.ttl, s.sentAt, r.by
		}
		j.keep(h)
		j.done(s, h.epoch)
	case r.maybe || r.fault == stale || r.fault == taken:
		if tries > 1 {
			j.keep(h)
			j.move(h, tries-1)
			return
		}
		j.end(events.Unknown, "the leader key keeps changing")
	default:
		j.rejected(r)
	}
}

// ended notes how a move to a session ended. Each demands the index that it starts from: once one has
// succeeded, those that start from before it can have no effect any more.
func (h *hold) ended(id sessionID, r *result) {
	h.others = slices.DeleteFunc(h.others, func(o other) bool {
		switch {
		case r.class == answered && r.fault == fine:
			return o.id == id || o.from < r.index
		case r.class == refused, r.class == answered && !r.maybe:
			return o.id == id
		}
		return false
	})
}

// keep remembers a lease that this adapter learned of from the key, unless it has a newer one.
func (a *agent) keep(h *hold) {
	if !slices.Contains(a.held, h) && !slices.ContainsFunc(a.held, func(o *hold) bool { return o.epoch >= h.epoch }) {
		a.held = append(a.held[:0], h)
	}
}

func (j *job) release() {
	j.settled(func(h *hold, e *entry) {
		id := h.id
		if e != nil {
			id = e.session
		}
		j.write(true, []step{{verb: checkSession, key: events.KeyLeader, session: id}, {verb: erase, key: events.KeyLeader}}, func(r *result) {
			switch {
			case r.class != answered:
				j.failed(r)
			case r.fault == fine:
				j.drop(h)
				j.forget(h.sessions()...)
				j.end(events.Done, "")
			default:
				j.drop(h)
				j.rejected(r)
			}
		})
	})
}

func (j *job) handOver() {
	j.settled(func(h *hold, e *entry) {
		id := h.id
		if e != nil {
			id = e.session
		}
		j.sessionFor(func(s spare) {
			token := j.token()
			j.write(true, []step{
				{verb: unlock, key: events.KeyLeader, value: j.member, flags: token, session: id},
				{verb: lock, key: events.KeyLeader, value: j.To, flags: token, session: s.id},
			}, func(r *result) { j.handedOver(h, s, r) })
		})
	})
}

func (j *job) handedOver(h *hold, s spare, r *result) {
	switch {
	case r.class != answered:
		j.failed(r)
	case r.fault == fine:
		j.drop(h)
		j.forget(h.sessions()...)
		j.end(events.Done, "")
	case r.maybe:
		j.read(func(view []*entry) {
			if e := lookup(view, events.KeyLeader); e != nil && e.session == s.id {
				j.drop(h)
				j.end(events.Done, "")
				return
			}
			j.end(events.Unknown, "an earlier attempt may have been applied")
		})
	default:
		if r.fault != delayed {
			j.drop(h)
		}
		j.forget(s.id)
		j.rejected(r)
	}
}
