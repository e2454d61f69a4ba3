package conform

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

const (
	// patience is the deadline of a request whose context has none.
	patience = time.Hour
	// grace is how long after its deadline a session may take to answer.
	grace = 2 * time.Millisecond
)

// Store is a backends.Store on a session of a model.
type Store struct {
	t       testing.TB
	env     *Env
	session stores.Session
	// again opens one more session, for a second watch.
	again  func() stores.Session
	limits backends.Limits

	closed chan struct{}
	once   sync.Once
	calls  sync.WaitGroup

	mu       sync.Mutex
	shut     bool
	watching bool // the session's own watch is taken
}

var _ backends.Store = (*Store)(nil)

var errClosed = errors.New("the store is closed")

// Open opens a session of a member and makes it a Store. Without a line it is a perfect one.
func Open(t testing.TB, env *Env, model stores.Model, member string, line stores.Line) *Store {
	if line == nil {
		line = Perfect(env)
	}
	s := &Store{t: t, env: env, closed: make(chan struct{})}
	s.again = func() stores.Session { return model.Open(member, line) }
	env.Do(func() { s.session, s.limits = s.again(), model.Limits() })
	return s
}

// enter registers a call, which Close waits for.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.calls.Add(1)
	return true
}

// do sends a request and waits for its answer, or a moment beyond the end of ctx.
func (s *Store) do(ctx context.Context, op string, r stores.Request) (stores.Response, error) {
	if !s.enter() {
		return stores.Response{}, backends.Fail(op, backends.ErrNotApplied, errClosed)
	}
	defer s.calls.Done()
	r.Deadline = s.env.Now().Add(patience)
	if end, has := ctx.Deadline(); has {
		r.Deadline = s.env.Now().Add(time.Until(end))
	}
	if ctx.Err() != nil { // a cancellation later on is known to the bridge only: the session goes on to its deadline
		r.Deadline = min(r.Deadline, s.env.Now())
	}
	answers := make(chan stores.Response, 1)
	s.send(op, r, answers)
	select {
	case a := <-answers:
		return a, errorOf(op, a)
	case <-s.closed:
		return stores.Response{}, backends.Fail(op, backends.ErrUnknown, errClosed)
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		select {
		case a := <-answers:
			return a, errorOf(op, a)
		case <-time.After(grace):
			s.t.Errorf("conform: %s was not answered by its deadline", op)
		case <-s.closed:
		}
	}
	return stores.Response{}, backends.Fail(op, backends.ErrUnknown, ctx.Err())
}

// send calls Do and checks how it answers.
func (s *Store) send(op string, r stores.Request, answers chan<- stores.Response) {
	s.env.Do(func() {
		returned, answered := false, false
		s.session.Do(r, func(a stores.Response) {
			switch {
			case !returned:
				s.t.Errorf("conform: %s was answered before Do returned", op)
			case answered:
				s.t.Errorf("conform: %s was answered twice", op)
				return
			case s.isClosed():
				s.t.Errorf("conform: %s was answered after the session was closed", op)
			}
			answered = true
			answers <- a
		})
		returned = true
	})
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func errorOf(op string, a stores.Response) error {
	var cause error
	if a.Error != "" {
		cause = errors.New(a.Error)
	}
	switch a.Outcome {
	case events.Done:
		return nil
	case events.Lost:
		return backends.Fail(op, backends.ErrConflict, cause)
	case events.Failed:
		return backends.Fail(op, backends.ErrNotApplied, cause)
	case events.Denied:
		return backends.Fail(op, backends.ErrDenied, cause)
	}
	return backends.Fail(op, backends.ErrUnknown, cause)
}

// Watch delivers facts until ctx ends or the store is closed. The first is the session's own; each
// further one has a session of its own, since a model's session watches once.
func (s *Store) Watch(ctx context.Context, sink func(events.Fact)) error {
	if !s.enter() {
		return backends.Fail("watch", backends.ErrNotApplied, errClosed)
	}
	defer s.calls.Done()
	q := &queue{news: make(chan struct{}, 1)}
	s.mu.Lock()
	own := !s.watching
	s.watching = true
	s.mu.Unlock()
	s.env.Do(func() {
		session := s.session
		if !own {
			session = s.again()
			q.close = session.Close
		}
		session.Watch(func(f events.Fact) {
			switch {
			case s.isClosed():
				s.t.Errorf("conform: a %T was delivered after the session was closed", f)
			case q.ended && !own:
				s.t.Errorf("conform: a %T was delivered after the session of a watch was closed", f)
			case !q.ended:
				q.push(f)
			}
		})
	})
	defer s.env.Do(q.end)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.closed:
			return nil
		case <-q.news:
			for _, f := range q.take(s.env) {
				sink(f)
			}
		}
	}
}

