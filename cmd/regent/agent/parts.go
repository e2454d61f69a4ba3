package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// parts are the goroutines of an agent. The first that fails ends them all.
type parts struct {
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func newParts(ctx context.Context) *parts {
	p := &parts{}
	p.ctx, p.stop = context.WithCancel(ctx)
	return p
}

// start runs a part until ctx ends; wait joins it.
func (p *parts) start(name string, run func(context.Context) error) {
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		if err := run(p.ctx); err != nil && p.ctx.Err() == nil {
			p.mu.Lock()
			p.errs = append(p.errs, fmt.Errorf("%s: %w", name, err))
			p.mu.Unlock()
			p.stop()
		}
	}()
}

// wait ends all parts, waits for them and returns what failed.
func (p *parts) wait() error {
	p.stop()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}
