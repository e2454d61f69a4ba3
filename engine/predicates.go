package engine

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// The conditions that rules are made of. Each is one question about the folded state.
var (
	shutdownAsked = predicate{"the agent was asked to stop", func(s *state) bool { return s.shutdown }}
	pauseOn       = predicate{"the cluster is paused", func(s *state) bool { return s.viewKnown && s.settings.Pause }}

	dcsKnown = predicate{"the DCS was read", func(s *state) bool { return s.viewKnown }}
	dcsUp    = predicate{"the DCS answers", func(s *state) bool { return s.viewKnown && s.dcsUp }}

	leaseHeld   = predicate{"this member holds the lease", func(s *state) bool { return s.lease.held }}
	leaseSafe   = predicate{"the lease lasts long enough to act on it", func(s *state) bool { return s.lease.held && s.now < s.demoteAt() }}
	leaseEnding = predicate{"the lease ends before it could be renewed", func(s *state) bool { return s.lease.held && s.now >= s.demoteAt() }}
	leaseFree   = predicate{"nobody holds the lease", func(s *state) bool { return s.viewKnown && s.leader() == "" }}
	leaderOther = predicate{"another member leads", func(s *state) bool {
		leader := s.leader()
		return leader != "" && leader != s.self()
	}}
	leaseNamesMe = predicate{"the leader key names this member", func(s *state) bool {
		return !s.lease.held && s.viewKnown && s.leader() == s.self() && !s.namesake
	}}
	leaseOpIdle   = predicate{"no lease operation is under way", func(s *state) bool { return s.leaseEffect() == nil }}
	campaignReady = predicate{"the pause between two attempts is over", func(s *state) bool { return s.now >= s.campaign }}

	initAbsent  = predicate{"the cluster is not initialized", func(s *state) bool { return s.viewKnown && s.view.Initialize == nil }}
	initPending = predicate{"somebody is initializing the cluster", func(s *state) bool {
		return s.viewKnown && s.view.Initialize != nil && *s.view.Initialize == ""
	}}
	initOrphaned = predicate{"no member has been initializing it for a ttl", func(s *state) bool { return s.initSeen != 0 && s.now >= s.initSeen.Add(s.ttl()) }}
	initialized  = predicate{"the cluster is initialized", func(s *state) bool { return s.view.Initialized() }}
	foreignData  = predicate{"the data belongs to another cluster", func(s *state) bool {
		return s.view.Initialized() && s.pg.Control.SystemID != "" && s.pg.Control.SystemID != *s.view.Initialize
	}}
	claimIsWon   = predicate{"this member won the right to initialize", func(s *state) bool { return s.claim == claimWon }}
	claimIsLost  = predicate{"another member won the right to initialize", func(s *state) bool { return s.claim == claimLost }}
	mayBootstrap = predicate{"this member may bootstrap", func(s *state) bool { return s.member.CanBootstrap && s.member.Tags.MayLead() }}
	mayLead      = predicate{"the tags allow this member to lead", func(s *state) bool { return s.member.Tags.MayLead() }}

	dataEmpty   = predicate{"the data directory is empty", func(s *state) bool { return s.pgKnown && s.pg.Data == events.DataEmpty }}
	dataPresent = predicate{"there is data", func(s *state) bool { return s.pg.Data == events.DataPresent }}
	dataInvalid = predicate{"the data directory is not PostgreSQL's", func(s *state) bool { return s.pg.Data == events.DataInvalid }}
	looked      = predicate{"PostgreSQL was looked at since the last effect", func(s *state) bool { return s.pgKnown && s.pg.Sampled >= s.acted }}
	running     = predicate{"PostgreSQL runs", func(s *state) bool { return s.running() }}
	// A start that was given up may have launched a server all the same: only a later look, or a stop, proves that it is down.
	down = predicate{"PostgreSQL is down, children included", func(s *state) bool {
		return s.pgKnown && !s.running() && (s.gone || !s.exited) && s.pg.Sampled >= s.launched
	}}
	died       = predicate{"the postmaster died", func(s *state) bool { return s.exited }}
	isPrimary  = predicate{"PostgreSQL is out of recovery", func(s *state) bool { return s.primary() }}
	isReplica  = predicate{"PostgreSQL is in recovery and answers", func(s *state) bool { return s.replica() }}
	wasPrimary = predicate{"the data was a primary's", func(s *state) bool {
		// A copy that was never started has a backup label, and is nobody's primary.
		// A promotion that did not end leaves no signal file, and a state of recovery.
		return s.pg.Data == events.DataPresent && !s.pg.Control.StandbySignal && !s.pg.Control.BackupLabelSeen &&
			s.pg.Control.State != "shut down in recovery" && s.pg.Control.State != "in archive recovery"
	}}
	unclean = predicate{"the data was not shut down cleanly", func(s *state) bool { return !s.pg.Control.Clean() }}
	// An acquisition may have been under way for seconds: who led meanwhile, and on which timeline, is in the DCS, and not yet in a view
	// that does not even show this member's own lease.
	viewShowsLease = predicate{"the view of the DCS shows this lease", func(s *state) bool {
		return s.view.Leader == s.self() && s.view.LeaderRevision >= s.lease.epoch
	}}
	viewLate   = predicate{"the view had ten seconds to show it", func(s *state) bool { return s.now >= s.lifeSince.Add(switchTimeout) }}
	timelineOK = predicate{"the timeline is the cluster's newest", func(s *state) bool { return s.timeline() == 0 || s.timeline() >= s.view.ClusterTimeline() }}

	unsupported = predicate{"a setting promises what this version cannot keep", func(s *state) bool { return s.settings.Unsupported != "" }}

	idle      = predicate{"no effect works on the data directory", func(s *state) bool { return s.lifecycleEffect() == nil }}
	rested    = predicate{"the pause after the last failure is over", func(s *state) bool { return s.now >= s.restUntil }}
	failedNow = predicate{"the last effect failed", func(s *state) bool { return s.failures > 0 }}

	sourceReady   = predicate{"the leader can be copied from", func(s *state) bool { return s.cloneSource() != nil }}
	upstreamReady = predicate{"the leader runs as a primary", func(s *state) bool { return s.leaderIsPrimary() }}
	leaderLate    = predicate{"the leader had a second to become a primary", func(s *state) bool { return s.now >= s.lastLeadChange.Add(promotePatience) }}
	upstreamWrong = predicate{"another upstream is to be followed", func(s *state) bool {
		up := s.wantedUpstream()
		return up.ConnURL != "" && up != s.upstream
	}}
	notStreaming = predicate{"nothing was streamed for 3 s", func(s *state) bool { return s.now >= s.streamed.Add(streamPatience) }}
	unchecked    = predicate{"the history was not compared with this leader's", func(s *state) bool {
		return !s.diverged.known || s.diverged.leader != s.leader()
	}}
	hasDiverged = predicate{"this member has WAL that the leader has not", func(s *state) bool {
		return s.diverged.known && s.diverged.found && s.diverged.leader == s.leader()
	}}
	canRewind     = predicate{"pg_rewind is allowed and possible", func(s *state) bool { return s.settings.UsePgRewind && s.pg.Control.CanRewind }}
	rewindFails   = predicate{"pg_rewind failed three times", func(s *state) bool { return s.rewinds.failed >= 3 }}
	mayDiscard    = predicate{"diverged data may be discarded", func(s *state) bool { return s.settings.RemoveDataDirectoryOnDivergence }}
	mayDiscardBad = predicate{"data that could not be rewound may be discarded", func(s *state) bool {
		return s.settings.RemoveDataDirectoryOnRewindFailure || s.settings.RemoveDataDirectoryOnDivergence
	}}

	guardReady = predicate{"the guard holds the lease's deadline", func(s *state) bool { return s.guardReady() }}
	guardFired = predicate{"the guard has fired", func(s *state) bool { return s.guard.Fired }}
	guardLost  = predicate{"the required guard has been missing, or deaf, too long", func(s *state) bool {
		return s.member.GuardPolicy == guardRequired &&
			(s.guardGone != 0 && s.now >= s.guardGone.Add(guardPatience) || s.armFailed != 0 && s.now >= s.armFailed.Add(guardPatience))
	}}

	failOverAtOnce = predicate{"primary_start_timeout is 0", func(s *state) bool { return s.settings.PrimaryStartTimeout == 0 }}
	startOverdue   = predicate{"primary_start_timeout is over", func(s *state) bool { return s.opened != 0 && s.now >= s.opened.Add(s.openPatience()) }}
	othersExist    = predicate{"there are other members", func(s *state) bool { return s.othersExist() }}

	asked       = predicate{"peers were asked", func(s *state) bool { return s.ask.effect != 0 }}
	askedAll    = predicate{"every peer that matters has answered, or its time is over", func(s *state) bool { return s.askComplete() }}
	lookedAgain = predicate{"the own position is newer than the question", func(s *state) bool { return s.pg.Sampled >= s.ask.at || s.now >= s.ask.until }}

	orderRestart = predicate{"an operator asks for a restart", func(s *state) bool { return s.order != nil && s.order.Verb == events.AskRestart }}
	orderReinit  = predicate{"an operator asks for a fresh copy", func(s *state) bool { return s.order != nil && s.order.Verb == events.AskReinitialize }}
)

