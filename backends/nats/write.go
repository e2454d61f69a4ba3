package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// written is a write that took place.
type written struct {
	seq uint64
	// sentAt is from before the request left that was applied; zero when it is not known which it was.
	sentAt events.Instant
}

// tally collects the attempts of one operation, to tell its outcome when time is up.
type tally struct {
	op string
	// unclear tells that an attempt may have been applied.
	unclear bool
	err     error // of the last attempt
}

// add notes a failed attempt to write and tells whether to try again.
func (t *tally) add(err error) (again bool) {
	t.err = err
	switch {
	case errors.Is(err, backends.ErrConflict):
		// Another write to the key is under way, or was first: the next read tells.
		t.err = errors.New(err.Error())
		return true
	case errors.Is(err, errUnavailable):
		return true
	case errors.Is(err, backends.ErrDenied), errors.Is(err, backends.ErrNotApplied):
		return false
	}
	t.unclear = true
	return true
}

// addRead notes a failed read and tells whether to try again.
func (t *tally) addRead(err error) (again bool) {
	t.err = err
	return errors.Is(err, errUnavailable) || !errors.Is(err, backends.ErrDenied) && !errors.Is(err, backends.ErrNotApplied)
}

// conflict is the error of an operation whose condition the key does not meet.
func (t *tally) conflict(now stored) error {
	cause := fmt.Errorf("the key is at revision %d, present: %t", now.seq, now.live)
	if t.unclear { // it may have been applied, and overwritten since
		return backends.Fail(t.op, backends.ErrUnknown, cause)
	}
	return backends.Fail(t.op, backends.ErrConflict, cause)
}

// outcome is the error of an operation that was given up.
func (t *tally) outcome() error {
	switch {
	case t.unclear:
		// The last attempt's class says nothing of the one that got no answer.
		return backends.Fail(t.op, backends.ErrUnknown, errors.New(t.err.Error()))
	case errors.Is(t.err, backends.ErrDenied):
		return backends.Fail(t.op, backends.ErrDenied, t.err)
	}
	return backends.Fail(t.op, backends.ErrNotApplied, t.err)
}

// afterWrite is the error of a second write whose first took place: only a conflict is certain.
func afterWrite(op string, err error) error {
	if errors.Is(err, backends.ErrConflict) {
		return err
	}
	return backends.Fail(op, backends.ErrUnknown, errors.New(err.Error()))
}

// Put writes a key under a condition (C8).
func (s *Store) Put(ctx context.Context, key, value string, expect int64) (uint64, error) {
	op := "put " + key
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return 0, err
	}
	defer leave()
	m := message{subject: s.subject(key), value: []byte(value), token: newToken()}
	w, err := s.write(ctx, s.ops, op, m, condition{expect: expect}, 0)
	return w.seq, err
}

// Delete removes a key under a condition (C8).
func (s *Store) Delete(ctx context.Context, key string, expect int64) error {
	op := "delete " + key
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	if expect == 0 || expect == events.Any {
		// A marker for what is not there would tell watchers of a deletion that never was.
		there, err := s.exists(ctx, op, key)
		if err != nil || !there && expect == events.Any {
			return err
		}
		if expect == 0 {
			if there {
				return backends.Fail(op, backends.ErrConflict, errors.New("the key exists"))
			}
			return nil
		}
	}
	_, err = s.write(ctx, s.ops, op, s.removal(key), condition{expect: expect}, 0)
	return err
}

// removal is the message that deletes a key.
func (s *Store) removal(key string) message {
	return message{subject: s.subject(key), remove: true, ttl: markerTTL, token: newToken()}
}

// exists tells for sure whether a key is there.
func (s *Store) exists(ctx context.Context, op, key string) (bool, error) {
	d, err := s.read(ctx, s.ops, op)
	return d.messages[encodePath(key)].live, err
}

// record is what is known of a message with a TTL that this Store wrote.
type record struct {
	seq uint64
	// safe is until when it cannot have expired; zero when that is not known.
	safe events.Instant
}

// expiryGuard is how long before the end of a record the server is no longer trusted to be still far
// from removing it.
const expiryGuard = 100 * time.Millisecond

// recordOf is the record that a write made.
func recordOf(w written, stored time.Duration) record {
	if w.sentAt == 0 {
		return record{seq: w.seq}
	}
	return record{w.seq, w.sentAt.Add(stored - expiryGuard)}
}

// PutMember writes this member's record (C11).
func (s *Store) PutMember(ctx context.Context, value string, ttl time.Duration) error {
	const op = "put member record"
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	m := message{
		subject: s.subject(events.KeyMembers + s.cfg.Member),
		value:   []byte(value), ttl: s.storedTTL(ttl), token: newToken(),
	}
	for again := false; ; again = true {
		s.mu.Lock()
		former := s.member
		s.mu.Unlock()
		w, err := s.write(ctx, s.ops, op, m, condition{expect: events.Any}, former.seq)
		if err != nil && again {
			err = afterWrite(op, err)
		}
		if err != nil {
			return err
		}
		inTime := s.cfg.Now() < former.safe
		s.mu.Lock()
		if s.member == former || w.seq > s.member.seq { // also at a lower sequence, which a recreated stream has
			s.member = recordOf(w, m.ttl)
		}
		s.mu.Unlock()
		if inTime { // else the marker of the former record's end may have been under way
			return nil
		}
		m.token = newToken()
	}
}

// condition is what a key must be for a write to take place.
type condition struct {
	expect int64 // events.Any, zero for absent, or the revision of a present key
	// value, where it is not empty, is what the present key must hold besides.
	value string
}

// holds tells whether a key's last message meets the condition.
func (c condition) holds(now stored) bool {
	switch c.expect {
	case events.Any:
		return true
	case 0:
		return !now.live
	}
	return now.live && now.seq == uint64(c.expect) && (c.value == "" || c.value == now.value)
}

// write performs a write under a condition. It repeats what had no effect, finds out about what got no answer, and gives up when ctx ends.
// Every attempt names the message that it replaces, also where there is no condition: one that was stuck
// somewhere must not overwrite what was written since. A hint is what the key's last message probably is, and spares a read.
func (s *Store) write(ctx context.Context, l *link, op string, m message, c condition, hint uint64) (written, error) {
	t, pace := tally{op: op}, pacer{}
	refused := false // by the server: what a read shows now is not just old
	for known := hint != 0; ; known = false {
		replaces := hint
		if !known {
			now, err := l.last(ctx, m.subject)
			switch {
			case err != nil:
				if !t.addRead(err) || !pace.wait(ctx) {
					return written{}, t.outcome()
				}
				continue
			case t.unclear && now.token == m.token:
				s.saw(now.seq)
				return written{seq: now.seq}, nil
			case c.holds(now):
				replaces = now.seq
			case c.expect > 0 && c.value == "" && now.seq < uint64(c.expect) && !refused:
				replaces = uint64(c.expect) // the read may have shown the past
			default:
				return written{}, t.conflict(now)
			}
		}
		sentAt := s.cfg.Now()
		seq, err := l.publish(ctx, m, int64(replaces))
		if err == nil {
			s.saw(seq)
			return written{seq, sentAt}, nil
		}
		refused = refused || errors.Is(err, backends.ErrConflict)
		if !t.add(err) || !pace.wait(ctx) {
			return written{}, t.outcome()
		}
	}
}
