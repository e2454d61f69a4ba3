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
	{State: Starting, Verb: "assess", From: from(Waiting, Stopped, Adopting, Paused, Stranded),
		Is:    "the facts that place this member are being gathered",
		Owner: "the DCS and the first look at PostgreSQL", Until: "retry_timeout, then again"},
	{State: Waiting, Verb: "await", From: from(Starting, Bootstrapping, Cloning, Stopped),
		Is:    "the data directory is empty",
		Owner: "a leader to clone from, or the right to bootstrap", Until: "loop_wait, then again"},
	{State: Bootstrapping, Verb: "bootstrap", From: from(Waiting),
		Is:    "this member creates the cluster",
		Owner: "initdb", Until: "the effect's deadline"},
	{State: Cloning, Verb: "clone", From: from(Waiting, Stopped, Demoting, Stranded),
		Is:    "a base backup is being taken",
		Owner: "pg_basebackup", Until: "the effect's deadline"},
	{State: Stopped, Verb: "stop", From: from(Starting, Bootstrapping, Recovering, Rewinding, Joining, Following, Demoting, Yielding, Fenced, Restarting),
		Is:    "PostgreSQL is down and its next role is being found",
		Owner: "the DCS, or the comparison with the leader", Until: "loop_wait, then again"},
	{State: Recovering, Verb: "recover", From: from(Stopped),
		Is:    "PostgreSQL's own crash recovery runs, so that the data can be rewound",
		Owner: "postgres --single", Until: "the effect's deadline"},
	{State: Rewinding, Verb: "rewind", From: from(Stopped),
		Is:    "WAL that the leader does not have is being undone",
		Owner: "pg_rewind", Until: "the effect's deadline"},
	{State: Joining, Verb: "join", From: from(Starting, Stopped, Cloning),
		Is:    "PostgreSQL starts as a replica",
		Owner: "the server", Until: "the effect's deadline"},
	{State: Following, Verb: "follow", From: from(Starting, Joining, Campaigning, Promoting, Restarting),
		Is:    "a replica",
		Owner: "the leader, or the end of its lease", Until: "loop_wait, then again"},
	{State: Campaigning, Verb: "campaign", From: from(Following, Paused),
		Is:    "the lease is free, or was handed over: peers are asked and the lease is taken",
		Owner: "peers and the DCS", Until: "the peer timeout"},
	{State: Promoting, Verb: "promote", From: from(Campaigning),
		Is:    "the lease is held and recovery is being ended",
		Owner: "PostgreSQL", Until: "the effect's deadline, and the lease"},
	{State: Opening, Verb: "open", From: from(Stopped, Bootstrapping, Leading, Yielding),
		Is:    "the lease is held and PostgreSQL starts as a primary",
		Owner: "the server", Until: "primary_start_timeout, and the lease"},
	{State: Adopting, Verb: "adopt", From: from(Starting, Leading),
		Is:    "PostgreSQL already runs as a primary and the lease is being secured",
		Owner: "the DCS", Until: "the guard's deadline, or 2 s"},
	{State: Leading, Verb: "lead", From: from(Promoting, Opening, Adopting, Switching, Restarting, Paused),
		Is:    "the primary, with the lease",
		Owner: "nothing: renewals go on", Until: "loop_wait, then again"},
	{State: Switching, Verb: "switch", From: from(Leading, Paused),
		Is:    "a switchover is being prepared while writes go on",
		Owner: "the candidate and a checkpoint", Until: "10 s"},
	{State: Demoting, Verb: "demote", From: from(Adopting, Promoting, Opening, Leading, Switching, Joining, Following, Restarting),
		Is:    "PostgreSQL is being stopped",
		Owner: "the server's exit", Until: "the stop's deadline, then SIGKILL"},
	{State: Yielding, Verb: "yield", From: from(Demoting, Leading),
		Is:    "PostgreSQL is down and the lease goes to a successor",
		Owner: "peers and the DCS", Until: "the lease"},
	{State: Restarting, Verb: "restart", From: from(Following, Leading, Paused),
		Is:    "PostgreSQL restarts because an operator asked",
		Owner: "the server", Until: "the effect's deadline"},
	{State: Fenced, Verb: "fence", From: from(Starting, Waiting, Stopped, Adopting, Promoting, Opening, Leading, Switching, Demoting, Restarting, Following, Joining),
		Is:    "the guard killed PostgreSQL, or an invariant broke",
		Owner: "proof that no process of it is left", Until: "the stop's deadline, again and again"},
	{State: Paused, Verb: "pause", From: from(Starting, Waiting, Stopped, Adopting, Following, Leading),
		Is:    "maintenance mode: PostgreSQL is left alone",
		Owner: "an operator's resume", Until: "never", Operator: true},
	{State: Stranded, Verb: "strand", From: from(Starting, Stopped, Following),
		Is:    "this data directory cannot join without a person",
		Owner: "an operator: see the reason", Until: "never", Operator: true},
	{State: Stopping, Verb: "shut_down", From: from(Starting, Waiting, Bootstrapping, Cloning, Stopped, Recovering, Rewinding, Joining, Following,
		Campaigning, Promoting, Paused, Stranded, Yielding),
		Is:    "the agent was asked to stop",
		Owner: "PostgreSQL's exit", Until: "the stop's deadline"},
	{State: Exited, Verb: "exit", From: from(Stopping, Starting),
		Is:    "the agent ends",
		Owner: "the process", Until: "at once", Operator: true},
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
