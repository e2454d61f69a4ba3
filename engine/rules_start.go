package engine

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Chapter ST: the member finds its place.
var startingRules = []row{
	{ID: "ST-01", In: Starting, When: all(shutdownAsked), To: Stopping, Why: "asked to stop"},
	{ID: "ST-05", In: Starting, When: all(otherOfMyName), Then: takeDuplicate, To: Exited,
		Why: "a member named {member} runs already, at another address, and answers"},
	{ID: "ST-06", In: Starting, When: all(mayBeDuplicate, not(asked)), Then: askNamesake,
		Why: "the DCS holds a record of a member named {member} at another address: asking it"},
	{ID: "ST-07", In: Starting, When: all(mayBeDuplicate, not(askedAll)),
		Why: "waiting for the answer of the other {member}"},
	{ID: "ST-08", In: Starting, When: all(guardFired), To: Fenced, Why: "the guard has fired: what is left of PostgreSQL is ended first"},
	{ID: "ST-10", In: Starting, When: all(pauseOn, looked), To: Paused, Why: "the cluster is paused"},
	{ID: "ST-15", In: Starting, When: all(foreignData), To: Stranded,
		Why: "the data belongs to another cluster: {system id} here, {cluster id} in the DCS"},
	{ID: "ST-20", In: Starting, When: all(running, isPrimary), To: Adopting, Why: "PostgreSQL runs as a primary"},
	{ID: "ST-25", In: Starting, When: all(dcsKnown, looked, running, isReplica), To: Following,
		Why: "PostgreSQL runs as a replica"},
	{ID: "ST-28", In: Starting, When: all(dcsKnown, looked, running, wasPrimary), To: Adopting,
		Why: "PostgreSQL runs and does not answer yet, and its data is a primary's"},
	{ID: "ST-30", In: Starting, When: all(dcsKnown, looked, running), To: Joining,
		Why: "PostgreSQL runs and does not answer yet"},
	{ID: "ST-40", In: Starting, When: all(dcsKnown, looked, dataPresent, down), To: Stopped, Why: "PostgreSQL is down"},
	{ID: "ST-50", In: Starting, When: all(dcsKnown, looked, dataEmpty, down), To: Waiting,
		Why: "the data directory is empty"},
	{ID: "ST-60", In: Starting, When: all(dcsKnown, looked, dataInvalid), To: Stranded,
		Why: "the data directory cannot be used: {problem}"},
	{ID: "ST-99", In: Starting, When: always, Why: "waiting for the DCS ({dcs}) and for a first look at PostgreSQL"},
}

var (
	// mayBeDuplicate looks at the record that the first snapshot brought: a restarted agent has the
	// address of its record.
	mayBeDuplicate = predicate{"a member of this name was recorded at another address", func(s *state) bool {
		if !s.viewKnown || s.published.member != "" {
			return false
		}
		m := s.view.Member(s.self())
		return m != nil && m.APIURL != "" && m.APIURL != s.member.APIURL
	}}
	otherOfMyName = predicate{"the other member of this name answers", func(s *state) bool {
		return mayBeDuplicate.ok(s) && len(s.ask.answers) == 1 && s.ask.answers[0].Reachable
	}}
	askNamesake = act{"ask_peers the member of the same name", func(e *Engine) {
		s := &e.s
		peer := events.Peer{Name: s.self(), APIURL: s.view.Member(s.self()).APIURL}
		s.ask = ask{at: s.now, until: s.now.Add(peerTimeout), peers: []events.Peer{peer}, answers: make([]events.PeerStatus, 1)}
		s.ask.effect = e.issue(events.AskPeers{Peers: s.ask.peers, Timeout: peerTimeout}, peerTimeout)
		s.namesake = true
	}}
)

