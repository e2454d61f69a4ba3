package engine

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Chapter ON: PostgreSQL starts as a primary, under the lease.
var openingRules = []row{
	{ID: "ON-02", In: Opening, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "ON-05", In: Opening, When: all(leaseEnding), Then: demote(causeDCSLost, events.StopImmediate, false), To: Demoting,
		Why: "the lease ends in {lease left} and could not be renewed: {dcs}"},
	{ID: "ON-06", In: Opening, When: all(not(leaseHeld)),
		Then: demote("the lease was lost while PostgreSQL started", events.StopImmediate, false), To: Demoting,
		Why: "the lease is lost: {leader} holds it"},
	{ID: "ON-08", In: Opening, When: all(shutdownAsked), Then: demote("asked to stop", events.StopFast, true), To: Demoting,
		Why: "asked to stop"},
	{ID: "ON-10", In: Opening, When: all(looked, isPrimary, idle), To: Leading,
		Why: "PostgreSQL accepts writes, on timeline {timeline}"},
	{ID: "ON-20", In: Opening, When: all(startOverdue, othersExist, not(pauseOn), askedAll, successorKnown, idle),
		Then: demote("PostgreSQL did not start within primary_start_timeout", events.StopImmediate, true), To: Demoting,
		Why: "PostgreSQL did not start within primary_start_timeout: {error}"},
	{ID: "ON-22", In: Opening, When: all(startOverdue, othersExist, not(pauseOn), askedAll, successorKnown, not(idle), notCancelled), Then: cancelOther,
		Why: "PostgreSQL did not start within primary_start_timeout: giving up the start"},
	{ID: "ON-25", In: Opening, When: all(idle, not(rested)), Why: "starting again in {retry in} after: {error}"},
	{ID: "ON-30", In: Opening, When: all(looked, down, idle, guardReady), Then: startPrimary,
		Why: "starting as a primary under the lease (epoch {epoch})"},
	{ID: "ON-32", In: Opening, When: all(looked, isReplica, idle), To: Demoting,
		Then: demote("PostgreSQL came up as a replica where a primary was started", events.StopFast, true),
		Why:  "PostgreSQL came up as a replica"},
	{ID: "ON-35", In: Opening, When: all(down, idle, not(guardReady)),
		Why: "waiting until the guard holds the deadline: {guard}"},
	{ID: "ON-40", In: Opening, When: all(startOverdue, othersExist, nobodyFit), Refusal: true,
		Why: "PostgreSQL did not start within primary_start_timeout, and goes on, as no member can take over: {peers}"},
	{ID: "ON-99", In: Opening, When: always,
		Why: "PostgreSQL starts as a primary: {progress}, {start left} until another member may take over"},
}

// Chapter AD: a primary runs already, and its lease is being secured.
var adoptingRules = []row{
	{ID: "AD-02", In: Adopting, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "AD-03", In: Adopting, When: all(pauseOn, looked), To: Paused, Why: "the cluster is paused"},
	{ID: "AD-04", In: Adopting, When: all(foreignData), To: Starting,
		Why: "the data belongs to another cluster: {system id} here, {cluster id} in the DCS"},
	{ID: "AD-05", In: Adopting, When: all(not(running), looked), To: Starting, Why: "PostgreSQL is gone"},
	{ID: "AD-06", In: Adopting, When: all(looked, isReplica), To: Starting, Why: "PostgreSQL is a replica"},
	{ID: "AD-10", In: Adopting, When: all(leaseSafe), To: Leading,
		Why: "the lease is held (epoch {epoch}): PostgreSQL was not touched"},
	{ID: "AD-15", In: Adopting, When: all(not(leaseOpIdle), not(adoptOverdue)),
		Why: "waiting for the DCS to answer about the lease"},
	{ID: "AD-20", In: Adopting, When: all(leaderOther), Then: demote("another member leads", events.StopImmediate, false), To: Demoting,
		Why: "{leader} leads: this primary must not accept writes"},
	{ID: "AD-25", In: Adopting, When: all(dcsKnown, isPrimary, not(timelineOK)),
		Then: demote("an old timeline", events.StopImmediate, false), To: Demoting,
		Why: "timeline {timeline} is older than the cluster's, {cluster timeline}"},
	{ID: "AD-27", In: Adopting, When: all(leaseFree, not(mayLead)),
		Then: demote("tagged nofailover", events.StopFast, false), To: Demoting, Refusal: true,
		Why: "tagged nofailover: this member may not lead"},
	{ID: "AD-30", In: Adopting, When: all(dcsUp, leaseNamesMe, leaseOpIdle, campaignReady), Then: claimLease,
		Why: "the leader key names this member, from before its agent stopped: claiming it"},
	{ID: "AD-35", In: Adopting, When: all(dcsUp, leaseFree, leaseOpIdle, campaignReady), Then: acquireFree,
		Why: "nobody leads, and PostgreSQL runs as a primary: taking the lease"},
	{ID: "AD-40", In: Adopting, When: all(adoptOverdue),
		Then: demote("the lease could not be secured", events.StopImmediate, false), To: Demoting,
		Why: "the lease could not be secured in time: {dcs}"},
	{ID: "AD-99", In: Adopting, When: always, Why: "waiting for the DCS: {dcs}"},
}

