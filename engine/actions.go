package engine

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// issue numbers an effect, puts it into the decision and remembers it until its outcome.
func (e *Engine) issue(a events.Action, timeout time.Duration) uint64 {
	s := &e.s
	s.nextEffect++
	effect := events.Effect{ID: s.nextEffect, Revision: s.view.Revision, Deadline: s.now.Add(timeout), Action: a}
	if s.lease.held {
		effect.Epoch = s.lease.epoch
	}
	e.out.Effects = append(e.out.Effects, effect)
	switch a.ActionKind() {
	case events.ActCancel, events.ActAnswerOperator, events.ActExit:
		return effect.ID // nothing comes back
	}
	s.flight = append(s.flight, inFlight{effect: effect, sent: s.now, awaited: effect.Deadline.Add(lateness)})
	return effect.ID
}

// The things that rows do.
var (
	acquireFree = act{"acquire_lease if the key is absent", func(e *Engine) {
		e.issue(events.AcquireLease{TTL: e.s.ttl()}, e.s.renewTimeout())
	}}
	claimLease = act{"acquire_lease from the revision that names this member", func(e *Engine) {
		e.issue(events.AcquireLease{Expect: e.s.view.LeaderRevision, TTL: e.s.ttl()}, e.s.renewTimeout())
	}}
	releaseLease = act{"release_lease", func(e *Engine) {
		e.issue(events.ReleaseLease{}, e.s.dcsTimeout())
		e.s.giveUp()
	}}
	handOver = act{"hand_over_lease to the best successor", func(e *Engine) {
		s := &e.s
		e.issue(events.HandOverLease{To: s.bestSuccessor(), TTL: s.handOverTTL()}, s.dcsTimeout())
		s.giveUp()
	}}
	askPeers     = act{"ask_peers", func(e *Engine) { e.askPeers(nobody) }}
	askSuccessor = act{"ask_peers, of all only the one that was named", func(e *Engine) { e.askPeers(e.s.namedSuccessor()) }}

	claimInit = act{"put_key initialize, empty, if absent", func(e *Engine) {
		e.s.claim = claimAsked
		e.issue(events.PutKey{Key: events.KeyInitialize}, e.s.dcsTimeout())
	}}
	clearOrphan = act{"delete_key initialize at the revision seen", func(e *Engine) {
		e.s.initSeen = 0
		e.issue(events.DeleteKey{Key: events.KeyInitialize, Expect: int64(e.s.view.InitializeRevision)}, e.s.dcsTimeout())
	}}
	abandonInit = act{"delete_key initialize at the revision of the claim", func(e *Engine) {
		if e.s.claim == claimWon {
			e.issue(events.DeleteKey{Key: events.KeyInitialize, Expect: int64(e.s.claimed)}, e.s.dcsTimeout())
		} // else it is unknown whether the key is there; if so it is an orphan, and cleared after a ttl
		e.s.claim = claimNone
	}}
	bootstrap = act{"bootstrap", func(e *Engine) { e.issue(events.Bootstrap{}, bootstrapTimeout) }}
	clone     = act{"clone from the source", func(e *Engine) {
		e.issue(events.Clone{From: upstreamOf(e.s.cloneSource())}, cloneTimeout)
	}}
	cloneAnew = act{"clone, discarding what is there", func(e *Engine) {
		e.issue(events.Clone{From: upstreamOf(e.s.cloneSource()), Discard: true}, cloneTimeout)
		e.s.orderDone(200, "reinitialize started")
	}}

	startReplica = act{"start_postgres as a replica", func(e *Engine) {
		e.issue(events.StartPostgres{From: e.s.wantedUpstream()}, startTimeout)
	}}
	startPrimary = act{"start_postgres as a primary", func(e *Engine) {
		e.issue(events.StartPostgres{AsPrimary: true}, startTimeout)
	}}
	promote = act{"promote", func(e *Engine) { e.issue(events.Promote{}, promoteTimeout) }}
	follow  = act{"follow the upstream", func(e *Engine) {
		e.issue(events.Follow{From: e.s.wantedUpstream()}, followTimeout)
	}}
	compare = act{"check_divergence", func(e *Engine) {
		s := &e.s
		s.streamed = s.now
		e.issue(events.CheckDivergence{Leader: upstreamOf(s.view.Member(s.leader()))}, checkTimeout)
	}}
	crashRecover = act{"crash_recover", func(e *Engine) { e.issue(events.CrashRecover{}, recoverTimeout) }}
	rewind       = act{"rewind", func(e *Engine) {
		e.issue(events.Rewind{From: upstreamOf(e.s.view.Member(e.s.leader()))}, rewindTimeout)
	}}
	stopServer = act{"stop_postgres", func(e *Engine) { e.stopServer() }}
	killServer = act{"stop_postgres kill", func(e *Engine) {
		e.s.demotion.tries++
		e.issue(events.StopPostgres{Mode: events.StopKill}, 30*time.Second)
	}}
	restartServer = act{"restart_postgres", func(e *Engine) {
		s := &e.s
		timeout := startTimeout
		if s.order != nil && s.order.TimeoutSeconds > 0 {
			timeout = time.Duration(s.order.TimeoutSeconds) * time.Second
		}
		e.issue(events.RestartPostgres{AsPrimary: s.lease.held, From: s.wantedUpstream()}, timeout)
	}}
	cancelOther = act{"cancel the effect that is in the way", func(e *Engine) {
		f := e.s.lifecycleEffect()
		f.cancelled = true
		id := f.effect.ID
		e.issue(events.Cancel{Effect: id}, 0)
	}}

	prepareSwitch = act{"checkpoint and ask_peers", func(e *Engine) {
		e.issue(events.Checkpoint{}, checkpointTimeout)
		e.askPeers(nobody)
	}}
	clearFailover = act{"put_key failover, empty", func(e *Engine) { e.clearFailover() }}

	disarm = act{"disarm_guard", func(e *Engine) { e.issue(events.DisarmGuard{}, guardTimeout) }}

	noteCrash     = demote("PostgreSQL crashed", events.StopKill, true)
	noteCrashed   = act{"", func(e *Engine) { e.s.opened = e.s.now; e.s.failures = 0; e.s.restUntil = 0 }}
	leave         = act{"exit", func(e *Engine) { e.issue(events.Exit{Code: e.s.exitCode, Why: e.s.why}, time.Minute) }}
	takeDuplicate = act{"exit with code 1", func(e *Engine) {
		e.s.exitCode = 1
		e.issue(events.Exit{Code: 1, Why: "there is already a member of this name: " + e.s.self()}, time.Minute)
	}}
)

