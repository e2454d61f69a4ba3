package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
)

// fold takes one input into the state. It decides nothing.
func (s *state) fold(in events.Input) {
	s.seq, s.wall = in.Seq, in.Wall
	if s.now != 0 && in.At.Sub(s.now) >= lookGap {
		s.wasAway(in.At.Sub(s.now))
	}
	s.now = max(s.now, in.At)
	switch f := in.Fact.(type) {
	case events.Started:
		s.foldStarted(f)
	case events.DCSSnapshot:
		s.foldSnapshot(f)
	case events.DCSChange:
		s.heard()
		s.foldChange(f)
	case events.DCSReach:
		s.foldReach(f)
	case events.LeaseOutcome:
		s.foldLease(f)
	case events.PostgresObserved:
		s.foldObservation(&f.Observation)
	case *events.PostgresObserved: // its owner will use it again
		s.foldObservation(&f.Observation)
	case events.PostgresExited:
		s.foldExit(f)
	case events.PeerAnswered:
		s.foldPeer(f)
	case events.OperatorAsked:
		s.orders = append(s.orders, f.Request)
	case events.EffectFinished:
		s.foldFinished(f)
	case events.Progress:
		if _, ok := s.flightOf(f.Effect); ok {
			s.progress = f.Text
		}
	case events.GuardTick:
		s.foldGuard(f)
	case events.StorageStalled:
		s.stalled, s.dropped = f.Stalled, max(s.dropped, f.Missing)
	case events.ShutdownAsked:
		s.shutdown = true
	case events.TimerFired:
	}
	s.expire()
}

// wasAway is for an agent that took nothing in for a while: it was stopped, or its host was suspended. What works on the data
// directory may not have seen that time pass, and is not given up for it.
func (s *state) wasAway(gap time.Duration) {
	for i := range s.flight {
		if f := &s.flight[i]; f.effect.Action.ActionKind().WorksOnData() {
			f.awaited = f.awaited.Add(gap)
		}
	}
}

// expire lets time pass: leases end, and effects whose executor broke its promise are given up.
func (s *state) expire() {
	if s.namesake && s.viewKnown && s.leader() != s.self() {
		s.namesake = false
	}
	if s.lease.held && s.now >= s.lease.until {
		s.lease.held = false
	}
	for i := 0; i < len(s.flight); i++ {
		f := s.flight[i]
		if s.now >= f.awaited {
			kind := f.effect.Action.ActionKind()
			if isLease(kind) {
				s.foldLease(events.LeaseOutcome{Effect: f.effect.ID, Op: leaseOp(kind), Outcome: events.Unknown})
			} else {
				s.foldFinished(events.EffectFinished{Effect: f.effect.ID, Action: kind, Outcome: events.Unknown, Error: "no outcome by its deadline"})
			}
			i--
		}
	}
}

func leaseOp(k events.ActionKind) events.LeaseOp {
	switch k {
	case events.ActAcquireLease:
		return events.LeaseAcquire
	case events.ActRenewLease:
		return events.LeaseRenew
	case events.ActHandOverLease:
		return events.LeaseHandOver
	}
	return events.LeaseRelease
}

func (s *state) flightOf(id uint64) (*inFlight, bool) {
	for i := range s.flight {
		if s.flight[i].effect.ID == id {
			return &s.flight[i], true
		}
	}
	return nil, false
}

func (s *state) foldStarted(f events.Started) {
	s.member, s.version = f.Member, f.Version
	s.foldSettings(f.Member.Bootstrap)
	s.dcsSince = s.now
	s.lifeSince = s.now
}

// foldSettings puts a dynamic configuration into force. What is wrong in it is reported and keeps
// its last good value.
func (s *state) foldSettings(doc json.RawMessage) {
	if len(doc) == 0 || bytes.Equal(doc, s.settingsDoc) {
		return
	}
	base := events.DefaultSettings()
	settings, errs := events.ParseSettings(doc, base)
	if len(errs) > 0 && s.settingsDoc != nil {
		settings, _ = events.ParseSettings(doc, s.settings)
	}
	settings.UsePgRewind = settings.UsePgRewind || s.member.UsePgRewind
	settings.RemoveDataDirectoryOnRewindFailure = settings.RemoveDataDirectoryOnRewindFailure || s.member.RemoveDataDirectoryOnRewindFailure
	settings.RemoveDataDirectoryOnDivergence = settings.RemoveDataDirectoryOnDivergence || s.member.RemoveDataDirectoryOnDivergence
	s.settings, s.settingsDoc = settings, doc
	s.settingsErrs = s.settingsErrs[:0:0]
	for _, err := range errs {
		s.settingsErrs = append(s.settingsErrs, err.Error())
	}
}

