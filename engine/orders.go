package engine

import (
	"fmt"
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
)

// takeOrders looks at what operators asked for: what cannot be done is refused at once, what can is
// carried out by the lifecycle's rows, one order at a time.
func (e *Engine) takeOrders() {
	s := &e.s
	if s.scheduled != nil && s.wall >= s.scheduledAt && s.life != Paused {
		s.scheduled = nil
		s.orders = append(s.orders, s.scheduledOrder)
	}
	if len(s.orders) == 0 {
		return
	}
	r := s.orders[0]
	code, body := e.judgeOrder(r)
	if code == 0 && s.order != nil {
		code, body = 503, string(s.order.Verb)+" already in progress"
	}
	s.orders = s.orders[1:]
	if code != 0 {
		s.answers = append(s.answers, events.AnswerOperator{Request: r.ID, Code: code, Body: body})
		return
	}
	s.order = &r
}

// judgeOrder answers an order that is not to be carried out by the lifecycle. Zero: it is.
func (e *Engine) judgeOrder(r events.OperatorRequest) (code int, body string) {
	s := &e.s
	switch r.Verb {
	case events.AskReload:
		if r.Member != nil {
			s.member = *r.Member
		}
		e.issue(events.ApplyConfig{Document: s.settingsDoc, Local: true}, configTimeout)
		return 202, "reload scheduled"
	case events.AskUnscheduleRestart:
		if s.scheduled == nil {
			return 404, "no restarts are scheduled"
		}
		s.scheduled = nil
		return 200, "scheduled restart deleted"
	case events.AskRestart:
		return e.judgeRestart(r)
	case events.AskReinitialize:
		return e.judgeReinit(r)
	}
	return 400, "unknown order " + string(r.Verb)
}

func (e *Engine) judgeRestart(r events.OperatorRequest) (code int, body string) {
	s := &e.s
	if r.ScheduledUnix > s.wall {
		if s.scheduled != nil {
			return 409, "Another restart is already scheduled"
		}
		s.scheduled = &events.ScheduledRestart{
			Schedule: r.ScheduledAt, PostmasterStartTime: s.pg.Server.StartedAt, Role: r.Role,
			RestartPending: r.RestartPending, Timeout: r.TimeoutSeconds,
		}
		if v := r.PostgresVersion; v != 0 {
			s.scheduled.PostgresVersion = fmt.Sprintf("%d.%d", v/10000, v%10000)
		}
		s.scheduledAt = r.ScheduledUnix
		s.scheduledOrder = r
		s.scheduledOrder.ID, s.scheduledOrder.ScheduledUnix = "", 0
		return 202, "Restart scheduled"
	}
	switch {
	case r.Role != "" && r.Role != s.role(),
		r.PostgresVersion != 0 && s.pg.Server.Version >= r.PostgresVersion,
		r.RestartPending && len(s.pg.Server.PendingRestart) == 0:
		return 503, "restart conditions are not satisfied"
	case s.life == Paused && !s.running():
		return 503, "PostgreSQL is not running, and the cluster is paused"
	case s.life != Following && s.life != Leading && s.life != Paused:
		return 503, string(s.life) + " already in progress"
	}
	return 0, ""
}

func (e *Engine) judgeReinit(r events.OperatorRequest) (code int, body string) {
	s := &e.s
	switch {
	case s.leader() == "":
		return 503, "Cluster has no leader, can not reinitialize"
	case s.leader() == s.self():
		return 503, "I am the leader, can not reinitialize"
	}
	switch s.life {
	case Following, Joining, Stopped, Stranded, Waiting:
		if s.life == Waiting {
			return 200, "reinitialize started" // a copy is what it waits for
		}
		return 0, ""
	case Cloning, Rewinding, Recovering:
		if r.Force {
			if f := s.lifecycleEffect(); f != nil && !f.cancelled {
				cancelOther.do(e)
			}
			return 0, ""
		}
	}
	return 503, string(s.life) + " already in progress"
}

// answer gives the answers that are due.
func (e *Engine) answer() {
	s := &e.s
	if s.order != nil && e.orderOverdue() {
		s.orderDone(503, string(s.order.Verb)+" was not possible: "+s.why)
	}
	for _, a := range s.answers {
		if a.Request != "" {
			e.issue(a, time.Minute)
		}
	}
	s.answers = s.answers[:0]
}

// orderOverdue: an order that no row has taken up is refused rather than kept for another day.
func (e *Engine) orderOverdue() bool {
	s := &e.s
	if s.sourcePending() {
		return false
	}
	switch s.life {
	case Restarting, Demoting, Cloning, Stopped, Stranded:
		return s.life == Stranded && len(e.out.Fired) == 0 && s.now >= s.lifeSince.Add(s.settings.LoopWait)
	case Following, Leading, Joining, Paused:
		return s.idleNow() && len(e.out.Fired) == 0
	}
	return true
}

// A fresh copy throws data away. It is begun only when the leader, whose data the copy will be, has just answered as a primary on the
// cluster's timeline: its lease outlives it, and its record too.
var (
	sourceAsked = predicate{"the leader was asked for the order a moment ago", func(s *state) bool {
		return s.orderAsk != 0 && s.ask.effect == s.orderAsk && s.now < s.ask.at.Add(askPatience)
	}}
	sourceProven = predicate{"the leader has just answered as a primary on the newest timeline", func(s *state) bool {
		return sourceAsked.ok(s) && s.askComplete() && s.sourceFlaw() == ""
	}}
	sourceFlawed = predicate{"the leader has not", func(s *state) bool {
		return !leaderOther.ok(s) || sourceAsked.ok(s) && s.askComplete() && s.sourceFlaw() != ""
	}}

	askSource = act{"ask_peers, of all only the leader", func(e *Engine) {
		e.askOnly(e.s.leader())
		e.s.orderAsk = e.s.ask.effect
	}}
	refuseReinit = act{"answer that it is refused", func(e *Engine) { e.s.orderDone(503, "reinitialize is refused: "+e.s.why) }}
)

// sourceFlaw says why the leader's answer does not do, empty if it does.
func (s *state) sourceFlaw() string {
	if !leaderOther.ok(s) {
		return "nobody leads"
	}
	if len(s.ask.answers) != 1 || s.ask.peers[0].Name != s.leader() {
		return s.leader() + " has no known address"
	}
	switch p := &s.ask.answers[0]; {
	case p.Name == "":
		return "no answer came"
	case !p.Reachable:
		return orUnknown(p.Error, "it cannot be reached")
	case !p.Running:
		return "its PostgreSQL does not answer"
	case !p.Primary:
		return "its PostgreSQL is no primary"
	case p.Timeline != 0 && p.Timeline < s.view.ClusterTimeline():
		return "it is on timeline " + strconv.FormatUint(uint64(p.Timeline), 10) + ", which the cluster has left"
	}
	return ""
}

// sourcePending: the order waits for the leader's answer.
func (s *state) sourcePending() bool { return sourceAsked.ok(s) && !s.askComplete() }