// Chapter WA: there is no data yet.
var waitingRules = []row{
	{ID: "WA-01", In: Waiting, When: all(shutdownAsked), To: Stopping, Why: "asked to stop"},
	{ID: "WA-04", In: Waiting, When: all(guardFired), To: Fenced,
		Why: "the guard has fired, and would kill whatever is started here"},
	{ID: "WA-05", In: Waiting, When: all(pauseOn), To: Paused, Why: "the cluster is paused"},
	{ID: "WA-10", In: Waiting, When: all(looked, not(dataEmpty)), To: Starting,
		Why: "the data directory is not empty any more"},
	{ID: "WA-15", In: Waiting, When: all(not(rested)), Why: "trying again in {retry in} after: {error}"},
	{ID: "WA-20", In: Waiting, When: all(dcsUp, leaderOther, sourceReady, idle), Then: clone, To: Cloning,
		Why: "copying the data of {leader}"},
	{ID: "WA-25", In: Waiting, When: all(leaderOther), Why: "waiting until {leader} can be copied from"},
	{ID: "WA-27", In: Waiting, When: all(initAbsent, leaseFree, clusterWasHere), Refusal: true,
		Why: "the DCS has lost the cluster, of which there is data elsewhere: no other one is created. Restore the DCS, or start the former primary; " +
			"to begin anew, restart this agent when no member has data"},
	{ID: "WA-28", In: Waiting, When: all(initAbsent, leaseFree, unsupported), Refusal: true,
		Why: "{unsupported} is set, and this version of regent cannot keep what it promises: not creating a cluster"},
	{ID: "WA-29", In: Waiting, When: all(initAbsent, leaseFree, mayBootstrap, not(campaignReady)),
		Why: "claiming the right to create the cluster failed a moment ago"},
	{ID: "WA-30", In: Waiting, When: all(dcsUp, initAbsent, leaseFree, mayBootstrap), Then: claimInit, To: Bootstrapping,
		Why: "there is no cluster yet: racing for the right to create it"},
	{ID: "WA-40", In: Waiting, When: all(dcsUp, initPending, initOrphaned, leaseFree), Then: clearOrphan,
		Why: "the initialize key is empty and no member has been initializing for a ttl: clearing it"},
	{ID: "WA-45", In: Waiting, When: all(initPending), Why: "waiting for the member that is creating the cluster"},
	{ID: "WA-50", In: Waiting, When: all(initAbsent, leaseFree), Refusal: true,
		Why: "no cluster, and this member may not create it (no bootstrap section, or tagged nofailover)"},
	{ID: "WA-60", In: Waiting, When: all(initialized, leaseFree), Refusal: true,
		Why: "the cluster has no leader, and this member has no data to lead with"},
	{ID: "WA-99", In: Waiting, When: always, Why: "waiting for the DCS: {dcs}"},
}

// Chapter BS: this member creates the cluster.
var bootstrapRules = []row{
	{ID: "BS-01", In: Bootstrapping, When: all(shutdownAsked, idle), Then: abandonInit, To: Stopping,
		Why: "asked to stop"},
	{ID: "BS-02", In: Bootstrapping, When: all(shutdownAsked, otherEffect, notCancelled), Then: cancelOther,
		Why: "asked to stop: giving up initdb"},
	{ID: "BS-05", In: Bootstrapping, When: all(claimIsLost), Then: act{"", func(e *Engine) { e.s.claim = claimNone }}, To: Waiting,
		Why: "another member was first"},
	{ID: "BS-10", In: Bootstrapping, When: all(claimIsWon, idle, failedNow), Then: abandonInit, To: Waiting,
		Why: "the cluster could not be created: {error}"},
	{ID: "BS-20", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataEmpty), Then: bootstrap,
		Why: "won the race: initdb"},
	{ID: "BS-25", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataPresent, down, leaseHeld, not(initialized)),
		Why: "the data is there and the lease is held: waiting until the DCS bears the system identifier, so that no other cluster is created"},
	{ID: "BS-30", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataPresent, down, leaseHeld), Then: noteCrashed, To: Opening,
		Why: "the data is there and the lease is held"},
	{ID: "BS-35", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataPresent, down, leaderOther), To: Stopped,
		Why: "{leader} leads already"},
	{ID: "BS-38", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataPresent, down, leaseNamesMe, leaseOpIdle, campaignReady), Then: claimLease,
		Why: "the leader key names this member: claiming the lease"},
	{ID: "BS-40", In: Bootstrapping, When: all(claimIsWon, idle, looked, dataPresent, down, leaseOpIdle, campaignReady), Then: acquireFree,
		Why: "the data is there: taking the lease"},
	{ID: "BS-99", In: Bootstrapping, When: always, Why: "creating the cluster: {progress}"},
}

