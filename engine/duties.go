package engine

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// duty is a rule that acts beside the lifecycle, in any state in which its conditions hold.
type duty struct {
	ID   events.RuleID
	When []predicate
	Then act
	Why  string
	// Inner tells that it changes what this member counts on, and issues no effect.
	Inner bool
}

// dutyTable is every duty; all of those that match act, in order.
var dutyTable = []duty{
	{ID: "LE-08", When: all(leaseHeld, renewalDue, leaseOpIdle, shortens, countsOnMore, guardWanted), Then: shorten, Inner: true,
		Why: "the lease is about to become shorter: the guard is told before the store is"},
	{ID: "LE-10", When: all(leaseHeld, renewalDue, leaseOpIdle, not(lettingGo), guardFollows), Then: renew,
		Why: "renewing the lease, {lease left} before its end"},
	{ID: "LE-20", When: all(leaseHeld, guardWanted, guardBehind, armRested, armIdle, disarmIdle), Then: arm,
		Why: "telling the guard the lease's new deadline"},
	{ID: "LE-30", When: all(guardArmed, harmless, not(promotionInherited), armRested, disarmIdle, armIdle), Then: disarm,
		Why: "PostgreSQL is no primary: the guard may stand down"},
	{ID: "LE-05", When: all(dcsUp, leaseMayMove, not(prepared)), Then: prepareLease,
		Why: "the lease may move soon: getting ready what can be done before"},
	{ID: "DC-10", When: all(dcsKnown, viewOld, readIdle), Then: readDCS,
		Why: "a full look at the DCS, as every loop_wait"},
	{ID: "DC-20", When: all(leaseHeld, not(viewShowsLease), campaigning, viewBehind, readIdle), Then: readDCS,
		Why: "the watch has not shown the lease that was won: looking at the DCS"},
	{ID: "PU-10", When: all(dcsUp, not(mayBeDuplicate), memberChanged), Then: putMember, Why: "publishing this member's record"},
	{ID: "PU-20", When: all(dcsUp, leaseHeld, isPrimary, statusDue), Then: putStatus,
		Why: "publishing the position and the slots"},
	{ID: "PU-30", When: all(dcsUp, leaseHeld, isPrimary, historyMissing), Then: putHistory,
		Why: "publishing the history of timelines"},
	{ID: "PU-40", When: all(dcsUp, leaseHeld, configMissing), Then: putConfig,
		Why: "the DCS has no configuration: writing the one in force"},
	{ID: "PU-50", When: all(dcsUp, leaseHeld, initUnwritten), Then: putInitialize, Why: "writing the system identifier"},
	{ID: "FK-10", When: all(dcsUp, leaseHeld, leadingNow, switchPending, switchMoot), Then: clearFailover,
		Why: "the request for a switchover is done, or not meant for this leader: clearing it"},
	{ID: "VI-10", When: all(leading, muteSoon, othersExist, not(vitalAsked)), Then: askVital,
		Why: "PostgreSQL has not answered for {mute}: asking the other members what they receive from it"},
	{ID: "VI-20", When: all(opening, startOverdue, othersExist, not(vitalAsked)), Then: askVital,
		Why: "PostgreSQL did not start within primary_start_timeout: asking who can take over"},
	{ID: "SL-10", When: all(running, isAnswering, slotsWrong), Then: syncSlots,
		Why: "the members' replication slots are brought up to date"},
	{ID: "CF-10", When: all(configUnapplied), Then: applyConfig, Why: "giving the configuration to PostgreSQL"},
}

// dutyWhen is of each duty its conditions, and how many of them it shares with the one before.
var dutyWhen = func() []struct {
	when   []func(*state) bool
	shared int
} {
	d := make([]struct {
		when   []func(*state) bool
		shared int
	}, len(dutyTable))
	for i := range d {
		d[i].when = checks(dutyTable[i].When)
		if i > 0 {
			d[i].shared = shared(dutyTable[i-1].When, dutyTable[i].When)
		}
	}
	return d
}()