// retakePatience bounds how long a primary goes on whose key was removed: without it nothing keeps another member from leading.
const retakePatience = time.Second

var (
	leaseLasted = predicate{"the lease would last long enough to act on it", func(s *state) bool { return s.now < s.demoteAt() }}
	retake      = act{"note that the lease is taken again", func(e *Engine) { e.s.retaking = true }}
)

// adoptOverdue: a primary without a proven lease may run on until the deadline that a former agent left
// with the guard, or for a moment where there is none.
var adoptOverdue = predicate{"the time to secure the lease is over", func(s *state) bool { return s.now >= s.adoptBy() }}

func (s *state) adoptBy() events.Instant {
	if s.retaking {
		return s.lifeSince.Add(retakePatience)
	}
	by := s.lifeSince.Add(adoptPatience)
	if s.guard.Alive && s.guard.Deadline > 0 {
		by = s.guard.Deadline.Add(-200 * time.Millisecond)
	}
	return by
}

// Chapter LD: the primary, with the lease.
var leadingRules = []row{
	{ID: "LD-02", In: Leading, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "LD-05", In: Leading, When: all(pauseOn), To: Paused, Why: "the cluster is paused"},
	{ID: "LD-08", In: Leading, When: all(not(leaseHeld), dcsUp, initAbsent, leaseFree, isPrimary, idle), To: Adopting,
		Why: "the DCS has lost the cluster, and for a ttl nobody else takes the lease: taking it again"},
	{ID: "LD-09", In: Leading, When: all(not(leaseHeld), leaseLasted, dcsUp, leaseFree, running, not(isReplica), mayLead, idle), Then: retake, To: Adopting,
		Why: "the leader key was removed before the lease had ended, and nobody else holds it: taking it again"},
	{ID: "LD-10", In: Leading, When: all(not(leaseHeld)), Then: demote("the lease is lost", events.StopImmediate, false), To: Demoting,
		Why: "the lease is lost: {leader} holds it"},
	{ID: "LD-15", In: Leading, When: all(leaseEnding), Then: demote(causeDCSLost, events.StopFast, false), To: Demoting,
		Why: "the lease ends in {lease left} and could not be renewed: {dcs}"},
	{ID: "LD-20", In: Leading, When: all(died, not(down)),
		Why: "the postmaster died: waiting until nothing of it is left"},
	{ID: "LD-21", In: Leading, When: all(died, shutdownAsked), Then: noteCrash, To: Yielding,
		Why: "PostgreSQL is gone and the agent was asked to stop"},
	{ID: "LD-22", In: Leading, When: all(died, failOverAtOnce, othersExist), Then: noteCrash, To: Yielding,
		Why: "PostgreSQL crashed and primary_start_timeout is 0: handing over"},
	{ID: "LD-23", In: Leading, When: all(died, dataEmpty), Then: noteCrash, To: Yielding,
		Why: "the data directory is gone: handing over"},
	{ID: "LD-24", In: Leading, When: all(died), Then: noteCrashed, To: Opening,
		Why: "PostgreSQL crashed: starting it again, for at most primary_start_timeout"},
	{ID: "LD-30", In: Leading, When: all(shutdownAsked, idle), Then: demote("asked to stop", events.StopFast, true), To: Demoting,
		Why: "asked to stop: handing over"},
	{ID: "LD-35", In: Leading, When: all(looked, isReplica, idle),
		Then: demote("PostgreSQL is in recovery although this member leads", events.StopFast, true), To: Demoting,
		Why: "PostgreSQL is in recovery: somebody restarted it as a replica"},
	{ID: "LD-40", In: Leading, When: all(guardLost, idle), Then: demote("the required guard is missing", events.StopFast, true), To: Demoting,
		Why: "the guard is required and missing: {guard}"},
	{ID: "LD-50", In: Leading, When: all(switchDue, not(switchFutile), idle), Then: prepareSwitch, To: Switching,
		Why: "an operator asks for a switchover to {candidate}"},
	{ID: "LD-55", In: Leading, When: all(orderRestart, idle), Then: restartServer, To: Restarting,
		Why: "an operator asked for a restart"},
	{ID: "LD-57", In: Leading, When: all(muteTooLong, othersReceive), Refusal: true,
		Why: "PostgreSQL has not answered for {mute}, but others go on receiving WAL from it: it works, and only the look at it does not ({peers})"},
	{ID: "LD-58", In: Leading, When: all(muteTooLong, vitalKnown, successorKnown, idle), Then: demote(causeHangs, events.StopImmediate, true), To: Demoting,
		Why: "PostgreSQL has not answered for {mute}, and nobody receives WAL from it: it is ended, and {successor} takes over ({peers})"},
	{ID: "LD-59", In: Leading, When: all(muteTooLong, not(othersExist)), Refusal: true,
		Why: "PostgreSQL has not answered for {mute}, and there is no other member: waiting for it"},
	{ID: "LD-61", In: Leading, When: all(muteTooLong, nobodyFit), Refusal: true,
		Why: "PostgreSQL has not answered for {mute}, and no member can take over: waiting for it ({peers})"},
	{ID: "LD-60", In: Leading, When: all(not(isPrimary)), Why: "the leader; PostgreSQL has not answered for {silence}"},
	{ID: "LD-65", In: Leading, When: all(switchScheduled),
		Why: "the leader; a switchover to {candidate} is scheduled at {scheduled}"},
	{ID: "LD-99", In: Leading, When: always, Why: "the leader, with the lease (epoch {epoch})"},
}