const (
	guardRequired  = "required"
	guardOff       = "off"
	guardPatience  = 5 * time.Second
	streamPatience = 3 * time.Second
	// promotePatience is how long a replica waits with its connection to a new leader, which a promotion would end at once.
	promotePatience = time.Second
	adoptPatience   = 2 * time.Second
)

// openPatience is how long a start as a primary may take. A primary_start_timeout of 0 says what to do after a
// crash; it does not forbid the first start of a cluster.
func (s *state) openPatience() time.Duration {
	if s.settings.PrimaryStartTimeout == 0 {
		return events.DefaultSettings().PrimaryStartTimeout
	}
	return s.settings.PrimaryStartTimeout
}

func (s *state) running() bool { return s.pgKnown && s.pg.Running && !s.exited }
func (s *state) primary() bool { return s.running() && s.pg.Answering && !s.pg.Server.InRecovery }
func (s *state) replica() bool { return s.running() && s.pg.Answering && s.pg.Server.InRecovery }

func (s *state) timeline() events.Timeline {
	if s.running() && s.pg.Answering && s.pg.Server.Timeline != 0 {
		return s.pg.Server.Timeline
	}
	return s.pg.Control.Timeline
}

// guardReady tells whether PostgreSQL may run as a primary as far as the guard is concerned: it
// holds a deadline within the lease, or policy goes on without it.
func (s *state) guardReady() bool {
	if s.member.GuardPolicy == guardOff {
		return true
	}
	if s.find(events.ActDisarmGuard) != nil {
		return false // what it holds now it will not hold for long
	}
	if s.guard.Alive && !s.guard.Fired && s.guard.Deadline > s.now && s.guard.Deadline <= s.lease.until {
		return true
	}
	return s.member.GuardPolicy != guardRequired && (!s.guardKnown || !s.guard.Alive || s.armFailed != 0)
}

