package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// ChangeOptions are those of switchover and failover. What is empty is asked for, unless Force is set.
type ChangeOptions struct {
	Leader    string
	Candidate string
	Scheduled string
	Force     bool
}

// change is a switchover or failover in the making.
type change struct {
	ChangeOptions
	action    string // switchover or failover
	cluster   *Cluster
	scheduled string // ISO 8601; empty: now
}

// Switchover changes the leader as planned.
func (s *Session) Switchover(ctx context.Context, o ChangeOptions) error {
	return s.change(ctx, &change{ChangeOptions: o, action: "switchover"})
}

// Failover makes a member leader, whether there is one or not.
func (s *Session) Failover(ctx context.Context, o ChangeOptions) error {
	return s.change(ctx, &change{ChangeOptions: o, action: "failover"})
}

func (s *Session) change(ctx context.Context, ch *change) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	ch.cluster = c
	s.print("Current cluster topology")
	if err := s.printCluster(c, Pretty, false); err != nil {
		return err
	}
	for _, step := range []func(*change) error{s.chooseLeader, s.chooseCandidate, s.chooseTime, s.confirmChange} {
		if err := step(ch); err != nil {
			return err
		}
	}
	return s.order(ctx, ch)
}

func (s *Session) chooseLeader(ch *change) error {
	if ch.action == "failover" {
		return nil
	}
	leader := ch.cluster.leader()
	if leader == nil {
		return fail("This cluster has no leader")
	}
	if ch.Leader == "" {
		if ch.Leader = leader.Name; !ch.Force {
			question := "Primary"
			if leader.Role == "standby_leader" {
				question = "Standby Leader"
			}
			var err error
			if ch.Leader, err = s.prompt(question, leader.Name); err != nil {
				return err
			}
		}
	}
	if ch.Leader != leader.Name {
		return fail("Member %s is not the leader of cluster %s", ch.Leader, ch.cluster.Scope)
	}
	return nil
}

func (s *Session) chooseCandidate(ch *change) error {
	leader := ch.cluster.Leader()
	var candidates []string
	for _, m := range ch.cluster.Members {
		if m.Name != leader && (m.Tags == nil || m.Tags.MayLead()) {
			candidates = append(candidates, m.Name)
		}
	}
	sort.Strings(candidates)
	if len(candidates) == 0 {
		return fail("No candidates found to %s to", verbOf(ch.action))
	}
	if ch.Candidate == "" && !ch.Force {
		var err error
		if ch.Candidate, err = s.prompt("Candidate ['"+strings.Join(candidates, "', '")+"']", ""); err != nil {
			return err
		}
	}
	if ch.Candidate == "" {
		if ch.action == "failover" {
			return fail("Failover could be performed only to a specific candidate")
		}
		return nil
	}
	if ch.Candidate == leader {
		return fail("Member %s is already the leader of cluster %s", leader, ch.cluster.Scope)
	}
	for _, name := range candidates {
		if name == ch.Candidate {
			return s.acceptAsynchronous(ch)
		}
	}
	return fail("Member %s does not exist in cluster %s or is tagged as nofailover", ch.Candidate, ch.cluster.Scope)
}

func verbOf(action string) string { return strings.TrimSuffix(action, "over") + " over" }

// acceptAsynchronous asks before a failover to a member that may not have every commit.
func (s *Session) acceptAsynchronous(ch *change) error {
	if ch.action != "failover" || ch.Force || strings.HasSuffix(ch.cluster.Member(ch.Candidate).Role, "_standby") {
		return nil
	}
	synchronous := false
	for _, m := range ch.cluster.Members {
		synchronous = synchronous || strings.HasSuffix(m.Role, "_standby")
	}
	if !synchronous {
		return nil
	}
	yes, err := s.confirm(fmt.Sprintf("Are you sure you want to failover to the asynchronous node %s?", ch.Candidate))
	if err == nil && !yes {
		err = fail("Aborting failover")
	}
	return err
}

