package engine

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// state is the fold of all inputs. Only fold and the actions of rows write it, both within Step.
type state struct {
	now  events.Instant
	wall int64
	seq  uint64

	member  events.MemberConfig
	version string

	view            events.LiveView
	viewKnown       bool
	viewAt          events.Instant // of the last full snapshot
	readAt          events.Instant // when the last one was asked for
	floor           uint64         // a linearizable read must not show an older revision than this
	regressed       int            // snapshots in a row that were older than the view
	dcsUp           bool
	dcsReason       string
	dcsSince        events.Instant // of the last change of dcsUp
	dcsSeen         events.Instant // last answer of any kind
	dcsSeenWall     int64
	settings        events.Settings
	settingsDoc     json.RawMessage
	settingsErrs    []string
	appliedDoc      json.RawMessage // last given to PostgreSQL
	appliedRevision uint64          // of the config key, when it was

	lease          lease
	retaking       bool   // a lease whose key was removed
	gaveUp         uint64 // revisions of the leader key up to this one that name us are not ours any more
	lastLead       string // who led before the lease became free
	lastLeadChange events.Instant

	pg       events.Observation
	pgKnown  bool
	pgAt     events.Instant
	exited   bool // the postmaster died and no later observation shows another
	exitPID  int
	gone     bool // and its children with it
	crashed  bool // it died without our asking while it was a primary under our lease
	firstPID int  // of the postmaster that was seen first
	// inherits tells that the guard was armed when this agent began, and that PostgreSQL was not seen as a primary since: an earlier agent
	// may have asked for a promotion that goes on.
	inherits bool
	vital    vital
	upstream events.Upstream // that PostgreSQL was last told to follow
	streamed events.Instant  // when it was last seen streaming, or was told to follow

	flight     []inFlight
	nextEffect uint64
	failures   int // lifecycle effects that failed in a row
	rewinds    rewinds
	comesBack  bool           // stepped down for a switchover and was no replica since
	restUntil  events.Instant // no new lifecycle effect before
	lastError  string         // of the last failed lifecycle effect
	acted      events.Instant // when the last lifecycle effect ended
	launched   events.Instant // when the last one ended that may have launched a server; zero after a stop
	progress   string

	ask      ask
	campaign events.Instant // no new campaign before
	diverged divergence
	demotion demotion
	stranded struct {
		key strandKey
		why string
	}
	opened events.Instant // when opening began
	claim  claim          // of the initialize key
	// namesake tells that another of this name may live, at another address: a leader key with the name may be its own, until that has gone.
	namesake bool
	claimed  uint64 // its revision, when the claim was won
	// initAbsentSince is since when the DCS knows no cluster, zero while it knows one; sawCluster tells that it once did.
	initAbsentSince events.Instant
	sawCluster      bool
	lostAt          events.Instant // when the store said that the lease was lost, before any view showed why
	initSeen        events.Instant // since when the initialize key is empty without an initializer

	guard      events.GuardTick
	guardKnown bool
	guardGone  events.Instant // since when the guard is missing, zero while it lives
	armFailed  events.Instant // since when it could not be told the deadline of this lease, zero when it could
	armRetry   events.Instant

	published      publication
	history        []events.TimelineSwitch // of the timeline that this member promoted itself to
	recall         []recalled              // members whose records went lately
	unfenced       string                  // whose lease ended in a pause
	metAt          events.Instant          // when this agent saw the store first
	slotOwners     []slotOwner             // members that were seen, sorted by slot name
	orders         []events.OperatorRequest
	order          *events.OperatorRequest // being carried out
	orderAsk       uint64                  // the question to the leader that it waits for
	answers        []events.AnswerOperator // to be given in this step
	scheduled      *events.ScheduledRestart
	scheduledAt    int64 // Unix nanoseconds
	scheduledOrder events.OperatorRequest
	shutdown       bool
	stalled        bool
	dropped        uint64
	exitCode       int
	brokenText     string // invariants that broke

	life      events.LifecycleState
	lifeSince events.Instant
	// preparedFor is the ttl of the lease that the store was last told to get ready, and preparedAt when.
	preparedFor time.Duration
	preparedAt  events.Instant
	// replicationSince is when the state of the stream from the upstream changed last.
	replicationSince events.Instant
	rule             events.RuleID
	why              string
	refusals         []events.Refusal
	recent           []Decided
}

// lease is this member's own lease.
type lease struct {
	held    bool
	epoch   uint64
	until   events.Instant // sent + ttl: the earliest instant at which the store may let go
	sent    events.Instant
	ttl     time.Duration
	tries   int // renewals in a row without an answer
	lastTry events.Instant
}

// inFlight is an effect without an outcome.
type inFlight struct {
	effect    events.Effect
	sent      events.Instant
	awaited   events.Instant // no longer than this
	cancelled bool
}

// ask is a round of questions to peers.
type ask struct {
	effect  uint64
	at      events.Instant
	until   events.Instant
	peers   []events.Peer
	answers []events.PeerStatus // in the order of peers; Name empty: no answer yet
}

type claim int

const (
	claimNone claim = iota
	claimAsked
	claimWon
	claimLost
)

// divergence is what is known of this member's history against the leader's.
type divergence struct {
	known  bool
	found  bool
	leader string
	at     events.Instant // when they were compared
}

// rewinds counts the attempts at pg_rewind that failed here. One after which the leader cannot be asked does not count: it may have
// failed for that.
type rewinds struct {
	failed  int
	doubted bool   // the last one failed, and the leader was not asked since
	err     string // of the last one
}

// demotion is why and how PostgreSQL is being stopped, and what comes after.
type demotion struct {
	cause       string
	mode        events.StopMode
	successor   string // named by an operator
	handOver    bool   // the lease is to go to somebody
	clone       bool   // an operator asked for a fresh copy
	shutdownLSN events.LSN
	asked       events.Instant
	tries       int
}

