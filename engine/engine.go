package engine

import (
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
)

// Engine decides for one member. It is not safe for concurrent use: its owner is the runner's loop.
type Engine struct {
	s    state
	life lifecycle
	rows []candidate     // of the present state
	out  events.Decision // being built by the present step
	hash bool
	held *row // the row that holds the present state
}

// Options of an engine.
type Options struct {
	// HashStates puts a hash of the folded state into every decision that changes something, and into some of the others,
	// for the event log and its replay.
	HashStates bool
}

// New builds an engine in its initial state. Its first input must be events.Started.
func New(o Options) *Engine {
	e := &Engine{life: newLifecycle(), hash: o.HashStates}
	e.s.life = e.life.current()
	e.rows = rowsOf[e.s.life]
	e.s.settings = events.DefaultSettings()
	return e
}

// hashEvery is the number of inputs of which at least one is followed by a hash of the state, though it changed nothing: a
// hash costs more than all else in such a step.
const hashEvery = 16

// settleMax bounds how many rows one input may fire: more would be a cycle in the table.
const settleMax = 12

// Step folds one input into the state and returns what follows. It is the only thing that moves the state.
//
// The memory that the input's fact refers to belongs to the engine from then on, and it may be the decision's and the
// status's too: it must not be modified. Two things are not kept: the list of keys of a snapshot, and a PostgresObserved that
// a pointer refers to, though what that refers to is.
// The decision is the caller's.
func (e *Engine) Step(in events.Input) events.Decision {
	s := &e.s
	e.out = events.Decision{Input: in.Seq, From: s.life}
	s.fold(in)
	e.takeOrders()
	rule, why := s.rule, s.why
	e.settle()
	e.duties()
	e.answer()
	e.checkInvariants()
	if s.rule != rule || s.life != e.out.From || s.why != why {
		e.out.Why = s.why
		e.remember()
	}
	e.out.To, e.out.Rule = s.life, s.rule
	e.out.WakeAt = e.wakeAt()
	if e.hash && (e.out.Changed() || in.Seq%hashEvery == 0) {
		e.out.StateHash = s.hash()
	}
	return e.out
}

// settle takes rows until one holds.
func (e *Engine) settle() {
	for range settleMax {
		r := e.match()
		if r.To == "" && r.Then.do == nil {
			e.hold(r)
			return
		}
		e.take(r)
	}
	e.fence(fmt.Sprintf("rules do not settle: %s fires again and again in %s", e.s.rule, e.s.life))
}

// match finds the row that the present state takes. Every state ends in a row without conditions.
func (e *Engine) match() *row {
	failed := -1
	for i := range e.rows {
		c := &e.rows[i]
		if failed >= 0 && failed < c.shared {
			continue // for the same reason as the row before
		}
		if failed = fails(c.when, &e.s); failed < 0 {
			return c.row
		}
	}
	panic("no row for state " + string(e.s.life)) // the table's tests exclude it
}

// hold notes which row holds the member, and why; the reason is only written anew when the row changes.
func (e *Engine) hold(r *row) {
	s := &e.s
	e.held = r
	if s.rule == r.ID {
		return
	}
	s.rule, s.why = r.ID, fill(r.Why, s)
	s.refusals = nil
	if r.Refusal {
		s.refusals = []events.Refusal{{Rule: r.ID, Candidate: s.self(), Why: s.why}}
		e.out.Refusals = append(e.out.Refusals, s.refusals...)
	}
}

// take does what a row says and steps to its state.
func (e *Engine) take(r *row) {
	s := &e.s
	s.rule, s.why = r.ID, fill(r.Why, s)
	e.out.Fired = append(e.out.Fired, events.Fired{Rule: r.ID, Why: s.why})
	if r.Refusal {
		s.refusals = append(s.refusalsOf(r.ID), events.Refusal{Rule: r.ID, Candidate: s.self(), Why: s.why})
		e.out.Refusals = append(e.out.Refusals, s.refusals...)
	}
	if r.Then.do != nil {
		r.Then.do(e)
	}
	if r.To != "" {
		e.enter(r.To)
	}
}