// Chapter CL: a base backup is being taken.
var cloneRules = []row{
	{ID: "CL-01", In: Cloning, When: all(shutdownAsked, idle), To: Stopping, Why: "asked to stop"},
	{ID: "CL-02", In: Cloning, When: all(shutdownAsked, otherEffect, notCancelled), Then: cancelOther,
		Why: "asked to stop: giving up the copy"},
	{ID: "CL-10", In: Cloning, When: all(idle, failedNow), To: Waiting, Why: "the copy failed: {error}"},
	{ID: "CL-20", In: Cloning, When: all(idle, looked, dataPresent, down), Then: startReplica, To: Joining,
		Why: "the copy is complete"},
	{ID: "CL-30", In: Cloning, When: all(idle, looked, dataEmpty), To: Waiting, Why: "nothing was copied"},
	{ID: "CL-99", In: Cloning, When: always, Why: "copying: {progress}"},
}

var (
	otherEffect = predicate{"an effect is in the way", func(s *state) bool {
		f := s.lifecycleEffect()
		return f != nil && f.effect.Action.ActionKind() != events.ActStopPostgres
	}}
	notCancelled = predicate{"it was not cancelled yet", func(s *state) bool {
		f := s.lifecycleEffect()
		return f != nil && !f.cancelled
	}}
)

