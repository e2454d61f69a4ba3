package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

const (
	warmUp = 300 * time.Millisecond // of a writer, before the fault
	// settle is the shortest time between a healthy cluster and the next fault. A random time comes on top, so that
	// faults meet the renewal of leases and the rounds of agents at any phase.
	settle = 700 * time.Millisecond
)

type object = map[string]any

// timing is what decides how long a lease outlives its holder.
type timing struct{ ttl, loopWait, retryTimeout int } // seconds

func (t timing) document() object {
	return object{"ttl": t.ttl, "loop_wait": t.loopWait, "retry_timeout": t.retryTimeout}
}

var (
	usual = timing{30, 10, 10}
	brisk = timing{5, 1, 1}
	tight = timing{3, 1, 1}
)

// scenario is one way in which a primary is moved.
type scenario struct {
	name   string
	limit  *limit // what it is compared with; nil: nothing
	slow   bool
	timing timing
	// dynamic is the dynamic configuration besides the timing; null takes a setting back.
	dynamic object
	// stays tells that the same member leads afterwards; otherwise another one must.
	stays    bool
	promises bool // no acknowledged write may be missing
	// hurt does it, and returns when it is done or, for a crash, at once.
	hurt func(ctx context.Context, c *live.Cluster, leader, other *live.Member) error
	// done waits for what the move ends with, beside a leader; nil: nothing.
	done func(ctx context.Context, leader *live.Member, postmaster int) error
	heal func(leader *live.Member) error
	mark mark
}

func scenarios() []scenario {
	memberCrash := func(t timing) scenario {
		return scenario{
			name: fmt.Sprintf("member crash, ttl %d", t.ttl), timing: t, slow: t == usual,
			hurt: func(ctx context.Context, _ *live.Cluster, leader, _ *live.Member) error { return leader.KillAll(ctx) },
			heal: func(leader *live.Member) error { return leader.StartAgent() },
			mark: mark{most: time.Duration(t.ttl)*time.Second + 500*time.Millisecond},
		}
	}
	crash := func(_ context.Context, _ *live.Cluster, leader, _ *live.Member) error { return leader.KillPostgres() }
	return []scenario{
		{
			name: "switchover", limit: limitSwitchover, timing: usual, promises: true, mark: mark{ratio: 1.3},
			hurt: func(ctx context.Context, c *live.Cluster, _, other *live.Member) error {
				_, err := c.Switchover(ctx, other.Name)
				return err
			},
		},
		{
			name: "PostgreSQL crash, failed over", limit: limitCrash, timing: usual, hurt: crash,
			dynamic: object{"primary_start_timeout": 0}, mark: mark{most: 500 * time.Millisecond, aim: 300 * time.Millisecond},
		},
		{
			name: "PostgreSQL crash, restarted in place", timing: usual, hurt: crash, stays: true, promises: true,
			dynamic: object{"primary_start_timeout": nil},
			done: func(ctx context.Context, leader *live.Member, postmaster int) error {
				for ctx.Err() == nil {
					if now := leader.PostmasterPID(); now != 0 && now != postmaster {
						return nil
					}
					wait(ctx, 10*time.Millisecond)
				}
				return fmt.Errorf("wait until PostgreSQL of %s runs again: %w", leader.Name, ctx.Err())
			},
		},
		memberCrash(usual), memberCrash(brisk), memberCrash(tight),
	}
}

// patience is for one run, or for a cluster to become healthy. A member that is cloned anew may need several rounds of 10 s.
const patience = 3 * time.Minute

// cluster measures all scenarios with one store.
func (b *bench) cluster(ctx context.Context, store string) error {
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := live.Start(starting, live.Options{Binary: b.Binary, Store: store, Log: b.Log, KeepOnFail: b.Keep})
	if err != nil {
		return err
	}
	if b.Keep {
		c.Failed()
	}
	if err = c.WaitHealthy(starting); err == nil && b.wanted("footprint") {
		err = b.footprint(ctx, c, store)
	}
	for _, s := range scenarios() {
		if err != nil {
			break
		}
		if b.wanted(s.name) && !(b.Quick && s.slow) {
			err = b.scenario(ctx, c, store, &s)
		}
	}
	return errors.Join(err, c.Close())
}

