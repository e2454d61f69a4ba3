package ctl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// Reload asks members to read their local configuration again.
func (s *Session) Reload(ctx context.Context, sel Selection) error {
	_, members, err := s.choose(ctx, sel)
	if err != nil {
		return err
	}
	if err := s.confirmAction("reload", members, "", false, sel.Force); err != nil {
		return err
	}
	for _, m := range members {
		answer, err := s.ask(ctx, m.APIURL, "POST", "/reload", nil)
		switch {
		case err != nil:
			s.orderFailed("reload", m.Name, err)
		case answer.Code == http.StatusOK:
			s.printf("No changes to apply on member %s", m.Name)
		case answer.Code == http.StatusAccepted:
			s.printf("Reload request received for member %s and will be processed within %d seconds", m.Name, s.loopWait(ctx))
		default:
			s.refused("reload", m.Name, answer)
		}
	}
	return nil
}

// loopWait is the cluster's loop_wait in seconds; its default where it cannot be read.
func (s *Session) loopWait(ctx context.Context) int {
	settings := events.DefaultSettings()
	if doc, err := s.Source.Config(ctx); err == nil {
		settings, _ = events.ParseSettings(doc.Value, settings)
	}
	return int(settings.LoopWait / time.Second)
}

func (s *Session) refused(action, member string, a Answer) {
	s.printf("Failed: %s for member %s, status code=%d, (%s)", action, member, a.Code, a.Body)
	s.notDone(ExitFailed)
}

func (s *Session) orderFailed(action, member string, err error) {
	s.printf("Failed: %s for member %s, (%v)", action, member, err)
	s.notDone(errCode(err))
}

// RestartOptions are those of restart.
type RestartOptions struct {
	Selection
	Any       bool   // one of the members, at random
	Scheduled string // empty: ask; now
	Version   string // only if the server is older; "-" has been asked for
	Pending   bool
	Timeout   string
}

