package engine

import (
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
)

// The arithmetic of elections. A candidate compares itself with what its peers answered; a leader that
// gives its lease away chooses among them. Positions are bytes of WAL.

// usable tells whether a peer's answer counts: it runs, is no primary, and its tags let it lead.
func usable(p *events.PeerStatus) bool {
	return p.Name != "" && p.Reachable && p.Running && !p.Primary && p.Tags.MayLead() && !p.WatchdogFailed
}

var (
	primaryAlive = predicate{"a reachable member runs as a primary", func(s *state) bool {
		return s.anyAnswer(func(p *events.PeerStatus) bool { return p.Reachable && p.Running && p.Primary })
	}}
	somebodyAhead = predicate{"a usable member has newer WAL", func(s *state) bool {
		if namedCandidate.ok(s) {
			return false
		}
		return s.anyAnswer(func(p *events.PeerStatus) bool { return usable(p) && s.ahead(p) })
	}}
	somebodyPreferred = predicate{"a usable member with equal WAL has a higher priority", func(s *state) bool {
		own, priority := s.pg.Server.Position(), s.member.Tags.Priority()
		return s.anyAnswer(func(p *events.PeerStatus) bool {
			return usable(p) && p.Position == own && !s.older(p) && p.Tags.Priority() > priority && p.Name != s.lastLead
		})
	}}
	candidateHealthy = predicate{"the candidate that an operator named is usable", func(s *state) bool {
		c := s.view.Failover.Candidate
		return c != "" && c != s.self() && s.anyAnswer(func(p *events.PeerStatus) bool { return p.Name == c && usable(p) })
	}}
	successorKnown = predicate{"a member can take over", func(s *state) bool { return s.bestSuccessor() != "" }}
)

// ahead tells that a peer's WAL is newer: a newer timeline goes before a higher position, which on a timeline that
// the cluster has left is worth nothing. Unknown timelines count as equal.
func (s *state) ahead(p *events.PeerStatus) bool {
	if own := s.timeline(); p.Timeline != own && p.Timeline != 0 && own != 0 {
		return p.Timeline > own
	}
	return p.Position > s.pg.Server.Position()
}

// older tells that a peer is on a timeline before this member's.
func (s *state) older(p *events.PeerStatus) bool { return p.Timeline != 0 && p.Timeline < s.timeline() }

// standBack gives a better candidate the time to win before this member asks again.
var standBack = act{"stand back for a moment", func(e *Engine) { e.s.campaign = e.s.now.Add(200 * time.Millisecond) }}

func (s *state) anyAnswer(ok func(*events.PeerStatus) bool) bool {
	for i := range s.ask.answers {
		if s.ask.answers[i].Name != "" && ok(&s.ask.answers[i]) {
			return true
		}
	}
	return false
}

// bestSuccessor is the member to hand the lease to: the one that an operator named if it is fit;
// otherwise the fit member with the newest WAL, then the highest priority, then the first name.
func (s *state) bestSuccessor() string {
	named := s.namedSuccessor()
	best := -1
	for i := range s.ask.answers {
		p := &s.ask.answers[i]
		if s.unfit(p) != "" {
			continue
		}
		if p.Name == named {
			return p.Name
		}
		if best < 0 || better(p, &s.ask.answers[best]) {
			best = i
		}
	}
	if best < 0 || named != "" && s.demotion.shutdownLSN == 0 {
		return ""
	}
	return s.ask.answers[best].Name
}

func (s *state) namedSuccessor() string {
	if s.demotion.successor != "" {
		return s.demotion.successor
	}
	return s.view.Failover.Candidate
}

func better(a, b *events.PeerStatus) bool {
	if a.Timeline != b.Timeline && a.Timeline != 0 && b.Timeline != 0 {
		return a.Timeline > b.Timeline
	}
	if a.Position != b.Position {
		return a.Position > b.Position
	}
	if a.Tags.Priority() != b.Tags.Priority() {
		return a.Tags.Priority() > b.Tags.Priority()
	}
	return a.Name < b.Name
}

// unfit says why a peer cannot take over from this member, empty if it can.
func (s *state) unfit(p *events.PeerStatus) string {
	switch {
	case p.Name == "":
		return "no answer"
	case !p.Reachable:
		return "unreachable: " + p.Error
	case !p.Running:
		return "its PostgreSQL does not answer"
	case p.Primary:
		return "it runs as a primary"
	case !p.Tags.MayLead():
		return "tagged nofailover"
	case p.WatchdogFailed:
		return "its watchdog is required and does not work"
	case s.demotion.shutdownLSN != 0 && p.Position < s.demotion.shutdownLSN:
		return "it is at " + p.Position.String() + " and has not received " + s.demotion.shutdownLSN.String()
	case p.Timeline != 0 && p.Timeline < max(s.timeline(), s.view.ClusterTimeline()):
		return "it is on timeline " + strconv.FormatUint(uint64(p.Timeline), 10) + ", which the cluster has left"
	case s.view.Status.Optime > p.Position && s.view.Status.Optime-p.Position > s.settings.MaximumLagOnFailover:
		return "it is at " + p.Position.String() + ", further behind than maximum_lag_on_failover"
	}
	return ""
}

// refusalsOf lists, for each member that was asked, why it is not the one to lead.
func (s *state) refusalsOf(rule events.RuleID) []events.Refusal {
	var out []events.Refusal
	for i := range s.ask.peers {
		p := s.ask.answers[i]
		if why := s.unfit(&p); why != "" {
			out = append(out, events.Refusal{Rule: rule, Candidate: s.ask.peers[i].Name, Why: why})
		}
	}
	return out
}
