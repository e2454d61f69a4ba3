package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/looplab/fsm"

	"github.com/regent-ha/regent/events"
)

// The lifecycle states of a member.
const (
	Starting      events.LifecycleState = "starting"
	Waiting       events.LifecycleState = "waiting"
	Bootstrapping events.LifecycleState = "bootstrapping"
	Cloning       events.LifecycleState = "cloning"
	Stopped       events.LifecycleState = "stopped"
	Recovering    events.LifecycleState = "recovering"
	Rewinding     events.LifecycleState = "rewinding"
	Joining       events.LifecycleState = "joining"
	Following     events.LifecycleState = "following"
	Campaigning   events.LifecycleState = "campaigning"
	Promoting     events.LifecycleState = "promoting"
	Opening       events.LifecycleState = "opening"
	Adopting      events.LifecycleState = "adopting"
	Leading       events.LifecycleState = "leading"
	Switching     events.LifecycleState = "switching"
	Demoting      events.LifecycleState = "demoting"
	Yielding      events.LifecycleState = "yielding"
	Restarting    events.LifecycleState = "restarting"
	Fenced        events.LifecycleState = "fenced"
	Paused        events.LifecycleState = "paused"
	Stranded      events.LifecycleState = "stranded"
	Stopping      events.LifecycleState = "stopping"
	Exited        events.LifecycleState = "exited"
)

// stateRow declares one lifecycle state: what it is, whom it waits for and until when, and which
// states may step to it. Verb is the name of that step.
type stateRow struct {
	State events.LifecycleState
	Verb  string
	From  []events.LifecycleState
	Is    string
	// Owner is what the state waits for; Until bounds the wait. Operator marks the states that only a
	// person's act may end.
	Owner    string
	Until    string
	Operator bool
}

// states is the one table of legal steps. The first row is the initial state.
var states = []stateRow{
	{Starting, "assess", from(Waiting, Stopped, Adopting, Paused, Stranded), "the facts that place this member are being gathered", "the DCS and the first look at PostgreSQL", "retry_timeout, then again", false},
	{Waiting, "await", from(Starting, Bootstrapping, Cloning, Stopped), "the data directory is empty", "a leader to clone from, or the right to bootstrap", "loop_wait, then again", false},
	{Bootstrapping, "bootstrap", from(Waiting), "this member creates the cluster", "initdb", "the effect's deadline", false},
	{Cloning, "clone", from(Waiting, Stopped, Demoting, Stranded), "a base backup is being taken", "pg_basebackup", "the effect's deadline", false},
	{Stopped, "stop", from(Starting, Bootstrapping, Recovering, Rewinding, Joining, Following, Demoting, Yielding, Fenced, Restarting), "PostgreSQL is down and its next role is being found", "the DCS, or the comparison with the leader", "loop_wait, then again", false},
	{Recovering, "recover", from(Stopped), "PostgreSQL's own crash recovery runs, so that the data can be rewound", "postgres --single", "the effect's deadline", false},
	{Rewinding, "rewind", from(Stopped), "WAL that the leader does not have is being undone", "pg_rewind", "the effect's deadline", false},
	{Joining, "join", from(Starting, Stopped, Cloning), "PostgreSQL starts as a replica", "the server", "the effect's deadline", false},
	{Following, "follow", from(Starting, Joining, Campaigning, Promoting, Restarting), "a replica", "the leader, or the end of its lease", "loop_wait, then again", false},
	{Campaigning, "campaign", from(Following, Paused), "the lease is free, or was handed over: peers are asked and the lease is taken", "peers and the DCS", "the peer timeout", false},
	{Promoting, "promote", from(Campaigning), "the lease is held and recovery is being ended", "PostgreSQL", "the effect's deadline, and the lease", false},
	{Opening, "open", from(Stopped, Bootstrapping, Leading, Yielding), "the lease is held and PostgreSQL starts as a primary", "the server", "primary_start_timeout, and the lease", false},
	{Adopting, "adopt", from(Starting), "PostgreSQL already runs as a primary and the lease is being secured", "the DCS", "the guard's deadline, or 2 s", false},
	{Leading, "lead", from(Promoting, Opening, Adopting, Switching, Restarting, Paused), "the primary, with the lease", "nothing: renewals go on", "loop_wait, then again", false},
	{Switching, "switch", from(Leading, Paused), "a switchover is being prepared while writes go on", "the candidate and a checkpoint", "10 s", false},
	{Demoting, "demote", from(Adopting, Promoting, Opening, Leading, Switching, Joining, Following, Restarting), "PostgreSQL is being stopped", "the server's exit", "the stop's deadline, then SIGKILL", false},
	{Yielding, "yield", from(Demoting, Leading), "PostgreSQL is down and the lease goes to a successor", "peers and the DCS", "the lease", false},
	{Restarting, "restart", from(Following, Leading), "PostgreSQL restarts because an operator asked", "the server", "the effect's deadline", false},
	{Fenced, "fence", from(Adopting, Promoting, Opening, Leading, Switching, Demoting, Restarting, Following, Joining), "the guard killed PostgreSQL, or an invariant broke", "proof that no process of it is left", "the stop's deadline, again and again", false},
	{Paused, "pause", from(Starting, Waiting, Stopped, Following, Leading), "maintenance mode: PostgreSQL is left alone", "an operator's resume", "never", true},
	{Stranded, "strand", from(Starting, Stopped, Following), "this data directory cannot join without a person", "an operator: see the reason", "never", true},
	{Stopping, "shut_down", from(Starting, Waiting, Bootstrapping, Cloning, Stopped, Recovering, Rewinding, Joining, Following, Campaigning, Promoting, Paused, Stranded, Yielding), "the agent was asked to stop", "PostgreSQL's exit", "the stop's deadline", false},
	{Exited, "exit", from(Stopping, Starting), "the agent ends", "the process", "at once", true},
}

func from(s ...events.LifecycleState) []events.LifecycleState { return s }

// lifecycle is the machine that owns the legal steps. It has no callbacks: deciding is the rule
// table's business, refusing an illegal step is this one's.
type lifecycle struct{ machine *fsm.FSM }

func newLifecycle() lifecycle {
	var steps fsm.Events
	for _, s := range states {
		src := make([]string, len(s.From))
		for i, f := range s.From {
			src[i] = string(f)
		}
		if len(src) > 0 {
			steps = append(steps, fsm.EventDesc{Name: s.Verb, Src: src, Dst: string(s.State)})
		}
	}
	return lifecycle{fsm.NewFSM(string(states[0].State), steps, nil)}
}

func (l lifecycle) current() events.LifecycleState { return events.LifecycleState(l.machine.Current()) }

// to makes the step to a state. An illegal step is a broken invariant, never an ordinary error.
func (l lifecycle) to(s events.LifecycleState) error {
	row := stateOf(s)
	if row == nil {
		return fmt.Errorf("no such state %q", s)
	}
	err := l.machine.Event(context.Background(), row.Verb)
	if err != nil && !errors.As(err, &fsm.NoTransitionError{}) {
		return fmt.Errorf("step from %s to %s: %w", l.current(), s, err)
	}
	return nil
}

func stateOf(s events.LifecycleState) *stateRow {
	for i := range states {
		if states[i].State == s {
			return &states[i]
		}
	}
	return nil
}