var (
	renewalDue = predicate{"the lease is to be renewed", func(s *state) bool { return s.now >= s.nextRenewal() }}
	shortens   = predicate{"the settings ask for a shorter lease", func(s *state) bool { return s.ttl() < s.lease.ttl }}
	// A renewal for less may be applied although the agent dies as soon as it is sent; a guard with the former deadline would then come too late.
	countsOnMore = predicate{"this member counts on more than that", func(s *state) bool { return s.lease.until > s.now.Add(s.ttl()) }}
	guardFollows = predicate{"the guard comes in time for what is asked for", func(s *state) bool {
		return s.ttl() >= s.lease.ttl || !guardWanted.ok(s) || s.guard.Deadline <= s.fenceAt()
	}}
	guardWanted = predicate{"the guard takes part", func(s *state) bool {
		return s.member.GuardPolicy != guardOff && s.guard.Alive && !s.guard.Fired && s.life != Paused && s.mayWriteSoon()
	}}
	// The guard that was armed for such a promotion is left to kill the server at its deadline, unless a lease is won for it before.
	promotionInherited = predicate{"the server may be in a promotion that an earlier agent asked for", func(s *state) bool {
		return s.inherits && s.running() && s.pg.PID == s.firstPID
	}}
	guardBehind = predicate{"the guard's deadline is not the lease's", func(s *state) bool { return s.guard.Deadline != s.fenceAt() }}
	armRested   = predicate{"the pause after the last attempt is over", func(s *state) bool { return s.now >= s.armRetry }}
	armIdle     = predicate{"no deadline is on its way to the guard", func(s *state) bool { return s.find(events.ActArmGuard) == nil }}
	guardArmed  = predicate{"the guard is armed", func(s *state) bool { return s.guard.Deadline != 0 && !s.guard.Fired }}
	harmless    = predicate{"PostgreSQL cannot accept writes, or is left alone in a pause", func(s *state) bool {
		if s.life == Paused {
			return true
		}
		return !s.mayWriteSoon() && !s.makesPrimary() && s.pgKnown &&
			(down.ok(s) || s.startsReplica() || s.replica() && s.pg.Sampled >= s.acted)
	}}
	leaseMayMove = predicate{"the lease may come to this member, or be given away by it", func(s *state) bool { return s.leaseComes() || s.leaseGoes() }}
	prepared     = predicate{"what the lease needs is ready, or being got ready", func(s *state) bool {
		return s.preparedFor == s.movedTTL() && s.now < s.preparedAt.Add(s.preparedFor/4)
	}}
	viewOld = predicate{"the last full look is older than loop_wait", func(s *state) bool {
		old := s.now >= s.viewAt.Add(s.settings.LoopWait) || s.doubtsView() // an older revision must be said again to be believed
		return old && (s.readAt == 0 || s.now >= s.readAt.Add(readPause))
	}}
	campaigning = predicate{"the lease was just won", func(s *state) bool { return s.life == Campaigning }}
	viewBehind  = predicate{"the watch had a moment to show it", func(s *state) bool {
		return s.now >= s.lease.sent.Add(watchMoment) && s.now >= s.readAt.Add(watchMoment)
	}}
	readIdle    = predicate{"no look is under way", func(s *state) bool { return s.find(events.ActReadDCS) == nil }}
	isAnswering = predicate{"PostgreSQL answers", func(s *state) bool { return s.pg.Answering }}
	leading     = predicate{"this member leads, and it is no pause", func(s *state) bool { return s.life == Leading }}
	opening     = predicate{"PostgreSQL starts as a primary", func(s *state) bool { return s.life == Opening }}
	leadingNow  = predicate{"this member leads", func(s *state) bool { return s.life == Leading || s.life == Paused }}
	switchMoot  = predicate{"the request cannot be meant for this leader", func(s *state) bool {
		f := &s.view.Failover
		if s.findKey(events.KeyFailover) != nil || s.clearedNow() {
			return false
		}
		return f.Leader != "" && f.Leader != s.self() || f.Candidate == s.self() || s.switchStale() ||
			s.life == Paused && f.Candidate == ""
	}}
	memberChanged = predicate{"the record has changed, or is to be prolonged", func(s *state) bool { return s.memberDue() }}
	statusDue     = predicate{"the status is due", func(s *state) bool {
		return s.findKey(events.KeyStatus) == nil && s.now >= s.published.statusAt.Add(s.settings.LoopWait)
	}}
	historyMissing = predicate{"the history lacks the last timeline", func(s *state) bool { return s.historyMissing() }}
	configMissing  = predicate{"the DCS has no configuration", func(s *state) bool {
		return s.view.Config == nil && s.settingsDoc != nil && s.findKey(events.KeyConfig) == nil && !s.hasProblem(events.KeyConfig) &&
			(s.published.configAt == 0 || s.now >= s.published.configAt.Add(time.Second))
	}}
	initUnwritten = predicate{"the system identifier is not written", func(s *state) bool {
		id := s.pg.Control.SystemID
		return !s.view.Initialized() && id != "" && s.findKey(events.KeyInitialize) == nil && s.published.initialize != id &&
			(s.published.initializeAt == 0 || s.now >= s.published.initializeAt.Add(time.Second))
	}}
	slotsWrong      = predicate{"a member's slot is missing, or one is left over", func(s *state) bool { return s.slotsDue() }}
	configUnapplied = predicate{"the configuration has changed", func(s *state) bool {
		return s.viewKnown && s.settingsDoc != nil && s.pg.Data == events.DataPresent && s.find(events.ActApplyConfig) == nil &&
			(s.appliedRevision != s.view.ConfigRevision || !bytes.Equal(s.appliedDoc, s.settingsDoc))
	}}
)