// queue hands facts from the model, under the mutex of Env, to the goroutine of a watch.
type queue struct {
	facts []events.Fact
	news  chan struct{}
	close func() // ends the session, nil for the store's own
	ended bool
}

func (q *queue) push(f events.Fact) {
	q.facts = append(q.facts, f)
	select {
	case q.news <- struct{}{}:
	default:
	}
}

func (q *queue) take(env *Env) (facts []events.Fact) {
	env.Do(func() { facts, q.facts = q.facts, nil })
	return facts
}

func (q *queue) end() {
	q.ended = true
	if q.close != nil {
		q.close()
	}
}

// Snapshot reads everything.
func (s *Store) Snapshot(ctx context.Context) (events.DCSSnapshot, error) {
	a, err := s.do(ctx, "snapshot", stores.Request{Op: stores.Snapshot})
	return a.Snapshot, err
}

// Acquire takes the leader key.
func (s *Store) Acquire(ctx context.Context, expect uint64, ttl time.Duration) (backends.Lease, error) {
	a, err := s.do(ctx, "acquire", stores.Request{Op: stores.Acquire, Expect: int64(expect), TTL: ttl})
	return a.Lease, err
}

// Prepare gets the next Acquire or HandOver ready.
func (s *Store) Prepare(ctx context.Context, ttl time.Duration) error {
	_, err := s.do(ctx, "prepare", stores.Request{Op: stores.Prepare, TTL: ttl})
	return err
}

// Renew prolongs the lease.
func (s *Store) Renew(ctx context.Context, epoch uint64, ttl time.Duration) (backends.Lease, error) {
	a, err := s.do(ctx, "renew", stores.Request{Op: stores.Renew, Epoch: epoch, TTL: ttl})
	return a.Lease, err
}

// Release deletes the leader key.
func (s *Store) Release(ctx context.Context, epoch uint64) error {
	_, err := s.do(ctx, "release", stores.Request{Op: stores.Release, Epoch: epoch})
	return err
}

// HandOver names a successor.
func (s *Store) HandOver(ctx context.Context, epoch uint64, to string, ttl time.Duration) error {
	_, err := s.do(ctx, "hand over", stores.Request{Op: stores.HandOver, Epoch: epoch, To: to, TTL: ttl})
	return err
}

// Put writes a key.
func (s *Store) Put(ctx context.Context, key, value string, expect int64) (uint64, error) {
	a, err := s.do(ctx, "put", stores.Request{Op: stores.Put, Key: key, Value: value, Expect: expect})
	return a.Revision, err
}

// Delete removes a key.
func (s *Store) Delete(ctx context.Context, key string, expect int64) error {
	_, err := s.do(ctx, "delete", stores.Request{Op: stores.Delete, Key: key, Expect: expect})
	return err
}

// PutMember writes the member's record.
func (s *Store) PutMember(ctx context.Context, value string, ttl time.Duration) error {
	_, err := s.do(ctx, "put the member record", stores.Request{Op: stores.PutMember, Value: value, TTL: ttl})
	return err
}

// Limits tells what the store does to leases.
func (s *Store) Limits() backends.Limits { return s.limits }

// Close ends the session and waits for the calls.
func (s *Store) Close() error {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.once.Do(func() {
		s.env.Do(func() {
			s.session.Close()
			close(s.closed)
		})
	})
	s.calls.Wait()
	return nil
}