var (
	switchPending   = predicate{"a switchover is asked for", func(s *state) bool { return s.view.Failover.Pending() }}
	switchScheduled = predicate{"a switchover is scheduled", func(s *state) bool { return s.view.Failover.Pending() && s.view.Failover.ScheduledAt != "" }}
	switchDue       = predicate{"a switchover is due", func(s *state) bool {
		return s.view.Failover.Pending() && s.wall >= s.switchAt()
	}}
	// switchFutile: the duty FK-10 clears such a request.
	switchFutile = predicate{"the request cannot be meant for this leader now", func(s *state) bool {
		f := &s.view.Failover
		return f.Leader != "" && f.Leader != s.self() || f.Candidate == s.self() || s.switchStale() || s.findKey(events.KeyFailover) != nil || s.clearedNow()
	}}
)

// switchAt is when the pending switchover is due, in Unix nanoseconds; zero is at once.
func (s *state) switchAt() int64 {
	if s.view.Failover.ScheduledAt == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, s.view.Failover.ScheduledAt)
	if err != nil {
		return 0
	}
	return t.UnixNano()
}

// switchStale: a schedule that was missed by more than one and a half loop_wait is not kept, as in Patroni.
func (s *state) switchStale() bool {
	at := s.switchAt()
	return s.view.Failover.ScheduledAt != "" && (at == 0 || s.wall > at+int64(s.settings.LoopWait)*3/2)
}

