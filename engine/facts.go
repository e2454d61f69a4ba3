package engine

import (
	"fmt"
	"strconv"
	"time"
)

// Patroni's words for states and roles, as they stand in member records.
const (
	stateInitializing = "initializing new cluster"
	stateCreating     = "creating replica"
	stateRunning      = "running"
	stateStarting     = "starting"
	stateRestarting   = "restarting"
	stateStopping     = "stopping"
	stateStopped      = "stopped"
	stateCrashed      = "crashed"
	stateStartFailed  = "start failed"

	rolePrimary       = "primary"
	roleReplica       = "replica"
	roleDemoted       = "demoted"
	roleUninitialized = "uninitialized"
)

// fact is a word that may stand in a reason.
type fact struct {
	word string
	text func(*state) string
}

var facts = []fact{
	{"member", func(s *state) string { return s.self() }},
	{"leader", func(s *state) string { return orUnknown(s.leader(), "nobody") }},
	{"last leader", func(s *state) string { return orUnknown(s.lastLead, "nobody") }},
	{"epoch", func(s *state) string { return strconv.FormatUint(s.lease.epoch, 10) }},
	{"lease left", func(s *state) string { return seconds(s.lease.until.Sub(s.now)) }},
	{"dcs", func(s *state) string { return orUnknown(s.dcsReason, "no answer") }},
	{"dcs silent", func(s *state) string { return seconds(s.now.Sub(s.dcsSeen)) }},
	{"rewind error", func(s *state) string { return orUnknown(s.rewinds.err, "no error") }},
	{"error", func(s *state) string { return orUnknown(s.lastError, "no error") }},
	{"retry in", func(s *state) string { return seconds(s.restUntil.Sub(s.now)) }},
	{"progress", func(s *state) string { return orUnknown(s.progress, "no word yet") }},
	{"problem", func(s *state) string { return orUnknown(s.pg.Problem, "no answer yet") }},
	{"cause", func(s *state) string { return s.demotion.cause }},
	{"successor", func(s *state) string { return orUnknown(s.bestSuccessor(), "nobody") }},
	{"candidate", func(s *state) string { return orUnknown(s.view.Failover.Candidate, "any member") }},
	{"system id", func(s *state) string { return s.pg.Control.SystemID }},
	{"cluster id", func(s *state) string {
		if s.view.Initialize == nil {
			return "none"
		}
		return *s.view.Initialize
	}},
	{"timeline", func(s *state) string { return fmt.Sprint(s.timeline()) }},
	{"cluster timeline", func(s *state) string { return fmt.Sprint(s.view.ClusterTimeline()) }},
	{"position", func(s *state) string { return s.pg.Server.Position().String() }},
	{"lag", func(s *state) string { return strconv.FormatUint(uint64(s.lag()), 10) }},
	{"max lag", func(s *state) string { return strconv.FormatUint(uint64(s.settings.MaximumLagOnFailover), 10) }},
	{"shutdown lsn", func(s *state) string { return s.demotion.shutdownLSN.String() }},
	{"silence", func(s *state) string { return seconds(s.pg.NoAnswerFor) }},
	{"mute", func(s *state) string {
		if s.vital.since == 0 {
			return "0 s"
		}
		return seconds(s.now.Sub(s.vital.since))
	}},
	{"missing", func(s *state) string { return orUnknown(s.missing(), "nobody") }},
	{"flaw", func(s *state) string { return orUnknown(s.sourceFlaw(), "nothing") }},
	{"guard", func(s *state) string { return orUnknown(s.guard.Reason, "no guard") }},
	{"scheduled", func(s *state) string { return s.view.Failover.ScheduledAt }},
	{"peers", func(s *state) string { return s.peerText() }},
	{"start left", func(s *state) string { return seconds(s.opened.Add(s.openPatience()).Sub(s.now)) }},
	{"unsupported", func(s *state) string { return s.settings.Unsupported }},
	{"stranded", func(s *state) string { return s.stranded.why }},
	{"broken", func(s *state) string { return s.brokenText }},
}

func factNamed(word string) func(*state) string {
	for i := range facts {
		if facts[i].word == word {
			return facts[i].text
		}
	}
	return func(*state) string { return "{" + word + "?}" }
}

func orUnknown(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(max(d, 0).Seconds(), 'f', 1, 64) + " s"
}

// peerText is what peers answered, in their order.
func (s *state) peerText() string {
	text := ""
	for i := range s.ask.peers {
		if text != "" {
			text += ", "
		}
		a := &s.ask.answers[i]
		switch {
		case a.Name == "":
			text += s.ask.peers[i].Name + " no answer yet"
		case !a.Reachable:
			text += a.Name + " unreachable"
		case a.Primary:
			text += a.Name + " primary"
		default:
			text += a.Name + " at " + a.Position.String()
		}
	}
	return orUnknown(text, "no peers")
}