func (s *state) heard() {
	s.dcsSeen, s.dcsSeenWall = s.now, s.wall
	if !s.dcsUp {
		s.dcsUp, s.dcsReason, s.dcsSince = true, "", s.now
	}
}

func (s *state) foldReach(f events.DCSReach) {
	if f.Reachable {
		s.heard()
		return
	}
	if s.dcsUp || s.dcsReason == "" {
		s.dcsSince = s.now
	}
	s.dcsUp, s.dcsReason = false, f.Reason
}

// foldSnapshot takes a full view. One that is older than what is known is an answer of a member of
// the store that lags: it counts as a fact about the store, and replaces the view only when it is said
// again and again, as after a restore of the store from a backup.
func (s *state) foldSnapshot(f events.DCSSnapshot) {
	s.heard()
	if s.viewKnown && f.Revision < s.view.Revision {
		if f.Revision >= s.floor {
			s.viewAt = s.now // read before the changes that came since: the view is the newer one
			return
		}
		if s.regressed++; s.regressed < 3 {
			return
		}
	}
	if f.Revision < s.view.Revision {
		s.gaveUp = 0 // the store was restored: its revisions mean something else now
	}
	s.regressed, s.floor = 0, f.Revision
	before, members := s.leader(), s.view.Members
	s.view.TakeSnapshot(f)
	if !s.viewKnown {
		s.metAt = s.now
	}
	s.viewKnown, s.viewAt = true, s.now
	s.afterView(before)
	s.foldRecall(members)
}

func (s *state) foldChange(f events.DCSChange) {
	if !s.viewKnown || f.Revision != 0 && f.Revision < s.view.Revision {
		return // of before the last snapshot
	}
	before, members := s.leader(), s.view.Members
	s.view.Apply(f)
	s.afterView(before)
	s.foldRecall(members)
}

// afterView draws what follows from a new view: whether the lease is still ours, the settings, and
// who led before.
func (s *state) afterView(before string) {
	l := &s.lease
	if l.held && s.view.Leader != s.self() && (s.view.LeaderRevision == 0 || s.view.LeaderRevision > l.epoch) && s.view.Revision > l.epoch {
		l.held = false
	}
	s.foldSettings(s.view.Config)
	s.foldSlotOwners()
	s.foldUnfenced(before, s.leader())
	if after := s.leader(); after != before {
		s.lastLeadChange = s.now
		s.diverged = divergence{} // a new leader may be on a new timeline, also when its name is the same
		if before != "" {
			s.lastLead = before
		}
	}
	if s.view.Initialized() {
		s.published.initialize = "" // should it vanish, it is written again
		s.sawCluster = true
	}
	switch {
	case s.view.Initialize != nil:
		s.initAbsentSince = 0
	case s.initAbsentSince == 0:
		s.initAbsentSince = s.now
	}
	if s.view.Initialize == nil || *s.view.Initialize != "" || s.someoneInitializes() || s.someoneHasData() {
		s.initSeen = 0
	} else if s.initSeen == 0 {
		s.initSeen = s.now
	}
}

// someoneHasData tells that the cluster exists, though its identifier is not written: whoever leads it will write it.
func (s *state) someoneHasData() bool {
	for i := range s.view.Members {
		if role := s.view.Members[i].Role; role != "" && role != roleUninitialized {
			return true
		}
	}
	return false
}

func (s *state) someoneInitializes() bool {
	for i := range s.view.Members {
		if s.view.Members[i].State == stateInitializing {
			return true
		}
	}
	return false
}

