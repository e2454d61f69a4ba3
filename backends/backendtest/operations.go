package backendtest

import (
	"context"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// operations are all blocking calls of a store, for the cases that break something under them.
// Each writes a key of its own, "op-put" and so on.
func operations(s backends.Store, epoch uint64, ttl time.Duration) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Snapshot": func(ctx context.Context) error { _, err := s.Snapshot(ctx); return err },
		"Acquire":  func(ctx context.Context) error { _, err := s.Acquire(ctx, epoch, ttl); return err },
		"Renew":    func(ctx context.Context) error { _, err := s.Renew(ctx, epoch, ttl); return err },
		"Release":  func(ctx context.Context) error { return s.Release(ctx, epoch) },
		"HandOver": func(ctx context.Context) error { return s.HandOver(ctx, epoch, "n9", ttl) },
		"Put": func(ctx context.Context) error {
			_, err := s.Put(ctx, "op-put", "x", events.Any)
			return err
		},
		"Put absent": func(ctx context.Context) error {
			_, err := s.Put(ctx, "op-create", "x", 0)
			return err
		},
		"Delete":    func(ctx context.Context) error { return s.Delete(ctx, "op-delete", events.Any) },
		"PutMember": func(ctx context.Context) error { return s.PutMember(ctx, `{"op":1}`, ttl) },
	}
}
