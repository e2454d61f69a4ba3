package engine

import "github.com/regent-ha/regent/events"

// Chapter FL: a replica. The rows from FL-20 to FL-39 say whether it campaigns, and why not.
var followingRules = []row{
	{ID: "FL-01", In: Following, When: all(shutdownAsked, idle), To: Stopping, Why: "asked to stop"},
	{ID: "FL-02", In: Following, When: all(shutdownAsked, otherEffect, notCancelled), Then: cancelOther,
		Why: "asked to stop: what is under way is given up"},
	{ID: "FL-03", In: Following, When: all(foreignData), To: Stranded,
		Why: "the data belongs to another cluster: {system id} here, {cluster id} in the DCS"},
	{ID: "FL-04", In: Following, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "FL-05", In: Following, When: all(pauseOn, idle), To: Paused, Why: "the cluster is paused"},
	{ID: "FL-08", In: Following, When: all(died, down, idle), To: Stopped, Why: "PostgreSQL is gone"},
	{ID: "FL-09", In: Following, When: all(died, idle), Why: "the postmaster died: waiting until nothing of it is left"},
	{ID: "FL-10", In: Following, When: all(looked, isPrimary, idle),
		Then: demote("somebody promoted PostgreSQL without the lease", events.StopImmediate, false), To: Demoting,
		Why: "PostgreSQL is a primary, and this member does not hold the lease"},
	{ID: "FL-11", In: Following, When: all(orderReinit, idle, leaderOther, not(sourceAsked)), Then: askSource,
		Why: "an operator asked for a fresh copy: asking {leader} before anything is thrown away"},
	{ID: "FL-12", In: Following, When: all(orderReinit, idle, sourceProven), Then: demoteForReinit, To: Demoting,
		Why: "an operator asked for a fresh copy"},
	{ID: "FL-13", In: Following, When: all(orderReinit, idle, sourceFlawed), Then: refuseReinit, Refusal: true,
		Why: "no fresh copy, as the leader ({leader}) is not known to work: {flaw}"},
	{ID: "FL-14", In: Following, When: all(orderRestart, idle), Then: restartServer, To: Restarting,
		Why: "an operator asked for a restart"},
	{ID: "FL-18", In: Following, When: all(leaseSafe), To: Campaigning, Why: "the lease is held: to be promoted, or to give it back"},
	{ID: "FL-20", In: Following, When: all(dcsUp, leaseNamesMe, mayLead, isReplica, timelineOK, campaignReady, leaseOpIdle),
		Then: claimLease, To: Campaigning,
		Why: "the leader key names this member: claiming the lease"},
	{ID: "FL-19", In: Following, When: all(leaseFree, unsupported), Refusal: true,
		Why: "{unsupported} is set, and this version of regent cannot keep what it promises: not taking the lead"},
	{ID: "FL-21", In: Following, When: all(leaseFree, not(dcsUp)), Refusal: true, Why: "the DCS does not answer: {dcs}"},
	{ID: "FL-22", In: Following, When: all(leaseFree, not(mayLead)), Refusal: true,
		Why: "tagged nofailover, or with failover_priority 0"},
	{ID: "FL-23", In: Following, When: all(leaseFree, not(isReplica)), Refusal: true,
		Why: "PostgreSQL has not answered for {silence}"},
	{ID: "FL-24", In: Following, When: all(leaseFree, initAbsent, not(failoverToMe)), Refusal: true,
		Why: "the DCS knows no cluster: a replica never initializes one. Restore the DCS, start the former primary, or order a failover to one member"},
	{ID: "FL-25", In: Following, When: all(leaseFree, not(timelineOK), not(failoverToMe)), Refusal: true,
		Why: "timeline {timeline} is older than the cluster's, {cluster timeline}"},
	{ID: "FL-26", In: Following, When: all(leaseFree, lagging, not(namedCandidate)), Refusal: true,
		Why: "{lag} bytes behind the last leader, more than maximum_lag_on_failover, {max lag}"},
	{ID: "FL-27", In: Following, When: all(leaseFree, justStoodDown), Refusal: true,
		Why: "this member has just stepped down: another is to lead"},
	{ID: "FL-28", In: Following, When: all(leaseFree, guardMissing), Refusal: true,
		Why: "the guard is required and missing: {guard}"},
	{ID: "FL-31", In: Following, When: all(leaseFree, memberMissing, not(namedCandidate)), Refusal: true,
		Why: "this agent has just begun, and {missing}, whose slot is kept here, is not up yet: it may have newer WAL"},
	{ID: "FL-29", In: Following, When: all(leaseFree, not(campaignReady)), Refusal: true,
		Why: "stood back a moment ago: {peers}"},
	{ID: "FL-30", In: Following, When: all(leaseFree, idle, leaseOpIdle), Then: askPeers, To: Campaigning,
		Why: "nobody holds the lease: asking the other members"},
	{ID: "FL-40", In: Following, When: all(leaderOther, isReplica, idle, rested, upstreamWrong, either(upstreamReady, leaderLate)), Then: follow,
		Why: "following {leader}"},
	{ID: "FL-44", In: Following, When: all(leaderOther, dcsUp, looked, isReplica, idle, rested, upstreamReady, notStreaming, either(unchecked, checkedLongAgo)),
		Then: compare,
		Why:  "nothing is streamed from {leader}: comparing histories"},
	{ID: "FL-46", In: Following, When: all(leaderOther, idle, rested, upstreamReady, notStreaming, hasDiverged),
		Then: demote("this replica has WAL that the leader does not", events.StopFast, false), To: Demoting,
		Why: "this replica has WAL that {leader} does not: stopping, to be rewound"},
	{ID: "FL-50", In: Following, When: all(leaderOther, notStreaming),
		Why: "a replica of {leader}, from which nothing is streamed"},
	{ID: "FL-60", In: Following, When: all(leaderOther), Why: "a replica, and {leader} leads"},
	{ID: "FL-99", In: Following, When: always, Why: "a replica, waiting for the DCS: {dcs}"},
}