func (s *state) foldLease(f events.LeaseOutcome) {
	flight, ok := s.land(f.Effect)
	if !ok {
		return
	}
	if f.Outcome == events.Done || f.Outcome == events.Lost {
		s.heard()
	}
	l := &s.lease
	switch f.Op {
	case events.LeaseAcquire:
		if f.Outcome == events.Done && s.now < f.SentAt.Add(f.TTL) {
			*l = lease{held: true, epoch: f.Epoch, until: f.SentAt.Add(f.TTL), sent: f.SentAt, ttl: f.TTL, lastTry: s.now}
			s.gaveUp, s.armFailed = 0, 0
			return
		}
		s.campaign = s.now.Add(100 * time.Millisecond)
		s.lastError = f.Error
	case events.LeaseRenew:
		switch {
		case flight.effect.Epoch != l.epoch || !l.held:
		case f.Outcome == events.Done:
			l.until, l.sent, l.ttl, l.tries = f.SentAt.Add(f.TTL), f.SentAt, f.TTL, 0
		case f.Outcome == events.Lost:
			s.lostAt = s.now
			s.giveUp()
		default:
			l.tries++
		}
	}
}

// giveUp ends our own lease: the leader key, if it still names us, is not ours any more.
func (s *state) giveUp() {
	s.gaveUp = max(s.gaveUp, s.lease.epoch)
	if s.view.Leader == s.self() {
		s.gaveUp = max(s.gaveUp, s.view.LeaderRevision)
	}
	s.lease.held = false
	s.lastLead = s.self()
	s.lastLeadChange = s.now
}

func (s *state) foldObservation(o *events.Observation) {
	if o.Running && o.PID == s.exitPID {
		return // seen before it died
	}
	if o.Running {
		s.exited, s.gone = false, false
	} else if s.pg.Running && !s.exited {
		s.markExit(false) // a look does not see children: that they are gone is told by itself
	}
	s.foldSilence(o)
	if s.pg.Server.ReplicationState != o.Server.ReplicationState {
		s.replicationSince = s.now
	}
	if !s.pgKnown {
		s.firstPID = o.PID
	}
	s.pg, s.pgKnown, s.pgAt = *o, true, s.now
	if s.primary() {
		s.diverged = divergence{} // it writes WAL of its own
		s.inherits = false
	}
	if o.Answering && o.Server.ReplicationState == "streaming" {
		s.streamed = s.now
	}
}

func (s *state) foldExit(f events.PostgresExited) {
	if s.pg.PID != f.PID && s.pg.PID != 0 {
		return
	}
	s.markExit(f.Gone)
}

// markExit records that the postmaster is dead, and whether nothing of it is left.
func (s *state) markExit(gone bool) {
	if !s.exited && s.primary() && s.life == Leading && s.lifecycleEffect() == nil {
		s.crashed = true
	}
	s.exited, s.gone = true, gone || s.gone && s.exited
	if s.pg.Running {
		s.exitPID = s.pg.PID
	}
	s.pg.Running, s.pg.Answering, s.pg.Starting = false, false, false
	s.pg.Server = events.Server{InRecovery: s.pg.Server.InRecovery, Version: s.pg.Server.Version}
}

func (s *state) foldPeer(f events.PeerAnswered) {
	if f.Effect != s.ask.effect {
		return
	}
	missing := false
	for i := range s.ask.peers {
		if s.ask.peers[i].Name == f.Peer.Name {
			s.ask.answers[i] = f.Peer
		}
		missing = missing || s.ask.answers[i].Name == ""
	}
	if !missing {
		s.land(f.Effect)
	}
}

func (s *state) foldGuard(f events.GuardTick) {
	if !s.guardKnown {
		s.inherits = f.Deadline != 0 && !f.Fired && !s.primary()
	}
	s.guard, s.guardKnown = f, true
	switch {
	case f.Alive:
		s.guardGone = 0
	case s.guardGone == 0:
		s.guardGone = s.now
	}
}