// mayWriteSoon tells that PostgreSQL is, or is about to become, a primary under the lease.
func (s *state) mayWriteSoon() bool {
	switch s.life {
	case Campaigning, Promoting, Opening, Adopting, Leading, Switching, Bootstrapping, Restarting:
		return s.lease.held
	case Demoting:
		return s.running()
	}
	return false
}

// makesPrimary tells that an effect is under way after which PostgreSQL may accept writes.
func (s *state) makesPrimary() bool {
	f := s.lifecycleEffect()
	return f != nil && events.MakesPrimary(f.effect.Action)
}

// startsReplica: a server that was proven down is being started as a replica.
func (s *state) startsReplica() bool {
	f := s.lifecycleEffect()
	if f == nil {
		return false
	}
	a, ok := f.effect.Action.(events.StartPostgres)
	return ok && !a.AsPrimary
}

func (s *state) idleNow() bool { return s.lifecycleEffect() == nil }

func (s *state) hasProblem(key string) bool {
	for i := range s.view.Problems {
		if s.view.Problems[i].Key == key {
			return true
		}
	}
	return false
}

// nextRenewal is when the lease is renewed: in time, and after a failure soon again.
func (s *state) nextRenewal() events.Instant {
	if s.lease.tries > 0 {
		return s.lease.lastTry.Add(min(100*time.Millisecond<<min(s.lease.tries-1, 4), time.Second))
	}
	return s.lease.sent.Add(s.renewEvery())
}

var (
	renew = act{"renew_lease", func(e *Engine) {
		s := &e.s
		s.lease.lastTry = s.now
		if ttl := s.ttl(); ttl < s.lease.ttl { // it may be applied without our learning of it
			s.lease.until = min(s.lease.until, s.now.Add(ttl))
		}
		e.issue(events.RenewLease{TTL: s.ttl()}, s.renewTimeout())
	}}
	shorten = act{"count on the shorter lease", func(e *Engine) { e.s.lease.until = e.s.now.Add(e.s.ttl()) }}
	arm     = act{"arm_guard", func(e *Engine) {
		e.issue(events.ArmGuard{Deadline: e.s.fenceAt()}, guardTimeout)
	}}
	prepareLease = act{"prepare_lease", func(e *Engine) {
		s := &e.s
		s.preparedFor, s.preparedAt = s.movedTTL(), s.now
		e.issue(events.PrepareLease{TTL: s.preparedFor}, s.renewTimeout())
	}}
	readDCS = act{"read_dcs", func(e *Engine) {
		e.s.floor, e.s.readAt = e.s.view.Revision, e.s.now
		e.issue(events.ReadDCS{}, e.s.dcsTimeout())
	}}
	putMember = act{"put_member", func(e *Engine) {
		s := &e.s
		s.published.member, s.published.memberAt = s.memberText(), s.now
		s.published.shape = s.shape()
		e.issue(events.PutMember{Value: s.published.member, TTL: s.ttl()}, s.dcsTimeout())
	}}
	putStatus = act{"put_key status", func(e *Engine) {
		s := &e.s
		s.published.statusAt = s.now
		text := s.statusText()
		if text == s.published.status {
			return
		}
		s.published.status = text
		e.issue(events.PutKey{Key: events.KeyStatus, Value: text, Expect: events.Any}, s.dcsTimeout())
	}}
	putHistory = act{"put_key history", func(e *Engine) {
		s := &e.s
		s.published.historyAt = s.now
		e.issue(events.PutKey{Key: events.KeyHistory, Value: s.historyText(), Expect: events.Any}, s.dcsTimeout())
	}}
	putConfig = act{"put_key config, if absent", func(e *Engine) {
		e.s.published.configAt = e.s.now
		e.issue(events.PutKey{Key: events.KeyConfig, Value: string(e.s.settingsDoc)}, e.s.dcsTimeout())
	}}
	putInitialize = act{"put_key initialize", func(e *Engine) {
		s := &e.s
		s.published.initialize = s.pg.Control.SystemID
		e.issue(events.PutKey{Key: events.KeyInitialize, Value: s.pg.Control.SystemID, Expect: events.Any}, s.dcsTimeout())
	}}
	syncSlots = act{"sync_slots", func(e *Engine) {
		s := &e.s
		want, drop := s.slotsWanted()
		s.published.slotsAt = s.now
		e.issue(events.SyncSlots{Members: want, Drop: drop}, slotsTimeout)
	}}
	applyConfig = act{"apply_config", func(e *Engine) {
		e.s.appliedRevision = e.s.view.ConfigRevision // secrets are not in the text: a revision tells that they changed
		e.issue(events.ApplyConfig{Document: e.s.settingsDoc}, configTimeout)
	}}
)