var (
	// checkedLongAgo: what is not streamed for long may have more reasons by now.
	checkedLongAgo = predicate{"the histories were compared more than a loop_wait ago", func(s *state) bool {
		return s.diverged.known && !s.diverged.found && s.now >= s.diverged.at.Add(s.settings.LoopWait)
	}}
	// askedLongAgo: a request to the store may have been without an answer for many seconds, in which others led.
	askedLongAgo = predicate{"another has led since the peers were asked, or it is long ago", func(s *state) bool {
		return s.ask.effect != 0 && (s.lastLeadChange > s.ask.at || s.now >= s.ask.at.Add(askPatience))
	}}
	restartsPrimary = predicate{"the restart is a primary's", func(s *state) bool { return s.makesPrimary() }}
	lagging         = predicate{"this member is further behind than maximum_lag_on_failover", func(s *state) bool {
		return s.lag() > s.settings.MaximumLagOnFailover
	}}
	// failoverToMe: a person who knows that the newest timeline is lost may give it up.
	failoverToMe = predicate{"an operator ordered a failover to this member", func(s *state) bool {
		return s.view.Failover.Candidate == s.self() && s.view.Failover.Leader == "" && s.view.Failover.ScheduledAt == ""
	}}
	namedCandidate = predicate{"an operator named this member", func(s *state) bool { return s.view.Failover.Candidate == s.self() }}
	// justStoodDown holds for a loop_wait: longer would be a dead end where no other member is fit.
	justStoodDown = predicate{"this member stepped down for a switchover", func(s *state) bool {
		return s.view.Failover.Leader == s.self() && s.othersExist() && s.now < s.lastLeadChange.Add(s.settings.LoopWait)
	}}
	guardMissing = predicate{"the required guard is missing", func(s *state) bool {
		return s.member.GuardPolicy == guardRequired && !s.guard.Alive
	}}
)

// lag is how far this member is behind what the last leader published.
func (s *state) lag() events.LSN {
	if p := s.pg.Server.Position(); s.view.Status.Optime > p {
		return s.view.Status.Optime - p
	}
	return 0
}