// Chapter SW: a switchover is prepared while writes go on.
var switchingRules = []row{
	{ID: "SW-02", In: Switching, When: all(either(guardFired, either(died, either(leaseEnding, not(leaseHeld))))), To: Leading,
		Why: "something more urgent happened"},
	{ID: "SW-05", In: Switching, When: all(not(switchPending)), To: Leading, Why: "the request was withdrawn"},
	{ID: "SW-10", In: Switching, When: all(askedAll, not(successorKnown)), Then: clearFailover, To: Leading, Refusal: true,
		Why: "the switchover is not possible, no member is fit: {peers}"},
	{ID: "SW-20", In: Switching, When: all(askedAll, checkpointed), Then: demoteForSwitch, To: Demoting,
		Why: "switching over to {successor}: {peers}"},
	{ID: "SW-99", In: Switching, When: always, Why: "preparing the switchover: checkpoint, and {peers}"},
}

// checkpointed: the checkpoint shortens the stop; one that takes long must not hold up the switchover.
var checkpointed = predicate{"the checkpoint is written, or took too long", func(s *state) bool {
	return s.find(events.ActCheckpoint) == nil || s.now >= s.lifeSince.Add(switchTimeout)
}}

// Chapter DE: PostgreSQL is being stopped.
var demotingRules = []row{
	{ID: "DE-05", In: Demoting, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "DE-10", In: Demoting, When: all(otherEffect, notCancelled), Then: cancelOther,
		Why: "{cause}: first the effect that is under way is given up"},
	{ID: "DE-15", In: Demoting, When: all(not(idle)), Why: "{cause}: PostgreSQL is being stopped"},
	{ID: "DE-20", In: Demoting, When: all(down, leaseHeld, either(handOverWanted, shutdownAsked)), To: Yielding,
		Why: "PostgreSQL is down: the lease goes to a successor"},
	{ID: "DE-25", In: Demoting, When: all(down, cloneWanted, sourceReady), Then: cloneAnew, To: Cloning,
		Why: "an operator asked for a fresh copy of {leader}"},
	{ID: "DE-30", In: Demoting, When: all(down), To: Stopped, Why: "PostgreSQL is down: {cause}"},
	{ID: "DE-36", In: Demoting, When: all(lettingGo, not(rested)), Refusal: true,
		Why: "PostgreSQL was killed and hangs in the kernel ({error}): the lease is left to end in {lease left}, as nothing of it can run again"},
	{ID: "DE-38", In: Demoting, When: all(either(running, died), killTried, not(rested)),
		Why: "PostgreSQL could not be killed ({error}): trying again in {retry in}"},
	{ID: "DE-40", In: Demoting, When: all(running, stopTried), Then: killServer,
		Why: "PostgreSQL did not stop ({error}): killing it"},
	{ID: "DE-45", In: Demoting, When: all(running), Then: stopServer, Why: "stopping PostgreSQL: {cause}"},
	{ID: "DE-50", In: Demoting, When: all(died, not(down), stopTried), Then: killServer,
		Why: "processes of a dead postmaster are left: killing them"},
	{ID: "DE-55", In: Demoting, When: all(died, not(down)), Then: stopServer,
		Why: "the postmaster is dead: waiting until nothing of it is left"},
	{ID: "DE-99", In: Demoting, When: always, Why: "waiting for a look at PostgreSQL"},
}

var (
	handOverWanted = predicate{"the lease is to be handed over", func(s *state) bool { return s.demotion.handOver }}
	cloneWanted    = predicate{"a fresh copy was ordered", func(s *state) bool { return s.demotion.clone }}
	stopTried      = predicate{"a stop was tried already", func(s *state) bool { return s.demotion.tries > 0 }}
	killTried      = predicate{"it was killed already", func(s *state) bool { return s.demotion.tries > 1 }}
)