// scenario runs one scenario as often as asked, each time beside its limit, so that both meet the same noise. Its failures
// belong to the report: what comes after may work.
func (b *bench) scenario(ctx context.Context, c *live.Cluster, store string, s *scenario) error {
	var limitRow *Row
	if s.limit != nil {
		limitRow = b.report.row(store, s.limit.name)
	}
	row := b.report.row(store, s.name)
	row.limit, row.promises, row.mark = limitRow, s.promises, s.mark
	if err := b.prepare(ctx, c, s); err != nil {
		row.Failures = append(row.Failures, err.Error())
	}
	for i := range b.Runs {
		if len(row.Failures) > 0 || ctx.Err() != nil {
			break
		}
		beside := ""
		if s.limit != nil {
			sample, err := b.byHand(ctx, s.limit)
			if err != nil {
				return err
			}
			limitRow.add(sample)
			beside = fmt.Sprintf(" (by hand %.0f ms)", sample.Milliseconds)
		}
		sample, err := b.run(ctx, c, s)
		if err != nil {
			row.Failures = append(row.Failures, err.Error())
			b.logf("%s, %s %d/%d: %v", store, s.name, i+1, b.Runs, err)
			continue
		}
		b.logf("%s, %s %d/%d: %.0f ms%s, %s to %s, %d of %d writes lost", store, s.name, i+1, b.Runs, sample.Milliseconds, beside,
			sample.From, sample.To, sample.Lost, sample.Acknowledged)
		row.add(sample)
	}
	return ctx.Err()
}

func (b *bench) prepare(ctx context.Context, c *live.Cluster, s *scenario) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.WaitHealthy(ctx); err != nil {
		return err
	}
	change := s.timing.document()
	for k, v := range s.dynamic {
		change[k] = v
	}
	return c.PatchConfig(ctx, change)
}

// run hurts a healthy cluster once and measures.
func (b *bench) run(ctx context.Context, c *live.Cluster, s *scenario) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.WaitHealthy(ctx); err != nil {
		return Sample{}, err
	}
	wait(ctx, settle+rand.N(time.Duration(s.timing.loopWait)*time.Second))
	leader, err := c.Leader(ctx)
	if err != nil {
		return Sample{}, err
	}
	other := c.Members()[0]
	if other == leader {
		other = c.Members()[1]
	}
	postmaster := leader.PostmasterPID()
	w, err := live.StartWriter(ctx, c, writePeriod)
	if err != nil {
		return Sample{}, err
	}
	defer w.Stop()
	wait(ctx, warmUp)
	sample := Sample{At: time.Now(), From: leader.Name}
	after, err := b.hit(ctx, c, s, leader, other, postmaster)
	if err == nil {
		err = w.Resumed(ctx, time.Now())
	}
	w.Stop()
	gap := w.Gap(sample.At)
	if s.heal != nil {
		err = errors.Join(err, s.heal(leader)) // also after a failure, or all that follow fail too
	}
	if err != nil {
		return Sample{}, err
	}
	sample.To, sample.Milliseconds, sample.Acknowledged = after.Name, milliseconds(gap), len(w.Acks())
	sample.Lost, err = w.Missing(ctx)
	return sample, err
}

// hit does what the scenario does, and waits for who leads then.
func (b *bench) hit(ctx context.Context, c *live.Cluster, s *scenario, leader, other *live.Member, postmaster int) (*live.Member, error) {
	if err := s.hurt(ctx, c, leader, other); err != nil {
		return nil, err
	}
	if s.done != nil {
		if err := s.done(ctx, leader, postmaster); err != nil {
			return nil, err
		}
	}
	after, err := c.WaitLeader(ctx, func(name string) bool { return s.stays || name != leader.Name })
	if err != nil {
		return nil, err
	}
	if s.stays && after != leader {
		return nil, fmt.Errorf("%s leads, where %s was to go on", after.Name, leader.Name)
	}
	if strings.HasPrefix(s.name, "switchover") && after != other {
		return nil, fmt.Errorf("%s leads, where %s was named", after.Name, other.Name)
	}
	return after, nil
}
