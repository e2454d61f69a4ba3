package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/regent-ha/regent/backends"
)

// repeat tells whether a request that may have been applied may be sent again.
type repeat bool

const (
	once      repeat = false
	repeating repeat = true
)

const (
	// leastShare and mostShare bound the time that one server gets to answer before the next is asked.
	leastShare = 250 * time.Millisecond
	mostShare  = 1500 * time.Millisecond
	// loneShare is mostShare where the context has no deadline and there is no next server.
	loneShare = 5 * time.Second
)

// verdict is what an error says about a request.
type verdict int

const (
	final     verdict = iota // the server's answer: no other server will say otherwise
	refused                  // not applied, another server or moment may take it
	ambiguous                // it may have been applied
)

// errSeen marks a conflict that was read, not met by a write: an earlier attempt has no part in it.
var errSeen = errors.New("as the store shows")

// try calls f on one server after another until one answers or ctx ends. Its error is classified (C9).
// f returns the server's own errors, or classified ones.
func (s *Store) try(ctx context.Context, op string, r repeat, f func(context.Context, *node) error) error {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return backends.Fail(op, backends.ErrNotApplied, err)
	}
	defer leave()
	order := s.order()
	maybe := false
	var last error
	for turn := 0; ; turn++ {
		if cause := context.Cause(ctx); cause != nil {
			return s.gaveUp(op, maybe, cause, last)
		}
		n := order[turn%len(order)]
		sent, err := s.attempt(ctx, n, share(ctx, len(order), turn), r, f)
		if err == nil {
			s.prefer(n)
			return nil
		}
		last = fmt.Errorf("%s: %w", n.addr, err)
		switch v, class := judge(err, sent); v {
		case final:
			if maybe && errors.Is(class, backends.ErrConflict) && !errors.Is(err, errSeen) {
				// It may be our own first attempt that we met.
				return backends.Fail(op, backends.ErrUnknown, errors.New(last.Error()))
			}
			if errors.Is(err, class) {
				return fmt.Errorf("%s: %w", op, last)
			}
			return backends.Fail(op, class, last)
		case ambiguous:
			maybe = true
			if r == once {
				return s.gaveUp(op, maybe, last, nil)
			}
		case refused:
		}
		if turn%len(order) == len(order)-1 {
			pause(ctx, min(50*time.Millisecond<<min(turn/len(order), 4), 400*time.Millisecond))
		}
	}
}

func (s *Store) gaveUp(op string, maybe bool, cause, last error) error {
	class := backends.ErrNotApplied
	if maybe {
		class = backends.ErrUnknown
	}
	if last != nil {
		cause = fmt.Errorf("%w (last: %w)", cause, last)
	}
	return backends.Fail(op, class, cause)
}

// attempt calls f on one server. A request that may not be repeated is left to wait once it has been
// sent: nothing is won by giving it up before ctx does.
func (s *Store) attempt(ctx context.Context, n *node, d time.Duration, r repeat, f func(context.Context, *node) error) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, sent := withSentNote(ctx)
	start := s.cfg.Now()
	slow := time.AfterFunc(d, func() {
		n.suspect.Store(int64(s.cfg.Now().Add(suspicion)))
		if r == repeating || !sent.Load() {
			cancel()
		}
	})
	defer slow.Stop()
	err := s.authorized(ctx, n, sent, f)
	switch {
	case err == nil:
		n.suspect.Store(0)
	case ctx.Err() == nil || s.cfg.Now().Sub(start) >= leastShare:
		if v, _ := judge(err, sent.Load()); v != final {
			n.suspect.Store(int64(s.cfg.Now().Add(suspicion)))
		}
	}
	return sent.Load(), err
}

// authorized calls f with a token, where there is a user, and once more with a new one if it was refused.
func (s *Store) authorized(ctx context.Context, n *node, sent *atomic.Bool, f func(context.Context, *node) error) error {
	ctx = clientv3.WithRequireLeader(ctx)
	if s.cfg.Username == "" {
		return f(ctx, n)
	}
	token := s.token.Load()
	if token != nil {
		err := f(metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, *token), n)
		if !tokenRefused(err) {
			return err
		}
	}
	fresh, err := s.authenticate(ctx, n)
	sent.Store(false) // neither the refused request nor the authentication changed anything
	if err != nil {
		return err
	}
	s.token.Store(&fresh)
	if fresh == "" {
		return f(ctx, n)
	}
	return f(metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, fresh), n)
}

func (s *Store) authenticate(ctx context.Context, n *node) (string, error) {
	r, err := n.auth().Authenticate(ctx, &pb.AuthenticateRequest{Name: s.cfg.Username, Password: s.cfg.Password})
	if err != nil {
		if errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled) {
			return "", nil
		}
		return "", err
	}
	return r.Token, nil
}

func tokenRefused(err error) bool {
	e, answered := serverError(err)
	return answered && badTokens[e]
}

// What etcd's answers mean, where their code does not tell.
var (
	badTokens = set(rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty)
	denials   = set(rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrInvalidAuthToken,
		rpctypes.ErrAuthOldRevision, rpctypes.ErrUserNotFound)
	refusals = set(rpctypes.ErrNoLeader, rpctypes.ErrTooManyRequests, rpctypes.ErrNotCapable)
	doubtful = set(rpctypes.ErrNotLeader)
)

func set(all ...error) map[rpctypes.EtcdError]bool {
	m := map[rpctypes.EtcdError]bool{}
	for _, err := range all {
		if e, ok := serverError(err); ok {
			m[e] = true
		}
	}
	return m
}

// serverError finds an answer of etcd itself in err, which may be wrapped.
func serverError(err error) (e rpctypes.EtcdError, answered bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if errors.As(rpctypes.Error(err), &e) {
			return e, true
		}
	}
	return e, false
}

// share is the time that the server of this turn gets.
func share(ctx context.Context, servers, turn int) time.Duration {
	end, has := ctx.Deadline()
	switch {
	case !has && servers == 1:
		return loneShare
	case !has:
		return mostShare
	}
	left := time.Until(end)
	if servers == 1 {
		return max(left, leastShare)
	}
	return min(max(left/time.Duration(servers-turn%servers), leastShare), mostShare)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// judge tells what an error says, and its class if it is final.
func judge(err error, sent bool) (verdict, error) {
	for _, class := range []error{backends.ErrConflict, backends.ErrDenied, backends.ErrNotApplied} {
		if errors.Is(err, class) {
			return final, class
		}
	}
	if e, answered := serverError(err); answered {
		return judgeServer(e)
	}
	if !sent {
		return refused, nil
	}
	if code := status.Code(err); code == codes.Unimplemented || code == codes.ResourceExhausted {
		return final, backends.ErrNotApplied
	}
	return ambiguous, nil
}

// judgeServer judges an answer of etcd itself.
func judgeServer(e rpctypes.EtcdError) (verdict, error) {
	switch {
	case denials[e]:
		return final, backends.ErrDenied
	case refusals[e]:
		return refused, nil
	case doubtful[e]:
		return ambiguous, nil
	}
	switch e.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.OutOfRange, codes.ResourceExhausted, codes.DataLoss, codes.FailedPrecondition:
		return final, backends.ErrNotApplied
	}
	return ambiguous, nil // timed out, leader changed, server stopped
}