// Chapter SP: PostgreSQL is down; its next role is found.
var stoppedRules = []row{
	{ID: "SP-01", In: Stopped, When: all(shutdownAsked), To: Stopping, Why: "asked to stop"},
	{ID: "SP-02", In: Stopped, When: all(guardFired, idle), To: Fenced,
		Why: "the guard has fired, and would kill whatever is started here"},
	{ID: "SP-09", In: Stopped, When: all(orderReinit, idle, leaderOther, not(sourceAsked)), Then: askSource,
		Why: "an operator asked for a fresh copy: asking {leader} before anything is thrown away"},
	{ID: "SP-03", In: Stopped, When: all(orderReinit, idle, sourceProven, sourceReady), Then: cloneAnew, To: Cloning,
		Why: "an operator asked for a fresh copy of {leader}"},
	{ID: "SP-04", In: Stopped, When: all(orderReinit, idle, sourceFlawed), Then: refuseReinit, Refusal: true,
		Why: "no fresh copy, as the leader ({leader}) is not known to work: {flaw}"},
	{ID: "SP-05", In: Stopped, When: all(pauseOn, idle, not(comesBack)), To: Paused, Why: "the cluster is paused"},
	{ID: "SP-06", In: Stopped, When: all(looked, running, idle), To: Starting,
		Why: "PostgreSQL runs: somebody started it"},
	{ID: "SP-07", In: Stopped, When: all(looked, dataEmpty, idle), To: Waiting, Why: "the data directory is empty"},
	{ID: "SP-08", In: Stopped, When: all(looked, dataInvalid, idle), To: Stranded,
		Why: "the data directory cannot be used: {problem}"},
	{ID: "SP-10", In: Stopped, When: all(foreignData, idle), To: Stranded,
		Why: "the data belongs to another cluster: {system id} here, {cluster id} in the DCS"},
	{ID: "SP-12", In: Stopped, When: all(not(idle)), Why: "comparing the history with that of {leader}"},
	{ID: "SP-14", In: Stopped, When: all(not(looked)), Why: "waiting for a look at PostgreSQL"},
	{ID: "SP-16", In: Stopped, When: all(not(rested)), Why: "trying again in {retry in} after: {error}"},
	{ID: "SP-20", In: Stopped, When: all(leaseSafe, wasPrimary, guardMayServe), Then: noteCrashed, To: Opening,
		Why: "the lease is still this member's: starting as its primary"},
	{ID: "SP-22", In: Stopped, When: all(dcsUp, leaseNamesMe, wasPrimary, mayLead, leaseOpIdle, campaignReady, guardMayServe),
		Then: claimLease,
		Why:  "the leader key names this member, from before it stopped: claiming it"},
	{ID: "SP-24", In: Stopped, When: all(not(leaseOpIdle)), Why: "waiting for the DCS to answer about the lease"},
	{ID: "SP-30", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, hasDiverged, canRewind, not(rewindFails)),
		Then: rewind, To: Rewinding,
		Why: "this member has WAL that {leader} does not: rewinding"},
	{ID: "SP-32", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, hasDiverged, canRewind, rewindFails, mayDiscardBad, sourceReady),
		Then: cloneAnew, To: Cloning,
		Why: "pg_rewind failed three times ({rewind error}) and the settings allow to discard the data: copying anew"},
	{ID: "SP-33", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, hasDiverged, canRewind, rewindFails), To: Stranded,
		Why: "pg_rewind failed three times: {rewind error}; reinitialize this member, or set remove_data_directory_on_rewind_failure"},
	{ID: "SP-34", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, hasDiverged, not(canRewind), mayDiscard, sourceReady),
		Then: cloneAnew, To: Cloning,
		Why: "this member has WAL that {leader} does not, and the settings allow to discard it: copying anew"},
	{ID: "SP-36", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, hasDiverged, not(canRewind)), To: Stranded,
		Why: "this member has WAL that {leader} does not, and may not be rewound (use_pg_rewind off, or no checksums and wal_log_hints off): reinitialize it"},
	{ID: "SP-40", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, unchecked, wasPrimary, unclean), Then: crashRecover, To: Recovering,
		Why: "the former primary crashed: its WAL is applied before its history is compared with that of {leader}"},
	{ID: "SP-44", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady, unchecked), Then: compare,
		Why: "comparing the history with that of {leader}"},
	{ID: "SP-48", In: Stopped, When: all(leaderOther, dcsUp, upstreamReady), Then: startReplica, To: Joining,
		Why: "the history agrees with that of {leader}"},
	{ID: "SP-50", In: Stopped, When: all(leaderOther, dcsUp, wasPrimary),
		Why: "waiting until {leader} runs as a primary, to compare histories"},
	{ID: "SP-52", In: Stopped, When: all(leaderOther, dcsUp), Then: startReplica, To: Joining,
		Why: "a replica of {leader}, which does not run as a primary yet"},
	{ID: "SP-56", In: Stopped, When: all(dcsUp, wasPrimary, viewDoubted),
		Why: "the DCS has said what the view does not show: looking again before anything is started"},
	{ID: "SP-58", In: Stopped, When: all(dcsUp, initAbsent, leaseFree, wasPrimary, wipedLately, not(ledLast)),
		Why: "the DCS knows no cluster: waiting a ttl for a member that still runs as a primary, before this data is taken for the newest"},
	{ID: "SP-60", In: Stopped, When: all(dcsUp, initAbsent, wasPrimary, mayLead, leaseOpIdle, campaignReady, leaseFree, guardMayServe),
		Then: acquireFree,
		Why:  "the DCS knows no cluster, and this data was a primary's: taking the lease"},
	{ID: "SP-65", In: Stopped, When: all(dcsUp, initAbsent, leaseFree), To: Stranded, Refusal: true,
		Why: "the DCS knows no cluster, and this data is a replica's: a replica never initializes a cluster. Restore the DCS, or start the former primary"},
	{ID: "SP-68", In: Stopped, When: all(dcsUp, leaseFree, handedOver),
		Why: "the lease was handed over a moment ago: waiting for the successor"},
	{ID: "SP-70", In: Stopped, When: all(dcsUp, leaseFree), Then: startReplica, To: Joining,
		Why: "nobody leads: starting as a replica, to be a candidate"},
	{ID: "SP-75", In: Stopped, When: all(dcsUp, leaseNamesMe), Then: startReplica, To: Joining,
		Why: "the leader key names this member, whose data is a replica's: starting, to be promoted"},
	{ID: "SP-76", In: Stopped, When: all(leaseSafe, not(wasPrimary), dataPresent), Then: startReplica, To: Joining,
		Why: "the lease is held, and the data is a replica's: starting, to be promoted"},
	{ID: "SP-80", In: Stopped, When: all(not(dcsUp), dataPresent), Then: startReplica, To: Joining,
		Why: "the DCS does not answer ({dcs}): serving reads as a replica of nobody"},
	{ID: "SP-99", In: Stopped, When: always, Why: "waiting for the DCS: {dcs}"},
}

// clusterWasHere keeps an empty member from creating another cluster when the DCS was wiped under a living one.
var clusterWasHere = predicate{"this agent has seen the cluster, or a member's record tells of data", func(s *state) bool {
	return s.sawCluster || s.someoneHasData()
}}

// wipedLately: whoever held a lease in a DCS that was wiped may still accept writes until the end that it had.
var wipedLately = predicate{"the DCS has known no cluster for less than a ttl", func(s *state) bool {
	return s.initAbsentSince != 0 && s.now < s.initAbsentSince.Add(s.ttl())
}}