// Chapter YI: PostgreSQL is down and the lease goes to somebody else.
var yieldingRules = []row{
	{ID: "YI-05", In: Yielding, When: all(not(leaseHeld), shutdownAsked, leaseOpIdle), To: Stopping, Why: "the lease is given away"},
	{ID: "YI-06", In: Yielding, When: all(not(leaseHeld), not(shutdownAsked)), To: Stopped, Why: "the lease is given away"},
	{ID: "YI-10", In: Yielding, When: all(not(asked)), Then: askSuccessor, Why: "asking who can take over"},
	{ID: "YI-15", In: Yielding, When: all(not(leaseOpIdle)), Why: "waiting for the DCS to answer about the lease"},
	{ID: "YI-20", In: Yielding, When: all(successorFirst), Then: handOver,
		Why: "handing the lease over to {successor}: {peers}"},
	{ID: "YI-25", In: Yielding, When: all(not(askedAll)), Why: "asking who can take over: {peers}"},
	{ID: "YI-28", In: Yielding, When: all(successorKnown, not(awaitsCandidate)), Then: handOver,
		Why: "handing the lease over to {successor}: {peers}"},
	{ID: "YI-32", In: Yielding, When: all(othersExist, catchUpTime, not(askAgain)),
		Why: "no member, or not the named one, has received {shutdown lsn} yet: {peers}"},
	{ID: "YI-35", In: Yielding, When: all(othersExist, catchUpTime), Then: askPeers,
		Why: "no member, or not the named one, has received {shutdown lsn} yet: asking again ({peers})"},
	{ID: "YI-30", In: Yielding, When: all(successorKnown), Then: handOver,
		Why: "handing the lease over to {successor}: {peers}"},
	{ID: "YI-40", In: Yielding, When: all(shutdownAsked), Then: releaseLease,
		Why: "no member is fit to take over ({peers}): the lease is released"},
	{ID: "YI-45", In: Yielding, When: all(wasPrimary), Then: openAgain, To: Opening, Refusal: true,
		Why: "no member is fit to take over ({peers}): starting as a primary again"},
	{ID: "YI-50", In: Yielding, When: all(leaseHeld), Then: releaseLease,
		Why: "no member is fit to take over ({peers}), and the data here is no primary's: the lease is released"},
	{ID: "YI-99", In: Yielding, When: always, Why: "waiting for the end of the lease"},
}

var (
	// successorFirst spares the wait for slower members when the one that was named, or one that has
	// everything, has answered.
	successorFirst = predicate{"the best possible successor has answered", func(s *state) bool {
		best := s.bestSuccessor()
		return best != "" && (best == s.namedSuccessor() || s.demotion.shutdownLSN != 0 && s.namedSuccessor() == "")
	}}
	// awaitsCandidate: the member that an operator named gets the time to receive the last WAL.
	awaitsCandidate = predicate{"the named candidate answers and is still catching up", func(s *state) bool {
		c := s.namedSuccessor()
		return c != "" && s.bestSuccessor() != c && s.anyAnswer(func(p *events.PeerStatus) bool { return p.Name == c && usable(p) })
	}}
	catchUpTime = predicate{"there is time to wait for a successor to catch up", func(s *state) bool {
		return s.now < s.lifeSince.Add(catchUpPatience) && s.now < s.demoteAt()
	}}
)

// askAgain spaces the questions to members that are catching up.
var askAgain = predicate{"the last question is a moment ago", func(s *state) bool { return s.now >= s.ask.at.Add(askEvery) }}

const (
	catchUpPatience = 3 * time.Second
	askEvery        = 50 * time.Millisecond
)

// Chapter FE: the guard has fired, or an invariant broke.
var fencedRules = []row{
	{ID: "FE-05", In: Fenced, When: all(otherEffect, notCancelled), Then: cancelOther,
		Why: "fenced: the effect that is under way is given up"},
	{ID: "FE-10", In: Fenced, When: all(not(idle)), Why: "fenced: waiting until nothing of PostgreSQL is left"},
	{ID: "FE-20", In: Fenced, When: all(not(fenceProven), rested), Then: killServer,
		Why: "fenced: making sure that nothing of PostgreSQL is left"},
	{ID: "FE-30", In: Fenced, When: all(fenceProven, guardFired, armRested, disarmIdle), Then: disarm,
		Why: "nothing of PostgreSQL is left: telling the guard"},
	{ID: "FE-35", In: Fenced, When: all(guardFired), Why: "waiting for the guard to stand down"},
	{ID: "FE-40", In: Fenced, When: all(fenceProven),
		Then: act{"forget the lease", func(e *Engine) { e.s.lease.held = false; e.s.demotion = demotion{cause: "fenced"} }}, To: Stopped,
		Why: "nothing of PostgreSQL is left: finding a new role"},
	{ID: "FE-99", In: Fenced, When: always, Why: "fenced: trying again in {retry in} after: {error}"},
}