// enter steps to a state. What was asked and noted for the old one is forgotten.
func (e *Engine) enter(to events.LifecycleState) {
	s := &e.s
	if err := e.life.to(to); err != nil {
		e.broken(err.Error())
		return
	}
	old := s.life
	s.life, s.lifeSince = to, s.now
	e.rows = rowsOf[to]
	switch to {
	case Following, Leading, Stranded, Fenced, Cloning, Waiting:
		s.comesBack = false
	}
	s.retaking = s.retaking && to == Adopting
	if to != Campaigning && to != Switching && !(old == Campaigning && to == Following) {
		s.ask = ask{}
	}
	switch to {
	case Stranded:
		s.stranded.key, s.stranded.why = s.strandKey(), s.why
	case Leading:
		s.crashed, s.opened, s.upstream = false, 0, events.Upstream{}
		s.demotion, s.claim, s.failures = demotion{}, claimNone, 0
		s.diverged = divergence{}
	case Following:
		s.demotion = demotion{}
	case Promoting, Bootstrapping:
		s.failures, s.restUntil = 0, 0 // what failed before says nothing about this
	}
}

// fence is the answer to a broken invariant: this member stops being able to accept writes.
func (e *Engine) fence(text string) {
	e.broken(text)
	if row := stateOf(Fenced); row != nil && e.s.life != Fenced {
		for _, f := range row.From {
			if f == e.s.life {
				e.enter(Fenced)
				e.s.rule, e.s.why = "IN-01", "an invariant broke: "+text
				return
			}
		}
	}
}

func (e *Engine) broken(text string) {
	e.out.Broken = append(e.out.Broken, text)
	e.s.brokenText = text
}

// remember keeps the decision for people.
const recentMax = 64

func (e *Engine) remember() {
	s := &e.s
	if len(s.recent) == recentMax { // Status has a copy of its own
		copy(s.recent, s.recent[1:])
		s.recent = s.recent[:recentMax-1]
	}
	s.recent = append(s.recent, Decided{Seq: s.seq, Wall: s.wall, From: e.out.From, To: s.life, Rule: s.rule, Why: s.why})
}

// wakeAt is the earliest instant at which something may have to be done without any other input.
func (e *Engine) wakeAt() events.Instant {
	s := &e.s
	wake := s.now.Add(s.settings.LoopWait)
	sooner := func(at events.Instant) {
		if at > s.now && at < wake {
			wake = at
		}
	}
	for i := range s.flight {
		sooner(s.flight[i].awaited)
	}
	if s.life == Campaigning && s.lease.held {
		sooner(s.lease.sent.Add(watchMoment))
		sooner(s.readAt.Add(watchMoment))
	}
	s.vitalWakes(sooner)
	if s.lease.held {
		sooner(s.nextRenewal())
		sooner(s.demoteAt())
		sooner(s.lease.until)
	}
	if s.opened != 0 {
		sooner(s.opened.Add(s.openPatience()))
	}
	if s.life == Adopting {
		sooner(s.adoptBy())
	}
	if s.guardGone != 0 {
		sooner(s.guardGone.Add(guardPatience))
	}
	if s.armFailed != 0 {
		sooner(s.armFailed.Add(guardPatience))
	}
	sooner(s.armRetry)
	if s.initSeen != 0 {
		sooner(s.initSeen.Add(s.ttl()))
	}
	sooner(s.metAt.Add(s.recordsPatience()))
	if s.doubtsView() {
		sooner(s.readAt.Add(readPause))
	}
	if s.initAbsentSince != 0 {
		sooner(s.initAbsentSince.Add(s.ttl()))
	}
	if at := s.switchAt(); at != 0 {
		sooner(s.now.Add(time.Duration(at - s.wall)))
	}
	if s.scheduled != nil {
		sooner(s.now.Add(time.Duration(s.scheduledAt - s.wall)))
	}
	sooner(s.restUntil)
	sooner(s.campaign)
	sooner(s.ask.until)
	sooner(s.ask.at.Add(askEvery))
	sooner(s.lastLeadChange.Add(promotePatience))
	sooner(s.lastLeadChange.Add(successorPatience))
	sooner(s.streamed.Add(streamPatience))
	sooner(s.lifeSince.Add(catchUpPatience))
	sooner(s.lifeSince.Add(switchTimeout))
	sooner(s.lastLeadChange.Add(s.settings.LoopWait))
	sooner(s.published.memberAt.Add(memberEvery))
	sooner(s.published.memberAt.Add(memberPause))
	if s.leaseMoves() {
		sooner(s.lifeSince.Add(memberRest))
	}
	sooner(s.replicationSince.Add(memberRest))
	sooner(s.published.clearedAt.Add(s.settings.LoopWait))
	sooner(s.viewAt.Add(s.settings.LoopWait))
	sooner(s.readAt.Add(readPause))
	if len(s.orders) > 0 {
		sooner(s.now.Add(time.Millisecond))
	}
	sooner(s.published.statusAt.Add(statusEvery))
	return wake
}

// WakeAt is when the last step wanted a TimerFired, zero before the first step.
func (e *Engine) WakeAt() events.Instant { return e.out.WakeAt }