// viewDoubted: what the store said of the lease, or of its own revision, contradicts the view. What is started on such a view may make
// a replica of the one member that may restore a cluster that the store has lost.
var viewDoubted = predicate{"the view of the DCS is older than what the DCS has said since", func(s *state) bool { return s.doubtsView() }}

func (s *state) doubtsView() bool { return s.lostAt > s.viewAt || s.regressed > 0 }

// ledLast: nobody else can hold a lease that a wiped DCS has forgotten.
var ledLast = predicate{"this member was the last leader", func(s *state) bool { return s.lastLead == s.self() }}

// comesBack is the end of what an operator ordered: in a pause, too, the former primary of a switchover becomes a replica.
var comesBack = predicate{"this member stepped down for a switchover and is not back yet", func(s *state) bool { return s.comesBack }}

// handedOver spares a former leader a start as a candidate: its successor is about to lead, and comparing
// histories before the start is quicker than after it.
var handedOver = predicate{"this member gave the lease away a moment ago", func(s *state) bool {
	return s.gaveUp != 0 && s.lastLead == s.self() && s.now < s.lastLeadChange.Add(successorPatience)
}}

const successorPatience = 3 * time.Second

// guardMayServe: a required guard must live before the lease is taken, or it would be taken in vain.
var guardMayServe = predicate{"a required guard lives", func(s *state) bool {
	return s.member.GuardPolicy != guardRequired || s.guard.Alive
}}

// Chapters RC and RW: the data is made fit to follow.
var repairRules = []row{
	{ID: "RC-01", In: Recovering, When: all(shutdownAsked, idle), To: Stopping, Why: "asked to stop"},
	{ID: "RC-02", In: Recovering, When: all(shutdownAsked, otherEffect, notCancelled), Then: cancelOther,
		Why: "asked to stop: giving up crash recovery"},
	{ID: "RC-10", In: Recovering, When: all(idle), To: Stopped, Why: "crash recovery has ended"},
	{ID: "RC-99", In: Recovering, When: always, Why: "crash recovery: {progress}"},
	{ID: "RW-01", In: Rewinding, When: all(shutdownAsked, idle), To: Stopping, Why: "asked to stop"},
	{ID: "RW-10", In: Rewinding, When: all(idle), To: Stopped, Why: "pg_rewind has ended"},
	{ID: "RW-99", In: Rewinding, When: always, Why: "pg_rewind: {progress}"},
}

// Chapter JO: PostgreSQL starts as a replica.
var joiningRules = []row{
	{ID: "JO-04", In: Joining, When: all(guardFired), To: Fenced, Why: "the guard has killed PostgreSQL"},
	{ID: "JO-05", In: Joining, When: all(looked, isPrimary, idle),
		Then: demote("PostgreSQL came up as a primary without the lease", events.StopImmediate, false), To: Demoting,
		Why: "PostgreSQL came up as a primary, and this member does not hold the lease"},
	{ID: "JO-10", In: Joining, When: all(looked, isReplica, idle), To: Following, Why: "PostgreSQL answers as a replica"},
	{ID: "JO-15", In: Joining, When: all(shutdownAsked, idle), To: Stopping, Why: "asked to stop"},
	{ID: "JO-16", In: Joining, When: all(shutdownAsked, otherEffect, notCancelled), Then: cancelOther,
		Why: "asked to stop: the start is given up"},
	{ID: "JO-20", In: Joining, When: all(looked, down, idle), To: Stopped, Why: "PostgreSQL did not start: {error}"},
	{ID: "JO-22", In: Joining, When: all(orderReinit, idle, leaderOther, not(sourceAsked)), Then: askSource,
		Why: "an operator asked for a fresh copy: asking {leader} before anything is thrown away"},
	{ID: "JO-25", In: Joining, When: all(orderReinit, idle, running, sourceProven), Then: demoteForReinit, To: Demoting,
		Why: "an operator asked for a fresh copy"},
	{ID: "JO-26", In: Joining, When: all(orderReinit, idle, sourceFlawed), Then: refuseReinit, Refusal: true,
		Why: "no fresh copy, as the leader ({leader}) is not known to work: {flaw}"},
	{ID: "JO-99", In: Joining, When: always, Why: "waiting until PostgreSQL answers: {progress}"},
}