// duties lets every duty that matches act.
func (e *Engine) duties() {
	if e.s.life == Exited {
		return
	}
	failed := -1
	for i := range dutyWhen {
		w := &dutyWhen[i]
		if failed >= 0 && failed < w.shared {
			continue // for the same reason as the duty before
		}
		if failed = fails(w.when, &e.s); failed >= 0 {
			continue
		}
		d := &dutyTable[i]
		before := len(e.out.Effects)
		why := d.Why
		if strings.Contains(why, "{") {
			why = fill(why, &e.s)
		}
		d.Then.do(e)
		if len(e.out.Effects) > before || d.Inner {
			e.out.Fired = append(e.out.Fired, events.Fired{Rule: d.ID, Why: why})
		}
	}
}

const (
	memberEvery = time.Second // positions are published at most this often
	memberPause = 50 * time.Millisecond
	// memberRest is how long a record waits while the lease changes hands: writers wait for the store's writes of that
	// moment, and records would queue before them.
	memberRest  = 500 * time.Millisecond
	watchMoment = 100 * time.Millisecond // within which the watch shows an own write, as a rule
	readPause   = time.Second            // between two looks of which the first failed
	statusEvery = time.Second
)

// memberDue tells that the record must be written: what others act upon has changed, or it must be prolonged.
func (s *state) memberDue() bool {
	p := &s.published
	if s.find(events.ActPutMember) != nil || s.now < p.memberAt.Add(memberPause) && p.member != "" {
		return false
	}
	if p.member == "" || s.now >= p.memberAt.Add(min(s.settings.LoopWait, s.ttl()/3)) {
		return true
	}
	now := s.shape()
	if s.leaseMoves() && s.now < s.lifeSince.Add(memberRest) {
		return false
	}
	if s.now < s.replicationSince.Add(memberRest) { // a lost stream is news only if it stays lost
		now.replication = p.shape.replication
	}
	return p.shape != now
}

// leaseGoes tells that this member, which holds the lease, will name a successor.
func (s *state) leaseGoes() bool {
	return s.lease.held && s.leaseEffect() == nil && (s.life == Switching || s.life == Demoting && s.demotion.handOver)
}

// leaseComes tells that this member, which does not hold the lease, may be about to take it: an operator named it, or it is asking
// its peers because nobody leads.
func (s *state) leaseComes() bool {
	if s.lease.held || s.leaseEffect() != nil || s.life != Following || !s.member.Tags.MayLead() {
		return false
	}
	return s.view.Failover.Candidate == s.self() && s.leader() != "" && s.view.Failover.ScheduledAt == "" || s.ask.effect != 0 && s.leader() == ""
}

// movedTTL is for how long the lease is taken, or handed over.
func (s *state) movedTTL() time.Duration {
	if s.lease.held {
		return s.handOverTTL()
	}
	return s.ttl()
}

// handOverTTL is how long a successor may take to claim the lease.
func (s *state) handOverTTL() time.Duration { return max(events.MinTTL, s.member.MinTTL) }

// leaseMoves tells that this member is giving the lease away or has just done so, or is about to have it and to promote.
func (s *state) leaseMoves() bool {
	switch s.life {
	case Switching, Yielding, Campaigning, Promoting:
		return true
	case Demoting:
		return s.demotion.handOver
	case Stopped:
		return s.gaveUp != 0 && s.lastLead == s.self()
	}
	return false
}

// historyMissing tells that the cluster's history does not end where this timeline begins.
func (s *state) historyMissing() bool {
	t := s.timeline()
	if t == 0 || s.findKey(events.KeyHistory) != nil || s.published.historyAt != 0 && s.now < s.published.historyAt.Add(s.settings.LoopWait) {
		return false
	}
	if t == 1 {
		return !s.view.HasHistory
	}
	return s.view.ClusterTimeline() != t && len(s.history) > 0
}

func (s *state) historyText() string {
	rows := make([]events.HistoryRow, 0, len(s.history))
	for _, h := range s.history {
		r := events.HistoryRow{Timeline: h.Parent, LSN: h.Switch, Reason: h.Reason}
		for _, old := range s.view.History {
			if old.Timeline == r.Timeline && old.LSN == r.LSN {
				r = old
			}
		}
		rows = append(rows, r)
	}
	if n := len(rows); n > 0 && rows[n-1].NewLeader == "" {
		rows[n-1].NewLeader = s.self()
		rows[n-1].Timestamp = time.Unix(0, s.wall).UTC().Format("2006-01-02T15:04:05.000000+00:00")
	}
	if most := s.settings.MaxTimelinesHistory; most > 0 && len(rows) > most {
		rows = rows[len(rows)-most:]
	}
	b, err := json.Marshal(rows)
	if err != nil {
		return "[]" // rows hold only texts and numbers
	}
	return string(b)
}