var (
	// fenceProven: a stop of the kind that scans for leftovers has succeeded since this state began.
	fenceProven = predicate{"it is proven that nothing of PostgreSQL is left", func(s *state) bool {
		return !s.running() && s.gone && s.acted > s.lifeSince && s.failures == 0
	}}
	disarmIdle = predicate{"the guard was not told yet", func(s *state) bool { return s.find(events.ActDisarmGuard) == nil }}
)

// Chapter PA: maintenance mode. PostgreSQL is neither started nor stopped on our initiative.
var pausedRules = []row{
	{ID: "PA-01", In: Paused, When: all(shutdownAsked), To: Stopping,
		Why: "asked to stop: PostgreSQL and the lease are left alone, the cluster is paused"},
	{ID: "PA-10", In: Paused, When: all(not(pauseOn), leaseSafe, isPrimary), To: Leading, Why: "the pause is over"},
	{ID: "PA-12", In: Paused, When: all(not(pauseOn), leaseSafe, running, not(isReplica)), To: Leading,
		Why: "the pause is over; PostgreSQL has not answered for {silence}"},
	{ID: "PA-15", In: Paused, When: all(not(pauseOn)), To: Starting, Why: "the pause is over"},
	{ID: "PA-08", In: Paused, When: all(guardFired, down, armRested, disarmIdle), Then: disarm,
		Why: "the guard has fired and nothing of PostgreSQL is left: telling it, so that a person may start PostgreSQL"},
	{ID: "PA-20", In: Paused, When: all(leaseHeld, looked, either(down, isReplica), not(promotionAwaited), leaseOpIdle), Then: releaseLease,
		Why: "PostgreSQL is not running as a primary: the lease is released"},
	{ID: "PA-25", In: Paused, When: all(dcsUp, leaseNamesMe, isPrimary, leaseOpIdle, campaignReady), Then: claimLease,
		Why: "the leader key names this member: claiming it"},
	{ID: "PA-30", In: Paused, When: all(dcsUp, leaseFree, isPrimary, not(foreignData), timelineOK, leaseOpIdle, campaignReady),
		Then: acquireFree,
		Why:  "a primary, and nobody holds the lease: taking it"},
	{ID: "PA-35", In: Paused, When: all(orderRestart, running, either(isReplica, leaseSafe), idle), Then: restartServer, To: Restarting,
		Why: "an operator asked for a restart"},
	{ID: "PA-40", In: Paused, When: all(leaseSafe, isPrimary, switchDue, candidateNamed, not(switchFutile), idle),
		Then: prepareSwitch, To: Switching,
		Why: "an operator asks for a switchover to {candidate}"},
	{ID: "PA-45", In: Paused, When: all(dcsUp, leaseNamesMe, isReplica, mayLead, leaseOpIdle, campaignReady),
		Then: claimLease, To: Campaigning,
		Why: "the leader key names this member: an operator's switchover"},
	{ID: "PA-50", In: Paused, When: all(leaderOther, isReplica, idle, rested, upstreamWrong), Then: follow,
		Why: "following {leader}"},
	{ID: "PA-60", In: Paused, When: all(leaseHeld, isPrimary), Why: "paused; the leader"},
	{ID: "PA-65", In: Paused, When: all(isPrimary), Why: "paused; a primary without the lease, held by {leader}"},
	{ID: "PA-70", In: Paused, When: all(not(running)), Why: "paused; PostgreSQL is not running"},
	{ID: "PA-99", In: Paused, When: always, Why: "paused"},
}

var (
	candidateNamed   = predicate{"a candidate is named", func(s *state) bool { return s.view.Failover.Candidate != "" }}
	promotionAwaited = predicate{"a promotion is under way", func(s *state) bool { return s.find(events.ActPromote) != nil }}
)