func (s *state) foldFinished(f events.EffectFinished) {
	flight, ok := s.land(f.Effect)
	if !ok {
		return
	}
	kind := flight.effect.Action.ActionKind()
	if kind.WorksOnData() {
		s.progress = ""
		if s.acted = f.Ended; s.acted == 0 {
			s.acted = s.now
		}
		switch {
		case kind == events.ActStartPostgres || kind == events.ActRestartPostgres:
			s.launched = s.acted
		case kind == events.ActStopPostgres && f.Outcome == events.Done:
			s.launched = 0
		}
		if f.Outcome == events.Done {
			s.failures, s.restUntil, s.lastError = 0, 0, ""
		} else if !flight.cancelled {
			s.lastError = fmt.Sprintf("%s %s: %s", kind, f.Outcome, f.Error)
			s.rest()
			if kind == events.ActRewind {
				s.rewinds.doubted, s.rewinds.err = true, f.Error
				s.diverged = divergence{} // compared anew, which tells whether the leader can still be reached
			}
		}
	}
	if f.Outcome == events.Done {
		s.foldDone(flight.effect.Action, f.Result)
		return
	}
	s.foldNotDone(flight.effect.Action, f)
}

// foldDone takes what a finished effect changed.
func (s *state) foldDone(a events.Action, r events.Result) {
	switch a := a.(type) {
	case events.PutKey:
		s.heard()
		if a.Key == events.KeyInitialize && a.Value == "" {
			s.claim, s.claimed = claimWon, r.Revision
		}
	case events.StopPostgres:
		s.markExit(true)
		s.demotion.shutdownLSN = r.ShutdownLSN
	case events.StartPostgres:
		s.upstream, s.streamed = a.From, s.now
	case events.RestartPostgres:
		s.upstream, s.streamed = a.From, s.now
		s.orderDone(200, "restarted successfully")
	case events.Follow:
		s.upstream, s.streamed = a.From, s.now
	case events.Clone:
		s.rewinds = rewinds{}
		s.diverged = divergence{known: true, leader: a.From.Name, at: s.now}
	case events.CheckDivergence:
		if s.rewinds.doubted {
			s.rewinds.failed, s.rewinds.doubted = s.rewinds.failed+1, false
		}
		s.diverged = divergence{known: true, found: r.Divergence == events.DivergenceFound, leader: a.Leader.Name, at: s.now}
	case events.Rewind:
		s.rewinds = rewinds{}
		s.diverged = divergence{known: true, leader: a.From.Name, at: s.now}
	case events.CrashRecover:
		s.diverged = divergence{}
	case events.ApplyConfig:
		s.appliedDoc = a.Document
	case events.Promote:
		s.history = r.History
	case events.ArmGuard:
		s.armFailed = 0
		if s.guard.Alive && !s.guard.Fired {
			s.guard.Deadline = a.Deadline
		}
	case events.DisarmGuard:
		s.guard.Deadline, s.guard.Fired = 0, false
	case events.SyncSlots:
		s.published.slotsAt = s.now
	}
}

func (s *state) foldNotDone(a events.Action, f events.EffectFinished) {
	switch a := a.(type) {
	case events.PutKey:
		switch {
		case a.Key == events.KeyInitialize && a.Value == "":
			s.claim = claimLost
			s.campaign = s.now.Add(200 * time.Millisecond)
		case a.Key == events.KeyInitialize:
			s.published.initialize = ""
			s.published.initializeAt = s.now
		case a.Key == events.KeyStatus:
			s.published.status = ""
		}
	case events.CheckDivergence:
		s.rewinds.doubted = false
	case events.StartPostgres, events.Follow:
		s.upstream = events.Upstream{} // it may have come into force or not
	case events.RestartPostgres:
		s.upstream = events.Upstream{}
		s.orderDone(503, "restart failed")
	case events.ArmGuard:
		// The guard may be well all the same: only a change of it would be told.
		if s.armFailed == 0 {
			s.armFailed = s.now
		}
		s.armRetry, s.guard.Reason = s.now.Add(armPause), f.Error
	case events.DisarmGuard:
		s.armRetry = s.now.Add(armPause)
	case events.ApplyConfig:
		s.settingsErrs = append(s.settingsErrs, f.Error)
		s.appliedDoc = a.Document // it will not become right by repetition; the next change is tried again
	}
}

func (s *state) orderDone(code int, body string) {
	if s.order != nil && s.order.ID != "" {
		s.answers = append(s.answers, events.AnswerOperator{Request: s.order.ID, Code: code, Body: body})
	}
	s.order = nil
}
