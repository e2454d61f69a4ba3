package backends

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
)

// Store is one member's access to one cluster's directory. Its methods may be called from several
// goroutines. All blocking methods obey ctx (C10).
type Store interface {
	// Watch delivers facts to sink until ctx ends or the store is closed: DCSSnapshot, DCSChange and
	// DCSReach. It reconnects by itself, for ever; what it cannot do it reports as DCSReach. The sink must not block for long.
	Watch(ctx context.Context, sink func(events.Fact)) error
	// Snapshot reads everything, linearizably (C2).
	Snapshot(ctx context.Context) (events.DCSSnapshot, error)
	// Acquire takes the leader key for this member (C3, C4).
	Acquire(ctx context.Context, expect uint64, ttl time.Duration) (Lease, error)
	// Prepare gets ready what the next Acquire or HandOver with this ttl needs (C13).
	Prepare(ctx context.Context, ttl time.Duration) error
	// Renew prolongs the lease of epoch (C4, C5). ErrConflict means that it is lost.
	Renew(ctx context.Context, epoch uint64, ttl time.Duration) (Lease, error)
	// Release deletes the leader key (C7).
	Release(ctx context.Context, epoch uint64) error
	// HandOver names a successor in the leader key (C7).
	HandOver(ctx context.Context, epoch uint64, to string, ttl time.Duration) error
	// Put writes a key under a condition (C8) and returns its new revision. Expect is the revision that
	// the key must have, zero for absent, events.Any for no condition.
	Put(ctx context.Context, key, value string, expect int64) (uint64, error)
	// Delete removes a key under a condition (C8). Deleting an absent key with events.Any succeeds.
	Delete(ctx context.Context, key string, expect int64) error
	// PutMember writes this member's record (C11).
	PutMember(ctx context.Context, value string, ttl time.Duration) error
	// Limits tells what the store does to leases.
	Limits() Limits
	// Close ends everything and waits for it. Leases and records are left to end by themselves.
	Close() error
}

// Lease is what Acquire and Renew won.
type Lease struct {
	Epoch uint64
	// SentAt is from before the request left, on this host's boot clock.
	SentAt events.Instant
	TTL    time.Duration // as granted
}

// Limits are a store's own bounds on leases.
type Limits struct {
	Kind           string        // etcd, nats, …
	MinTTL         time.Duration // a smaller ttl is refused or raised
	WholeSecondTTL bool          // ttl is cut to whole seconds by the store
}

// Config is what every adapter needs.
type Config struct {
	Namespace string // without slashes around it, "service" by default
	Scope     string
	Member    string
	// Now reads the boot clock.
	Now func() events.Instant
}

// Dir is the cluster's directory, with a slash at each end.
func (c Config) Dir() string { return "/" + c.Namespace + "/" + c.Scope + "/" }

// The four failures (C9). Adapters wrap them; callers ask with Classify or errors.Is.
var (
	ErrConflict   = errors.New("condition does not hold")
	ErrNotApplied = errors.New("not applied")
	ErrUnknown    = errors.New("outcome unknown")
	ErrDenied     = errors.New("denied by the store")
)

// Classify tells which of the four failures err is, as the outcome of an effect.
// An error that no adapter classified is Unknown.
func Classify(err error) events.Outcome {
	switch {
	case err == nil:
		return events.Done
	case errors.Is(err, ErrConflict):
		return events.Lost
	case errors.Is(err, ErrDenied):
		return events.Denied
	case errors.Is(err, ErrNotApplied):
		return events.Failed
	}
	return events.Unknown
}

// Fail builds a classified error: operation, class and cause.
func Fail(op string, class, cause error) error {
	if cause == nil {
		return fmt.Errorf("%s: %w", op, class)
	}
	return fmt.Errorf("%s: %w: %w", op, class, cause)
}