// Chapter SX: only a person can help this data directory.
var strandedRules = []row{
	{ID: "SX-01", In: Stranded, When: all(shutdownAsked), To: Stopping, Why: "asked to stop"},
	{ID: "SX-08", In: Stranded, When: all(orderReinit, idle, leaderOther, not(sourceAsked)), Then: askSource,
		Why: "an operator asked for a fresh copy: asking {leader} before anything is thrown away"},
	{ID: "SX-12", In: Stranded, When: all(orderReinit, idle, sourceFlawed), Then: refuseReinit, Refusal: true,
		Why: "no fresh copy, as the leader ({leader}) is not known to work: {flaw}"},
	{ID: "SX-10", In: Stranded, When: all(orderReinit, idle, down, sourceProven, sourceReady), Then: cloneAnew, To: Cloning,
		Why: "an operator asked for a fresh copy of {leader}"},
	{ID: "SX-20", In: Stranded, When: all(looked, dataEmpty), To: Starting, Why: "the data directory is empty now"},
	{ID: "SX-30", In: Stranded, When: all(reasonGone), To: Starting, Why: "the reason is gone"},
	{ID: "SX-99", In: Stranded, When: always, Why: "needs an operator: {stranded}"},
}

// reasonGone looks at what stranded the member: a DCS that knows it again, another leader, other settings.
var reasonGone = predicate{"what stranded this member has changed", func(s *state) bool { return s.viewKnown && s.strandKey() != s.stranded.key }}

// strandKey is what a stranded member's fate depends on.
type strandKey struct {
	leader, initialize, systemID string
	data                         events.DataState
	rewind, discard, discardBad  bool
}

func (s *state) strandKey() strandKey {
	k := strandKey{leader: s.leader(), systemID: s.pg.Control.SystemID, data: s.pg.Data, rewind: s.settings.UsePgRewind,
		discard: s.settings.RemoveDataDirectoryOnDivergence, discardBad: s.settings.RemoveDataDirectoryOnRewindFailure}
	if s.view.Initialize != nil {
		k.initialize = *s.view.Initialize
	}
	return k
}

// Chapter SD: the agent was asked to stop.
var stoppingRules = []row{
	{ID: "SD-10", In: Stopping, When: all(pauseOn, idle), Then: leave, To: Exited,
		Why: "the cluster is paused: PostgreSQL and the lease are left alone"},
	{ID: "SD-20", In: Stopping, When: all(not(idle)), Why: "PostgreSQL is being stopped"},
	{ID: "SD-25", In: Stopping, When: all(not(leaseOpIdle)), Why: "waiting for the DCS to answer about the lease, before the agent ends"},
	{ID: "SD-30", In: Stopping, When: all(down), Then: leave, To: Exited, Why: "PostgreSQL is down"},
	{ID: "SD-35", In: Stopping, When: all(not(pgSeen)), Then: leave, To: Exited, Why: "PostgreSQL was never looked at"},
	{ID: "SD-40", In: Stopping, When: all(stoppedTwice), Then: leave, To: Exited,
		Why: "PostgreSQL does not stop: {error}"},
	{ID: "SD-50", In: Stopping, When: all(running, foreignData), Then: leave, To: Exited,
		Why: "PostgreSQL is of another cluster: it is left alone"},
	{ID: "SD-60", In: Stopping, When: all(either(running, died)), Then: stopForExit, Why: "stopping PostgreSQL"},
	{ID: "SD-99", In: Stopping, When: always, Why: "waiting for a look at PostgreSQL"},
	{ID: "EX-99", In: Exited, When: always, Why: "the agent has ended"},
}

var (
	pgSeen       = predicate{"PostgreSQL was looked at", func(s *state) bool { return s.pgKnown }}
	stoppedTwice = predicate{"it was told to stop twice", func(s *state) bool { return s.demotion.tries >= 2 }}
	stopForExit  = act{"stop_postgres fast", func(e *Engine) {
		if e.s.demotion.cause != "asked to stop" {
			e.s.demotion = demotion{cause: "asked to stop", mode: events.StopFast, asked: e.s.now}
		}
		e.stopServer()
	}}
)
