package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// held is a lease of this member. The epoch is the sequence at which it was won; each renewal is a
// message of its own.
type held struct {
	epoch uint64
	token string // in every message of this lease, and in no other
	last  record // its newest message, as far as is known; guarded by Store.mu
}

var errNotHeld = errors.New("this member holds no lease of that epoch")

// Acquire takes the leader key for this member (C3, C4).
func (s *Store) Acquire(ctx context.Context, expect uint64, ttl time.Duration) (backends.Lease, error) {
	const op = "acquire the lease"
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return backends.Lease{}, err
	}
	defer leave()
	before := s.highestSeen()
	m := s.leaseMessage(s.cfg.Member, ttl, newToken())
	c := condition{expect: int64(expect)}
	if expect != 0 {
		c.value = s.cfg.Member // only what names this member can be claimed
	}
	w, err := s.write(ctx, s.lease, op, m, c, 0)
	if err != nil {
		return backends.Lease{}, err
	}
	h := &held{epoch: w.seq, token: m.token, last: recordOf(w, m.ttl)}
	if w.seq <= before {
		return backends.Lease{}, s.giveBack(ctx, op, h, before)
	}
	granted := backends.Lease{Epoch: w.seq, SentAt: w.sentAt, TTL: wholeSeconds(ttl)}
	if expect != 0 || w.sentAt == 0 {
		// The marker of the former message's end may be under way, or the time of this one is not known: only a
		// second write counts.
		h.last.safe = 0
		if granted.SentAt, err = s.overwrite(ctx, op, h, m); err != nil {
			return backends.Lease{}, afterWrite(op, err)
		}
	}
	s.mu.Lock()
	s.held = h
	s.mu.Unlock()
	return granted, nil
}

// Prepare has nothing to do (C13): a lease is one message.
func (s *Store) Prepare(context.Context, time.Duration) error { return nil }

// giveBack undoes an acquisition whose epoch does not grow.
func (s *Store) giveBack(ctx context.Context, op string, h *held, before uint64) error {
	cause := fmt.Errorf("revision %d was seen before, the bucket now gives %d: it was recreated or restored with old sequences", before, h.epoch)
	if _, err := s.overwrite(ctx, op, h, s.removal(events.KeyLeader)); err != nil {
		return backends.Fail(op, backends.ErrUnknown, fmt.Errorf("%w; removing the lease again: %s", cause, err.Error()))
	}
	return backends.Fail(op, backends.ErrNotApplied, cause)
}

// leaseMessage names a leader.
func (s *Store) leaseMessage(leader string, ttl time.Duration, token string) message {
	return message{subject: s.subject(events.KeyLeader), value: []byte(leader), ttl: s.storedTTL(ttl), token: token}
}

// Renew prolongs the lease of epoch (C4, C5).
func (s *Store) Renew(ctx context.Context, epoch uint64, ttl time.Duration) (backends.Lease, error) {
	const op = "renew the lease"
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return backends.Lease{}, err
	}
	defer leave()
	h, err := s.holding(op, epoch)
	if err != nil {
		return backends.Lease{}, err
	}
	sentAt, err := s.overwrite(ctx, op, h, s.leaseMessage(s.cfg.Member, ttl, h.token))
	if err != nil {
		return backends.Lease{}, err
	}
	return backends.Lease{Epoch: epoch, SentAt: sentAt, TTL: wholeSeconds(ttl)}, nil
}

// Release deletes the leader key (C7).
func (s *Store) Release(ctx context.Context, epoch uint64) error {
	return s.finish(ctx, "release the lease", epoch, s.removal(events.KeyLeader))
}

// HandOver names a successor in the leader key (C7).
func (s *Store) HandOver(ctx context.Context, epoch uint64, to string, ttl time.Duration) error {
	return s.finish(ctx, "hand over the lease", epoch, s.leaseMessage(to, ttl, newToken()))
}

// finish replaces the lease's message by one that is no longer this lease's.
func (s *Store) finish(ctx context.Context, op string, epoch uint64, m message) error {
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	h, err := s.holding(op, epoch)
	if err != nil {
		return err
	}
	if _, err = s.overwrite(ctx, op, h, m); err == nil {
		s.drop(h)
	}
	return err
}

// holding returns the lease of epoch.
func (s *Store) holding(op string, epoch uint64) (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || s.held.epoch != epoch {
		return nil, backends.Fail(op, backends.ErrConflict, errNotHeld)
	}
	return s.held, nil
}

func (s *Store) drop(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == h {
		s.held = nil
	}
}

// newest returns what is known of the lease's newest message.
func (s *Store) newest(h *held) record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.last
}

// advance notes a newer message of the lease.
func (s *Store) advance(h *held, r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.seq > h.last.seq {
		h.last = r
	}
	s.highest = max(s.highest, r.seq)
}

// overwrite replaces the newest message of a lease by m, as long as it is this lease's, and returns
// when the write that counts was sent. It says conflict only when a linearizable read has shown that the lease is
// gone; everything that got no answer it finds out about, until ctx ends.
func (s *Store) overwrite(ctx context.Context, op string, h *held, m message) (events.Instant, error) {
	t, pace := tally{op: op}, pacer{}
	for former := s.newest(h); ; {
		sentAt := s.cfg.Now()
		seq, err := s.lease.publish(ctx, m, int64(former.seq))
		switch {
		case err == nil:
			inTime := s.cfg.Now() < former.safe
			former = recordOf(written{seq, sentAt}, m.ttl)
			if m.token == h.token {
				s.advance(h, former)
			}
			if inTime || m.remove {
				return sentAt, nil
			}
			t.unclear, t.err = true, errors.New("written too late to count, once more")
			continue // the marker of the former one's end may have been under way
		case errors.Is(err, backends.ErrConflict):
			t.add(err)
			next, done, err := s.judge(ctx, &t, h, m, former)
			if err != nil || done {
				return sentAt, err
			}
			former = next
		case !t.add(err):
			return 0, t.outcome()
		}
		if !pace.wait(ctx) {
			return 0, t.outcome()
		}
	}
}

// judge finds out after a conflict where the lease is: the message to replace next, that m is already in
// place for good, or that the lease is lost.
func (s *Store) judge(ctx context.Context, t *tally, h *held, m message, former record) (next record, done bool, err error) {
	now, err := s.readLeader(ctx, t.op)
	switch {
	case err != nil:
		t.addRead(err)
		return record{}, false, t.outcome()
	case now.token == m.token && !now.live: // a release whose answer was lost
		return record{}, true, nil
	case now.live && (now.token == h.token || now.token == m.token):
		if now.seq == former.seq {
			return former, false, nil // what was in the way was not applied yet
		}
		return record{seq: now.seq}, false, nil
	}
	s.drop(h)
	if m.remove && t.unclear && !now.live { // released, and its marker has expired since
		return record{}, true, nil
	}
	cause := fmt.Errorf("the key is at revision %d, present: %t, and no longer of this lease", now.seq, now.live)
	if t.unclear && m.token != h.token { // m may have been in place before
		return record{}, false, backends.Fail(t.op, backends.ErrUnknown, cause)
	}
	return record{}, false, backends.Fail(t.op, backends.ErrConflict, cause)
}
