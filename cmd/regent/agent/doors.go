package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// doors is what the REST API needs of the member.
type doors struct {
	runner *runner.Runner
	post   func(events.Fact)
	store  backends.Store
	poke   func() // asks for a look at PostgreSQL now
	now    func() events.Instant
	reload func() error

	next atomic.Uint64
	mu   sync.Mutex
	open map[string]chan events.AnswerOperator
}

func (d *doors) Status() *engine.Status { return d.runner.Status() }
func (d *doors) Now() events.Instant    { return d.now() }
func (d *doors) WallNow() time.Time     { return time.Now() }
func (d *doors) Reload() error          { return d.reload() }

func (d *doors) Wait(ctx context.Context, ok func(*engine.Status) bool) (*engine.Status, error) {
	return d.runner.Wait(ctx, ok)
}

func (d *doors) Snapshot(ctx context.Context) (events.DCSSnapshot, error) {
	return d.store.Snapshot(ctx)
}

func (d *doors) Put(ctx context.Context, key, value string, expect int64) (uint64, error) {
	rev, err := d.store.Put(ctx, key, value, expect)
	if errors.Is(err, backends.ErrConflict) {
		return 0, fmt.Errorf("%w: %w", httpapi.ErrConflict, err)
	}
	return rev, err
}

// Fresh waits for a look at PostgreSQL that began after now, or until ctx ends, and returns the picture then.
func (d *doors) Fresh(ctx context.Context) *engine.Status {
	since := d.now()
	d.poke()
	s, err := d.runner.Wait(ctx, func(s *engine.Status) bool { return s.Postgres.Sampled >= since })
	if err != nil {
		return d.runner.Status()
	}
	return s
}

// Ask hands an order to the engine and waits for its answer.
func (d *doors) Ask(ctx context.Context, r events.OperatorRequest) (events.AnswerOperator, error) {
	r.ID = "r" + strconv.FormatUint(d.next.Add(1), 10)
	c := make(chan events.AnswerOperator, 1)
	d.mu.Lock()
	d.open[r.ID] = c
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.open, r.ID)
		d.mu.Unlock()
	}()
	d.post(events.OperatorAsked{Request: r})
	select {
	case a := <-c:
		return a, nil
	case <-ctx.Done():
		return events.AnswerOperator{}, fmt.Errorf("order %s: no answer yet: %w", r.Verb, ctx.Err())
	}
}

// answer delivers the engine's answer to whoever waits for it.
func (d *doors) answer(a events.AnswerOperator) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.open[a.Request]; c != nil {
		c <- a
		delete(d.open, a.Request)
	}
}