// demote builds the action that notes why and how PostgreSQL is to be stopped, and whether the
// lease is to be handed over afterwards.
func demote(cause string, mode events.StopMode, handOver bool) act {
	return act{"note the cause: " + cause, func(e *Engine) {
		e.s.demotion = demotion{cause: cause, mode: mode, handOver: handOver, asked: e.s.now}
	}}
}

// openAgain withdraws the request for a switchover that has failed: tried again at once it would fail again, each time at the
// cost of a stop, because the replicas have not connected yet.
var openAgain = act{"put_key failover, empty, if a switchover has failed", func(e *Engine) {
	noteCrashed.do(e)
	if e.s.demotion.cause == causeSwitchover && e.s.view.Failover.Pending() {
		e.clearFailover()
	}
}}

var demoteForSwitch = act{"note the successor", func(e *Engine) {
	s := &e.s
	s.comesBack = true
	s.demotion = demotion{cause: causeSwitchover, mode: events.StopFast, handOver: true, successor: s.view.Failover.Candidate, asked: s.now}
}}

var demoteForReinit = act{"note the order", func(e *Engine) {
	e.s.demotion = demotion{cause: "an operator asked for a fresh copy", mode: events.StopImmediate, clone: true, asked: e.s.now}
}}

// stopServer stops in the mode of the demotion. While the lease lasts, an orderly stop may take until
// the guard's deadline; without one there is no time for it.
func (e *Engine) stopServer() {
	s := &e.s
	s.demotion.tries++
	stop := events.StopPostgres{Mode: s.demotion.mode}
	timeout := stopNowTimeout
	if stop.Mode == "" {
		stop.Mode = events.StopImmediate
	}
	if stop.Mode == events.StopFast {
		stop.EscalateAfter = 5 * time.Minute
		timeout = 6 * time.Minute
		if s.demotion.cause == causeDCSLost {
			stop.EscalateAfter = max(s.fenceAt().Sub(s.now)/2, 50*time.Millisecond)
			timeout = max(s.fenceAt().Sub(s.now), 100*time.Millisecond)
		}
	}
	e.issue(stop, timeout)
}

const nobody = ""

// askPeers asks every other member that has a REST address, or the one that is named if it has one.
func (e *Engine) askPeers(named string) {
	if m := e.s.view.Member(named); m == nil || m.APIURL == "" || named == e.s.self() {
		named = nobody
	}
	e.askOnly(named)
}

// askOnly asks one member, or every other if it is nobody.
func (e *Engine) askOnly(named string) {
	s := &e.s
	s.ask = ask{at: s.now, until: s.now.Add(peerTimeout)}
	for i := range s.view.Members {
		if m := &s.view.Members[i]; m.Name != s.self() && m.APIURL != "" && (named == nobody || m.Name == named) {
			s.ask.peers = append(s.ask.peers, events.Peer{Name: m.Name, APIURL: m.APIURL})
		}
	}
	if s.life == Following && named == nobody { // a candidate
		s.askRecalled()
	}
	s.ask.answers = make([]events.PeerStatus, len(s.ask.peers))
	if len(s.ask.peers) == 0 {
		s.nextEffect++
		s.ask.effect, s.ask.until = s.nextEffect, s.now
		return
	}
	s.ask.effect = e.issue(events.AskPeers{Peers: s.ask.peers, Timeout: peerTimeout}, peerTimeout)
}

// clearedNow tells that the present request was to be cleared a moment ago. Whether it was is not always known: after a
// loop_wait it is tried again.
func (s *state) clearedNow() bool {
	return s.view.Failover.Revision == s.published.cleared && s.now < s.published.clearedAt.Add(s.settings.LoopWait)
}

// clearFailover empties the request at the revision seen; a newer one stays.
func (e *Engine) clearFailover() {
	e.s.published.cleared, e.s.published.clearedAt = e.s.view.Failover.Revision, e.s.now
	e.issue(events.PutKey{Key: events.KeyFailover, Value: "{}", Expect: int64(e.s.view.Failover.Revision)}, e.s.dcsTimeout())
}

const (
	causeDCSLost    = "the DCS does not answer and the lease is ending"
	causeSwitchover = "switchover"
)