// Chapter CA: the race for a free lease.
var campaignRules = []row{
	// A promotion that an agent had asked for before it died may end under its successor. A primary keeps the lease, or is stopped first.
	{ID: "CA-09", In: Campaigning, When: all(leaseSafe, looked, isPrimary, timelineOK), To: Promoting,
		Why: "the lease is won, epoch {epoch}, and PostgreSQL is a primary already: it was promoted for an agent that has ended"},
	{ID: "CA-12", In: Campaigning, When: all(leaseHeld, looked, isPrimary), To: Following,
		Why: "the lease is won, and PostgreSQL is a primary on timeline {timeline}: stopping it before the lease is given back"},
	{ID: "CA-01", In: Campaigning, When: all(shutdownAsked, leaseHeld), Then: releaseLease, To: Stopping,
		Why: "asked to stop"},
	{ID: "CA-02", In: Campaigning, When: all(shutdownAsked, leaseOpIdle), To: Stopping, Why: "asked to stop"},
	{ID: "CA-03", In: Campaigning, When: all(leaseSafe, not(viewShowsLease), not(viewLate)),
		Why: "the lease is won, epoch {epoch}: waiting until the view of the DCS shows it, and with it all that was written before"},
	{ID: "CA-08", In: Campaigning, When: all(leaseHeld, not(viewShowsLease), viewLate), Then: releaseLease, To: Following, Refusal: true,
		Why: "the lease is won, epoch {epoch}, but the view of the DCS does not come up to it ({dcs}): giving it back"},
	{ID: "CA-04", In: Campaigning, When: all(leaseHeld, not(timelineOK), not(failoverToMe)), Then: releaseLease, To: Following, Refusal: true,
		Why: "the lease is won, but timeline {timeline} is older than the cluster's, {cluster timeline}: giving it back"},
	{ID: "CA-05", In: Campaigning, When: all(leaseSafe, isReplica), To: Promoting, Why: "the lease is won, epoch {epoch}"},
	{ID: "CA-06", In: Campaigning, When: all(leaseHeld, not(isReplica)), Then: releaseLease, To: Following,
		Why: "the lease was won, but PostgreSQL does not answer: giving it back"},
	{ID: "CA-07", In: Campaigning, When: all(leaseHeld), Why: "the lease is won, and must be renewed before it is acted on"},
	{ID: "CA-10", In: Campaigning, When: all(not(leaseOpIdle)), Why: "waiting for the DCS to answer about the lease"},
	{ID: "CA-15", In: Campaigning, When: all(leaderOther), To: Following, Why: "{leader} was first"},
	{ID: "CA-16", In: Campaigning, When: all(not(isReplica)), To: Following,
		Why: "PostgreSQL is not an answering replica any more"},
	{ID: "CA-17", In: Campaigning, When: all(not(dcsUp)), To: Following, Why: "the DCS does not answer: {dcs}"},
	{ID: "CA-20", In: Campaigning, When: all(leaseNamesMe, campaignReady), Then: claimLease,
		Why: "the leader key names this member: claiming the lease"},
	{ID: "CA-25", In: Campaigning, When: all(leaseNamesMe), Why: "waiting a moment before claiming again"},
	{ID: "CA-28", In: Campaigning, When: all(not(asked)), To: Following,
		Why: "the lease is free again: the race starts anew"},
	{ID: "CA-29", In: Campaigning, When: all(askedLongAgo), To: Following,
		Why: "the answers are of before the lease was free, or too old: the race starts anew"},
	{ID: "CA-30", In: Campaigning, When: all(not(askedAll)), Why: "waiting for the other members: {peers}"},
	{ID: "CA-32", In: Campaigning, When: all(not(lookedAgain)), Why: "waiting for a look at the own position"},
	{ID: "CA-40", In: Campaigning, When: all(primaryAlive), Then: standBack, To: Following, Refusal: true,
		Why: "another primary is still alive: {peers}"},
	{ID: "CA-41", In: Campaigning, When: all(unfencedMute), Then: standBack, To: Following, Refusal: true,
		Why: "the lease of {last leader} ended in a pause, and its PostgreSQL is there and does not answer: it may accept writes when it goes on ({peers})"},
	{ID: "CA-42", In: Campaigning, When: all(somebodyAhead), Then: standBack, To: Following, Refusal: true,
		Why: "another member has newer WAL than {position}: {peers}"},
	{ID: "CA-44", In: Campaigning, When: all(candidateHealthy), Then: standBack, To: Following, Refusal: true,
		Why: "an operator named {candidate}, which can lead: {peers}"},
	{ID: "CA-46", In: Campaigning, When: all(somebodyPreferred), Then: standBack, To: Following, Refusal: true,
		Why: "a member with equal WAL has a higher failover_priority: {peers}"},
	{ID: "CA-50", In: Campaigning, When: all(campaignReady), Then: acquireFree,
		Why: "no reachable member has newer WAL than {position}: taking the lease ({peers})"},
	{ID: "CA-99", In: Campaigning, When: always, Why: "waiting a moment before trying again"},
}

