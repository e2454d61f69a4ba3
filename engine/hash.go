package engine

import (
	"encoding/json"
	"hash/fnv"

	"github.com/regent-ha/regent/events"
)

// digest is what the hash of a state covers: everything that later decisions depend on.
type digest struct {
	View       events.View
	Up         bool
	Settings   events.Settings
	Lease      [5]int64
	GaveUp     uint64
	LastLead   string
	Postgres   events.Observation
	Exited     [7]bool
	ExitPID    int
	Upstream   events.Upstream
	InFlight   []events.Effect
	NextEffect uint64
	Failures   int
	Times      [22]events.Instant
	Asked      []events.PeerStatus
	Diverged   [2]bool
	Demotion   [5]string
	Claim      int
	Guard      events.GuardTick
	Published  [2]string
	Orders     int
	Recalled   int
	Shutdown   bool
	Life       events.LifecycleState
	Rule       events.RuleID
}

// hash digests the folded state, so that a replay that decides the same for other reasons is found out
// too. It is meant for the event log, not for a simulator's hot path.
func (s *state) hash() uint64 {
	d := digest{
		View: s.view.View, Up: s.dcsUp, Settings: s.settings, GaveUp: s.gaveUp, LastLead: s.lastLead, Postgres: s.pg,
		Lease:  [5]int64{boolean(s.lease.held), int64(s.lease.epoch), int64(s.lease.until), int64(s.lease.sent), int64(s.lease.tries)},
		Exited: [7]bool{s.exited, s.gone, s.crashed, s.comesBack, s.sawCluster, s.retaking, s.inherits}, ExitPID: s.exitPID, Upstream: s.upstream,
		NextEffect: s.nextEffect, Failures: s.failures*16 + s.rewinds.failed,
		Times: [22]events.Instant{s.now, s.viewAt, s.dcsSeen, s.acted, s.restUntil, s.campaign, s.opened, s.lifeSince, s.guardGone, s.initSeen,
			s.readAt, s.launched, s.armFailed, s.armRetry, s.diverged.at, s.published.clearedAt, s.replicationSince, s.preparedAt, s.initAbsentSince, s.lostAt,
			s.vital.since, s.metAt},
		Asked:    s.ask.answers,
		Diverged: [2]bool{s.diverged.known, s.diverged.found},
		Demotion: [5]string{s.demotion.cause, string(s.demotion.mode), s.demotion.successor, s.demotion.shutdownLSN.String(), s.unfenced},
		Claim:    int(s.claim) + 8*int(boolean(s.namesake)), Guard: s.guard, Published: [2]string{s.published.member, s.published.status},
		Orders: len(s.orders), Recalled: len(s.recall), Shutdown: s.shutdown, Life: s.life, Rule: s.rule,
	}
	for i := range s.flight {
		d.InFlight = append(d.InFlight, s.flight[i].effect)
	}
	h := fnv.New64a()
	if err := json.NewEncoder(h).Encode(&d); err != nil {
		panic("digest of the state: " + err.Error()) // every field of it can be encoded
	}
	return h.Sum64()
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