func (s *Session) chooseTime(ch *change) error {
	if ch.action == "failover" {
		return nil
	}
	var err error
	if ch.Scheduled == "" && !ch.Force {
		if ch.Scheduled, err = s.prompt("When should the switchover take place (e.g. "+s.nextHour()+" ) ", "now"); err != nil {
			return err
		}
	}
	if ch.scheduled, err = s.parseSchedule(ch.Scheduled); err != nil {
		return err
	}
	if ch.scheduled != "" && ch.cluster.Pause {
		return fail("Can't schedule switchover in the paused state")
	}
	return nil
}

func (s *Session) confirmChange(ch *change) error {
	if ch.Force {
		return nil
	}
	demoting := ""
	if leader := ch.cluster.Leader(); leader != "" {
		demoting = ", demoting current leader " + leader
	}
	question := fmt.Sprintf("Are you sure you want to %s cluster %s%s?", ch.action, ch.cluster.Scope, demoting)
	aborted := "Aborting " + ch.action
	if ch.scheduled != "" {
		question = fmt.Sprintf("Are you sure you want to schedule %s of cluster %s at %s%s?", ch.action, ch.cluster.Scope, ch.scheduled,
			demoting)
		aborted = "Aborting scheduled " + ch.action
	}
	yes, err := s.confirm(question)
	if err == nil && !yes {
		err = fail("%s", aborted)
	}
	return err
}

// order sends the change to the leader, or where there is none to the candidate.
func (s *Session) order(ctx context.Context, ch *change) error {
	target := ch.cluster.leader()
	if target == nil {
		target = ch.cluster.Member(ch.Candidate)
	}
	body := httpapi.ChangeBody{Leader: ch.Leader, Candidate: ch.Candidate, ScheduledAt: ch.scheduled}
	answer, err := s.ask(ctx, target.APIURL, "POST", "/"+ch.action, body)
	if err == nil && answer.Code == http.StatusNotImplemented && ch.action == "switchover" {
		answer, err = s.ask(ctx, target.APIURL, "POST", "/failover", body)
	}
	title := strings.ToUpper(ch.action[:1]) + ch.action[1:]
	switch {
	case errors.Is(err, ErrNotSent):
		return s.orderThroughStore(ctx, ch, err)
	case err != nil:
		s.notDone(ExitUnknown)
		s.printf("%s %s result unknown, details: %v", s.timestamp(), title, err)
		s.print("The request may have been accepted, so it is not repeated. Look at the cluster (regent list) before trying again.")
		return nil
	case answer.Code == http.StatusOK || answer.Code == http.StatusAccepted:
		s.printf("%s %s", s.timestamp(), answer.Body)
	case strings.Contains(answer.Body, "status unknown"):
		s.notDone(ExitUnknown)
		s.printf("%s result unknown, details: %d, %s", title, answer.Code, answer.Body)
		return nil
	default:
		s.notDone(ExitFailed)
		s.printf("%s failed, details: %d, %s", title, answer.Code, answer.Body)
		return nil
	}
	return s.showAgain(ctx)
}

// orderThroughStore writes the failover key: no member can have seen the request.
func (s *Session) orderThroughStore(ctx context.Context, ch *change, cause error) error {
	s.warnf("%v", cause)
	s.printf("%s Could not %s using Patroni api, falling back to DCS", s.timestamp(), ch.action)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	record := events.FailoverRecord{Leader: ch.Leader, Candidate: ch.Candidate, ScheduledAt: ch.scheduled}
	if err := s.Source.PutFailover(ctx, record, ch.cluster); err != nil {
		s.notDone(ExitFailed)
		return fmt.Errorf("write failover key: %w", err)
	}
	s.notDone(ExitUnknown)
	s.printf("%s The %s is written to the DCS; the members will carry it out if they can", s.timestamp(), ch.action)
	return s.showAgain(ctx)
}

func (s *Session) showAgain(ctx context.Context) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	return s.printCluster(c, Pretty, false)
}
