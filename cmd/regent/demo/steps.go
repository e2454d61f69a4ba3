package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

// script is the tour. Its order matters: each step begins with a healthy cluster and leaves one.
var script = []step{
	{"bootstrap", Bounds{Took: bootstrapBound}, bootstrap},
	{"switchover", Bounds{stepBound, gapBound, true}, switchOver},
	{"PostgreSQL crash, restart in place", Bounds{stepBound, gapBound, true}, crashInPlace},
	{"PostgreSQL crash, failover", Bounds{stepBound, gapBound, false}, crashFailover},
	{"member crash and return", Bounds{stepBound, gapBound, false}, memberCrash},
	{"frozen agent, thaw and rejoin", Bounds{stepBound, gapBound, false}, frozenAgent},
	{"agent killed and back in time", Bounds{stepBound, untouchedBound, true}, agentRestart},
	{"replay of all event logs", Bounds{Took: stepBound}, replay},
}

func bootstrap(ctx context.Context, t *tour, m *Measured) error {
	m.Did = "started three members with empty directories"
	if err := t.cluster.WaitHealthy(ctx); err != nil {
		return err
	}
	leader, err := t.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	m.Did += fmt.Sprintf(": %s leads, the others stream from it", leader.Name)
	if t.writer, err = live.StartWriter(ctx, t.cluster, scriptWriteTick); err != nil {
		return err
	}
	t.probes, err = live.StartProbes(ctx, t.cluster)
	return err
}

func switchOver(ctx context.Context, t *tour, m *Measured) error {
	before, after, err := t.hurt(ctx, m, func(ctx context.Context, _ *live.Member) error {
		m.Did = "ordered a switchover"
		_, err := t.cluster.Switchover(ctx, "")
		return err
	}, another)
	if err != nil {
		return err
	}
	m.Did += fmt.Sprintf(": %s -> %s", before.Name, after.Name)
	return t.cluster.WaitHealthy(ctx)
}

// killPostgres kills the leader's postmaster and remembers which.
func killPostgres(m *Measured, pid *int) func(context.Context, *live.Member) error {
	return func(_ context.Context, leader *live.Member) error {
		*pid = leader.PostmasterPID()
		m.Did = fmt.Sprintf("killed PostgreSQL of the leader %s", leader.Name)
		return leader.KillPostgres()
	}
}

func crashInPlace(ctx context.Context, t *tour, m *Measured) error {
	var pid int
	before, after, err := t.hurt(ctx, m, killPostgres(m, &pid), func(_, now *live.Member) bool {
		p := now.PostmasterPID()
		return p != 0 && p != pid
	})
	if err != nil {
		return err
	}
	m.Did += ": it was started again in place"
	if before != after {
		m.Wrong = append(m.Wrong, fmt.Sprintf("%s leads now; the leader should have been %s all the time", after.Name, before.Name))
	}
	return t.cluster.WaitHealthy(ctx)
}

func crashFailover(ctx context.Context, t *tour, m *Measured) error {
	if err := t.cluster.PatchConfig(ctx, map[string]any{"primary_start_timeout": 0}); err != nil {
		return err
	}
	var pid int
	before, after, err := t.hurt(ctx, m, killPostgres(m, &pid), another)
	if err != nil {
		return err
	}
	m.Did += fmt.Sprintf(", with primary_start_timeout 0: failover to %s, %s rejoined", after.Name, before.Name)
	if err := t.cluster.WaitHealthy(ctx); err != nil {
		return err
	}
	return t.cluster.PatchConfig(ctx, map[string]any{"primary_start_timeout": nil})
}

func memberCrash(ctx context.Context, t *tour, m *Measured) error {
	before, after, err := t.hurt(ctx, m, func(ctx context.Context, leader *live.Member) error {
		m.Did = fmt.Sprintf("killed all of the leader %s: agent, guard, store, PostgreSQL", leader.Name)
		return leader.KillAll(ctx)
	}, another)
	if err != nil {
		return err
	}
	m.Did += fmt.Sprintf(": failover to %s", after.Name)
	if err := before.StartAgent(); err != nil {
		return err
	}
	m.Did += fmt.Sprintf("; started %s again, it rejoined", before.Name)
	return t.cluster.WaitHealthy(ctx)
}

func frozenAgent(ctx context.Context, t *tour, m *Measured) error {
	var pid int
	before, after, err := t.hurt(ctx, m, func(ctx context.Context, leader *live.Member) error {
		pid = leader.PostmasterPID()
		m.Did = fmt.Sprintf("froze the agent of the leader %s (SIGSTOP)", leader.Name)
		return leader.FreezeAgent(ctx)
	}, another)
	if err != nil {
		return err
	}
	m.Did += fmt.Sprintf(": its guard ended its PostgreSQL, %s took over, no two servers accepted writes (resolution %s)",
		after.Name, t.probes.Resolution().Round(time.Millisecond))
	if now := before.PostmasterPID(); now == pid {
		m.Wrong = append(m.Wrong, fmt.Sprintf("PostgreSQL of %s still runs (process %d) although another member leads", before.Name, pid))
	}
	if err := before.ThawAgent(ctx); err != nil {
		return err
	}
	m.Did += "; thawed it, it rejoined"
	return t.cluster.WaitHealthy(ctx)
}

// agentRestart kills the agent alone. That it is back in time is the point, so nothing is waited for in between.
func agentRestart(ctx context.Context, t *tour, m *Measured) error {
	leader, err := t.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	pid, hit := leader.PostmasterPID(), time.Now()
	m.Did = fmt.Sprintf("killed the agent of the leader %s and started it again", leader.Name)
	if err := leader.KillAgent(ctx); err != nil {
		return err
	}
	if err := leader.StartAgent(); err != nil {
		return err
	}
	after, err := t.cluster.WaitLeader(ctx, nil)
	if err != nil {
		return err
	}
	took := time.Since(hit)
	if err := t.writer.Resumed(ctx, time.Now()); err != nil {
		return err
	}
	m.Gap = t.writer.Gap(hit)
	if after != leader {
		m.Wrong = append(m.Wrong, fmt.Sprintf("%s leads now; %s should have kept the lease", after.Name, leader.Name))
	}
	if now := leader.PostmasterPID(); now != pid {
		m.Wrong = append(m.Wrong, fmt.Sprintf("PostgreSQL of %s was process %d and is %d now: it should not have been touched", leader.Name, pid, now))
	}
	m.Did += fmt.Sprintf(": it leads again after %s", seconds(took))
	if len(m.Wrong) == 0 {
		m.Did += ", and its PostgreSQL was not touched"
	}
	return t.cluster.WaitHealthy(ctx)
}

func replay(ctx context.Context, t *tour, m *Measured) error {
	m.Did = "decided again everything that the agents had recorded"
	if err := t.cluster.ReplayLogs(ctx); err != nil {
		return err
	}
	m.Did += ": all decisions and states are equal"
	return nil
}