func (s *state) othersExist() bool {
	for i := range s.view.Members {
		if m := &s.view.Members[i]; m.Name != s.self() && m.APIURL != "" {
			return true
		}
	}
	return false
}

func (s *state) leaderIsPrimary() bool {
	m := s.view.Member(s.leader())
	return m != nil && m.State == stateRunning && (m.Role == rolePrimary || m.Role == "master")
}

// wantedUpstream is whom this member should follow: the leader, or the member that replicatefrom
// names while that one is there.
func (s *state) wantedUpstream() events.Upstream {
	leader := s.leader()
	if leader == "" || leader == s.self() || s.member.Tags.NoStream {
		return events.Upstream{}
	}
	m := s.view.Member(leader)
	if rf := s.member.Tags.ReplicateFrom; rf != "" && !s.inCircle(rf, leader) {
		if c := s.view.Member(rf); c != nil && c.ConnURL != "" {
			m = c
		}
	}
	return upstreamOf(m)
}

// inCircle tells that replicatefrom leads from a member to this one, or round and round: nothing would come that way.
func (s *state) inCircle(from, leader string) bool {
	for range s.view.Members {
		if from == s.self() {
			return true
		}
		m := s.view.Member(from)
		if m == nil || from == leader || m.EffectiveTags().ReplicateFrom == "" {
			return false
		}
		from = m.EffectiveTags().ReplicateFrom
	}
	return true
}

func upstreamOf(m *events.MemberRecord) events.Upstream {
	if m == nil || m.ConnURL == "" {
		return events.Upstream{}
	}
	return events.Upstream{Name: m.Name, ConnURL: m.ConnURL, APIURL: m.APIURL}
}

// cloneSource is the member to copy from: a running replica tagged clonefrom, else the leader when
// it runs as a primary.
func (s *state) cloneSource() *events.MemberRecord {
	leader := s.leader()
	if leader == "" || leader == s.self() {
		return nil
	}
	if s.order == nil || !s.order.FromLeader {
		for i := range s.view.Members {
			m := &s.view.Members[i]
			tags := m.EffectiveTags()
			if tags.CloneFrom && m.State == stateRunning && m.Name != s.self() && m.Name != leader && m.ConnURL != "" {
				return m
			}
		}
	}
	if m := s.view.Member(leader); m != nil && m.ConnURL != "" && s.leaderIsPrimary() {
		return m
	}
	return nil
}

// askComplete tells that waiting for more answers would change nothing: all peers answered but
// the one that a candidate cannot expect to answer (the member whose lease has just ended, but not in a pause), or time is over.
func (s *state) askComplete() bool {
	if s.ask.effect == 0 {
		return false
	}
	if s.now >= s.ask.until {
		return true
	}
	for i := range s.ask.peers {
		if s.ask.answers[i].Name == "" && !(s.life == Campaigning && s.ask.peers[i].Name == s.lastLead && s.lastLead != s.unfenced) {
			return false
		}
	}
	return true
}