// publication is what was last written to the DCS.
type publication struct {
	member     string
	memberAt   events.Instant
	shape      shape
	status     string
	statusAt   events.Instant
	historyAt  events.Instant
	cleared    uint64 // revision of the failover key that was cleared last
	clearedAt  events.Instant
	configAt   events.Instant
	initialize string
	// initializeAt is when writing the system identifier failed last.
	initializeAt events.Instant
	slotsAt      events.Instant
}

// Timing derived from the settings; every bound that a rule uses is here, with its reason.

func (s *state) ttl() time.Duration {
	ttl := max(s.settings.TTL, s.member.MinTTL)
	if s.member.WholeSecondTTL {
		ttl = (ttl + time.Second - 1).Truncate(time.Second)
	}
	return ttl
}

// leaseTTL is how long the lease that is held was granted for: a change of the settings reaches it with its next renewal.
func (s *state) leaseTTL() time.Duration {
	if s.lease.held {
		return s.lease.ttl
	}
	return s.ttl()
}

// margin is kept between the guard's deadline and the end of the lease: it covers the time to kill
// every process, and clocks whose rates differ by up to 1 %.
func (s *state) margin() time.Duration { return 150*time.Millisecond + s.leaseTTL()/100 }

// demoteBudget is kept before the guard's deadline, so that an agent that works stops PostgreSQL in order.
func (s *state) demoteBudget() time.Duration { return min(s.leaseTTL()/6, 3*time.Second) }

// renewEvery leaves room for two failed renewals before the demotion begins.
func (s *state) renewEvery() time.Duration {
	return min(s.settings.LoopWait, min(s.ttl(), s.leaseTTL())/3)
}

func (s *state) renewTimeout() time.Duration {
	return max(min(s.settings.RetryTimeout, s.ttl()/4), 500*time.Millisecond)
}

func (s *state) fenceAt() events.Instant  { return s.lease.until.Add(-s.margin()) }
func (s *state) demoteAt() events.Instant { return s.fenceAt().Add(-s.demoteBudget()) }

func (s *state) dcsTimeout() time.Duration { return s.settings.RetryTimeout }

// peerTimeout bounds a question to a member; a frozen one must not hold up an election.
const peerTimeout = 2 * time.Second

// askPatience is how long the answers of peers are acted upon.
const askPatience = peerTimeout + time.Second

// Deadlines of the effects that change the data directory.
const (
	bootstrapTimeout  = 10 * time.Minute
	cloneTimeout      = 24 * time.Hour
	startTimeout      = 10 * time.Minute
	promoteTimeout    = time.Minute
	followTimeout     = time.Minute
	checkTimeout      = 30 * time.Second
	recoverTimeout    = 6 * time.Hour
	rewindTimeout     = 6 * time.Hour
	checkpointTimeout = 5 * time.Minute
	switchTimeout     = 10 * time.Second
	slotsTimeout      = 20 * time.Second
	configTimeout     = 30 * time.Second
	guardTimeout      = 2 * time.Second
	// stopNowTimeout is how long an immediate stop may take before everything is killed: PostgreSQL itself kills after 5 s.
	stopNowTimeout = 10 * time.Second
	armPause       = 200 * time.Millisecond
	// lateness after which an executor that broke its promise to answer by the deadline is given up. One that stops PostgreSQL kills at
	// the deadline, and waits 5 s for the kernel.
	lateness = 8 * time.Second
)

func (s *state) self() string { return s.member.Name }

// leads tells who holds the lease as far as this member knows.
func (s *state) leader() string {
	if s.lease.held {
		return s.self()
	}
	if s.view.Leader == s.self() && s.view.LeaderRevision <= s.gaveUp {
		return ""
	}
	return s.view.Leader
}

func (s *state) find(kind events.ActionKind) *inFlight {
	for i := range s.flight {
		if s.flight[i].effect.Action.ActionKind() == kind {
			return &s.flight[i]
		}
	}
	return nil
}

func (s *state) findKey(key string) *inFlight {
	for i := range s.flight {
		switch a := s.flight[i].effect.Action.(type) {
		case events.PutKey:
			if a.Key == key {
				return &s.flight[i]
			}
		case events.DeleteKey:
			if a.Key == key {
				return &s.flight[i]
			}
		}
	}
	return nil
}

// lifecycleEffect is the one effect in flight that works on the data directory, nil if there is none.
func (s *state) lifecycleEffect() *inFlight {
	for i := range s.flight {
		if s.flight[i].effect.Action.ActionKind().WorksOnData() {
			return &s.flight[i]
		}
	}
	return nil
}

func isLease(k events.ActionKind) bool {
	switch k {
	case events.ActAcquireLease, events.ActRenewLease, events.ActReleaseLease, events.ActHandOverLease:
		return true
	}
	return false
}

func (s *state) leaseEffect() *inFlight {
	for i := range s.flight {
		if isLease(s.flight[i].effect.Action.ActionKind()) {
			return &s.flight[i]
		}
	}
	return nil
}

// land removes an effect from those in flight and returns it.
func (s *state) land(id uint64) (inFlight, bool) {
	for i := range s.flight {
		if s.flight[i].effect.ID == id {
			f := s.flight[i]
			s.flight = append(s.flight[:i], s.flight[i+1:]...)
			return f, true
		}
	}
	return inFlight{}, false
}

// rest makes the next lifecycle effect wait, longer after each failure, up to loop_wait.
func (s *state) rest() {
	s.failures++
	pause := 250 * time.Millisecond << min(s.failures-1, 8)
	s.restUntil = s.now.Add(min(pause, max(s.settings.LoopWait, time.Second)))
}
