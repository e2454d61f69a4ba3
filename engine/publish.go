package engine

import (
	"slices"

	"github.com/regent-ha/regent/events"
)

// Status builds the picture that is published after a step. It shares nothing that a later step modifies.
func (e *Engine) Status() *Status {
	s := &e.s
	p := &Status{
		Member: s.member, Version: s.version, At: s.now, Wall: s.wall,
		State: s.life, Rule: s.rule, Why: s.why, Refusals: slices.Clone(s.refusals),
		View: s.view.Copy(), DCSReachable: s.dcsUp, DCSLastSeen: s.dcsSeenWall,
		Settings: s.settings, SettingsDoc: s.settingsDoc, SettingsErrors: slices.Clone(s.settingsErrs),
		Postgres: s.pg, PostgresState: s.postgresState(), Role: s.role(),
		Guard: s.guard, FenceStrength: s.fenceStrength(), ScheduledRestart: s.scheduled,
		Recent: slices.Clone(s.recent), Dropped: s.dropped,
	}
	if e.held != nil && e.held.ID == s.rule {
		p.Why = fill(e.held.Why, s) // with the facts of now
	}
	p.View.Problems = slices.Clone(s.view.Problems)
	p.View.Leader = s.leader()
	if s.lease.held {
		p.LeaseUntil, p.Epoch = s.fenceAt(), s.lease.epoch
	}
	for i := range s.flight {
		p.InFlight = append(p.InFlight, s.flight[i].effect)
	}
	return p
}

// fenceStrength names the layers that would stop this PostgreSQL now, should the agent fail.
func (s *state) fenceStrength() string {
	switch {
	case !s.mayWriteSoon():
		return "none needed"
	case s.guard.Alive && s.guard.Deadline > s.now:
		return "guard"
	}
	return "engine only"
}

// State tells where in the lifecycle the member is.
func (e *Engine) State() events.LifecycleState { return e.s.life }
