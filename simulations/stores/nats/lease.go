package nats

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// overwrite is Store.overwrite: it replaces the newest message of a lease, as long as it is this lease's.
type overwrite struct {
	m      message
	h      *held
	former record
	sentAt events.Instant
	before uint64 // giveBack: the revision that was seen before
	t      tally
	pace   pacer
	done   func(c *call, sentAt events.Instant, f failure)
}

// leaseMessage names a leader.
func (s *session) leaseMessage(leader string, c *call, token uint64) message {
	return message{key: events.KeyLeader, value: leader, ttl: s.storedTTL(c.r.TTL), token: token}
}

// acquire is Store.Acquire.
func (c *call) acquire() {
	s := c.s
	c.l = &s.lease
	cond := condition{expect: c.r.Expect}
	if cond.expect != 0 {
		cond.value = s.member // only what names this member can be claimed
	}
	c.lay.before = s.highest
	c.startWrite(s.leaseMessage(s.member, c, s.m.token()), cond, 0, (*call).acquired)
}

func (c *call) acquired(w written, f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	h := &held{epoch: w.seq, token: c.write.m.token, last: recordOf(w, c.write.m.ttl)}
	if w.seq <= c.lay.before { // recreated or restored with old sequences: the epoch does not grow
		c.overwrite(h, c.s.removal(events.KeyLeader), (*call).gaveBack)
		return
	}
	if c.r.Expect != 0 || w.sentAt == 0 {
		// The marker of the former message's end may be under way, or the time of this one is not known: only a second write counts.
		h.last.safe = 0
		c.overwrite(h, c.write.m, (*call).claimed)
		return
	}
	c.s.held = h
	c.end(grant(h.epoch, w.sentAt, c.r.TTL))
}

func (c *call) claimed(sentAt events.Instant, f failure) {
	if f.class != "" {
		c.fail(afterWrite(f))
		return
	}
	c.s.held = c.lay.h
	c.end(grant(c.lay.h.epoch, sentAt, c.r.TTL))
}

func (c *call) gaveBack(_ events.Instant, f failure) {
	class := events.Failed
	if f.class != "" {
		class = events.Unknown
	}
	c.fail(failure{class, "the bucket was recreated or restored with old sequences"})
}

// useLease is Store.Renew, Release and HandOver.
func (c *call) useLease() {
	s := c.s
	c.l = &s.lease
	h := s.held
	if h == nil || h.epoch != c.r.Epoch {
		c.fail(failure{events.Lost, "this member holds no lease of that epoch"})
		return
	}
	switch c.r.Op {
	case stores.Renew:
		c.overwrite(h, s.leaseMessage(s.member, c, h.token), (*call).renewed)
	case stores.Release:
		c.overwrite(h, s.removal(events.KeyLeader), (*call).finished)
	default:
		c.overwrite(h, s.leaseMessage(c.r.To, c, s.m.token()), (*call).finished)
	}
}

func (c *call) renewed(sentAt events.Instant, f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	c.end(grant(c.r.Epoch, sentAt, c.r.TTL))
}

func (c *call) finished(_ events.Instant, f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	c.s.drop(c.lay.h)
	c.end(stores.Response{Outcome: events.Done})
}

func (s *session) drop(h *held) {
	if s.held == h {
		s.held = nil
	}
}

// advance notes a newer message of a lease.
func (s *session) advance(h *held, r record) {
	if r.seq > h.last.seq {
		h.last = r
	}
	s.saw(r.seq)
}

func (c *call) overwrite(h *held, m message, done func(*call, events.Instant, failure)) {
	c.lay = overwrite{m: m, h: h, former: h.last, before: c.lay.before, done: done}
	c.layOver()
}

func (c *call) layOver() {
	c.lay.sentAt = c.s.m.env.Now()
	c.try(&c.s.lease, &query{kind: publish, message: c.lay.m, expect: int64(c.lay.former.seq)}, (*call).laidOver)
}

func (c *call) laidOver(r result) {
	o := &c.lay
	switch r.fault {
	case fine:
		inTime := c.s.m.env.Now() < o.former.safe
		o.former = recordOf(written{r.seq, o.sentAt}, o.m.ttl)
		if o.m.token == o.h.token {
			c.s.advance(o.h, o.former)
		}
		if inTime || o.m.remove {
			o.done(c, o.sentAt, failure{})
			return
		}
		o.t.unclear, o.t.last = true, fine
		c.layOver() // written too late to count: the marker of the former one's end may have been under way
		return
	case conflict:
		o.t.add(r.fault)
		c.startRead((*call).judge)
		return
	}
	if !o.t.add(r.fault) {
		c.overGivenUp()
		return
	}
	c.pause(&o.pace, (*call).layOver, (*call).overGivenUp)
}

func (c *call) overGivenUp() { c.lay.done(c, 0, c.lay.t.outcome()) }

// judge finds out after a conflict where the lease is.
func (c *call) judge(f failure) {
	o := &c.lay
	now := c.read.find(events.KeyLeader)
	switch {
	case f.class != "":
		c.overGivenUp()
		return
	case now.token == o.m.token && !now.live: // a release whose answer was lost
		o.done(c, o.sentAt, failure{})
		return
	case now.live && (now.token == o.h.token || now.token == o.m.token):
		if now.seq != o.former.seq { // else what was in the way was not applied yet
			o.former = record{seq: now.seq}
		}
		c.pause(&o.pace, (*call).layOver, (*call).overGivenUp)
		return
	}
	c.s.drop(o.h)
	switch {
	case o.m.remove && o.t.unclear && !now.live: // released, and its marker has expired since
		o.done(c, o.sentAt, failure{})
	case o.t.unclear && o.m.token != o.h.token: // it may have been in place before
		o.done(c, 0, failure{events.Unknown, "the key is no longer of this lease"})
	default:
		o.done(c, 0, failure{events.Lost, "the key is no longer of this lease"})
	}
}