// Chapter PR: recovery is being ended, under the lease.
var promotingRules = []row{
	{ID: "PR-02", In: Promoting, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "PR-05", In: Promoting, When: all(leaseEnding), Then: demote(causeDCSLost, events.StopImmediate, false), To: Demoting,
		Why: "the lease ends in {lease left} and could not be renewed: {dcs}"},
	{ID: "PR-06", In: Promoting, When: all(not(leaseHeld)),
		Then: demote("the lease was lost during promotion", events.StopImmediate, false), To: Demoting,
		Why: "the lease is lost: {leader} holds it"},
	{ID: "PR-08", In: Promoting, When: all(died, down, idle),
		Then: demote("PostgreSQL died during promotion", events.StopImmediate, true), To: Demoting,
		Why: "PostgreSQL died during promotion"},
	{ID: "PR-10", In: Promoting, When: all(looked, isPrimary, idle), To: Leading,
		Why: "PostgreSQL is out of recovery, on timeline {timeline}"},
	{ID: "PR-15", In: Promoting, When: all(idle, failedNow), Then: demote("promotion failed", events.StopImmediate, true), To: Demoting,
		Why: "promotion failed: {error}"},
	{ID: "PR-20", In: Promoting, When: all(idle, looked, isReplica, guardReady, shutdownAsked), Then: releaseLease, To: Stopping,
		Why: "asked to stop before the promotion began"},
	{ID: "PR-25", In: Promoting, When: all(idle, looked, guardReady, isReplica), Then: promote,
		Why: "the lease is held (epoch {epoch}) and the guard watches it: promoting"},
	{ID: "PR-30", In: Promoting, When: all(idle, not(guardReady), guardLost), Then: releaseLease, To: Following,
		Why: "the guard is required and does not come up ({guard}): giving the lease back"},
	{ID: "PR-35", In: Promoting, When: all(not(guardReady)), Why: "waiting until the guard holds the deadline: {guard}"},
	{ID: "PR-40", In: Promoting, When: all(idle, muteTooLong), Then: demote(causeHangs, events.StopImmediate, true), To: Demoting,
		Why: "PostgreSQL has not answered for {mute}, in the middle of its promotion: it is ended"},
	{ID: "PR-99", In: Promoting, When: always, Why: "PostgreSQL is ending recovery"},
}

// Chapter RS: a restart that an operator asked for.
var restartingRules = []row{
	{ID: "RS-02", In: Restarting, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "RS-05", In: Restarting, When: all(leaseEnding), Then: demote(causeDCSLost, events.StopImmediate, false), To: Demoting,
		Why: "the lease ends in {lease left} and could not be renewed: {dcs}"},
	{ID: "RS-06", In: Restarting, When: all(not(leaseHeld), restartsPrimary),
		Then: demote("the lease was lost during a restart", events.StopImmediate, false), To: Demoting,
		Why: "the lease is lost: {leader} holds it"},
	{ID: "RS-10", In: Restarting, When: all(idle, looked, isPrimary, leaseHeld), To: Leading, Why: "restarted"},
	{ID: "RS-15", In: Restarting, When: all(idle, looked, isReplica), To: Following, Why: "restarted"},
	{ID: "RS-18", In: Restarting, When: all(idle, looked, isPrimary),
		Then: demote("the lease was lost during a restart", events.StopImmediate, false), To: Demoting,
		Why: "the lease was lost during the restart"},
	{ID: "RS-20", In: Restarting, When: all(idle, looked, down, leaseHeld),
		Then: demote("PostgreSQL did not come back from a restart", events.StopKill, true), To: Demoting,
		Why: "PostgreSQL did not come back: {error}"},
	{ID: "RS-25", In: Restarting, When: all(idle, looked, down), To: Stopped,
		Why: "PostgreSQL did not come back: {error}"},
	{ID: "RS-99", In: Restarting, When: always, Why: "PostgreSQL restarts"},
}