var versionForm = regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`)

// Restart restarts members' PostgreSQL, now or later.
func (s *Session) Restart(ctx context.Context, o RestartOptions) error {
	c, members, err := s.choose(ctx, o.Selection)
	if err != nil {
		return err
	}
	if o.Scheduled == "" && !o.Force {
		if o.Scheduled, err = s.prompt("When should the restart take place (e.g. "+s.nextHour()+") ", "now"); err != nil {
			return err
		}
	}
	scheduled, err := s.parseSchedule(o.Scheduled)
	if err != nil {
		return err
	}
	if o.Any && len(members) > 0 {
		members = members[rand.IntN(len(members)):][:1] // any one will do
	}
	if o.Pending && scheduled == "" {
		members = pendingOnly(members)
		if len(members) == 0 {
			s.print("No members are pending a restart")
			return nil
		}
	}
	if err := s.confirmAction("restart", members, scheduled, o.Pending, o.Force); err != nil {
		return err
	}
	if o.Version == "" && !o.Force {
		if o.Version, err = s.prompt("Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ", ""); err != nil {
			return err
		}
	}
	if o.Version != "" && !versionForm.MatchString(o.Version) {
		return fail("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: %s", o.Version)
	}
	if scheduled != "" && c.Pause {
		return fail("Can't schedule restart in the paused state")
	}
	body := httpapi.RestartBody{Schedule: scheduled, PostgresVersion: o.Version, RestartPending: o.Pending}
	if o.Timeout != "" {
		body.Timeout = o.Timeout
	}
	for _, m := range members {
		s.restartOne(ctx, m, body, o.Force)
	}
	return nil
}

func pendingOnly(members []*httpapi.ClusterMember) []*httpapi.ClusterMember {
	var kept []*httpapi.ClusterMember
	for _, m := range members {
		if m.PendingRestart {
			kept = append(kept, m)
		}
	}
	return kept
}

func (s *Session) restartOne(ctx context.Context, m *httpapi.ClusterMember, body httpapi.RestartBody, force bool) {
	if force && body.Schedule != "" && m.ScheduledRestart != nil {
		answer, err := s.ask(ctx, m.APIURL, "DELETE", "/restart", nil)
		switch {
		case err != nil:
			s.orderFailed("flush scheduled restart", m.Name, err)
		case answer.Code == http.StatusOK:
			s.printf("Success: flush scheduled restart for member %s", m.Name)
		default:
			s.refused("flush scheduled restart", m.Name, answer)
		}
	}
	answer, err := s.ask(ctx, m.APIURL, "POST", "/restart", body)
	switch {
	case err != nil:
		s.orderFailed("restart", m.Name, err)
	case answer.Code == http.StatusOK:
		s.printf("Success: restart on member %s", m.Name)
	case answer.Code == http.StatusAccepted:
		s.printf("Success: restart scheduled on member %s", m.Name)
	case answer.Code == http.StatusConflict:
		s.printf("Failed: another restart is already scheduled on member %s", m.Name)
		s.notDone(ExitFailed)
	default:
		s.refused("restart", m.Name, answer)
	}
}

// ReinitOptions are those of reinit.
type ReinitOptions struct {
	Selection
	FromLeader bool
	Wait       bool
}

// Reinit makes members throw their data away and clone it again.
func (s *Session) Reinit(ctx context.Context, o ReinitOptions) error {
	_, members, err := s.choose(ctx, o.Selection)
	if err != nil {
		return err
	}
	if len(o.Names) == 0 {
		if o.Force {
			s.notDone(ExitFailed)
			s.warnf("Nothing is done: --force needs the names of the members to reinitialize")
			return nil
		}
		name, err := s.need(fmt.Sprintf("Which member do you want to reinitialize [%s]?", names(members)))
		if err != nil {
			return err
		}
		var chosen []*httpapi.ClusterMember
		for _, m := range members {
			if m.Name == name {
				chosen = append(chosen, m)
			}
		}
		if members = chosen; len(members) == 0 {
			return fail("%s is not a member of cluster", name)
		}
	}
	if err := s.confirmAction("reinitialize", members, "", false, o.Force); err != nil {
		return err
	}
	var started []*httpapi.ClusterMember
	for _, m := range members {
		done, err := s.reinitOne(ctx, m, o)
		if err != nil {
			return err
		}
		if done {
			started = append(started, m)
		}
	}
	if o.Wait && len(started) > 0 {
		return s.waitForClones(ctx, started)
	}
	return nil
}

func (s *Session) reinitOne(ctx context.Context, m *httpapi.ClusterMember, o ReinitOptions) (started bool, err error) {
	body := httpapi.ReinitializeBody{Force: o.Force, FromLeader: o.FromLeader}
	for {
		answer, err := s.ask(ctx, m.APIURL, "POST", "/reinitialize", body)
		if err != nil {
			s.orderFailed("reinitialize", m.Name, err)
			return false, nil
		}
		if answer.Code == http.StatusOK {
			s.printf("Success: reinitialize for member %s", m.Name)
			return true, nil
		}
		before := s.outcome
		s.refused("reinitialize", m.Name, answer)
		if body.Force || !strings.HasSuffix(answer.Body, " already in progress") {
			return false, nil
		}
		yes, err := s.confirm("Do you want to cancel it and reinitialize anyway?")
		if err != nil || !yes {
			return false, err
		}
		body.Force, s.outcome = true, before
	}
}

// waitForClones polls until no member is creating its replica any more. A member that does not
// answer is still waited for: it may be restarting.
func (s *Session) waitForClones(ctx context.Context, members []*httpapi.ClusterMember) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	waiting := members
	s.printf("Waiting for reinitialize to complete on: %s", names(waiting))
	for {
		if err := s.Sleep(ctx, 2*time.Second); err != nil {
			s.notDone(ExitUnknown)
			return fail("Reinitialize is not known to be complete on: %s", names(waiting))
		}
		var still []*httpapi.ClusterMember
		for _, m := range waiting {
			one := &RESTSource{s.API, m.APIURL}
			var status httpapi.NodeStatus
			asked, cancel := context.WithTimeout(ctx, readTimeout)
			_, err := one.get(asked, "/patroni", &status)
			cancel()
			if err != nil || status.State == "" || status.State == "creating replica" {
				still = append(still, m)
				continue
			}
			s.printf("Reinitialize is completed on: %s", m.Name)
		}
		if waiting = still; len(waiting) == 0 {
			return nil
		}
	}
}
