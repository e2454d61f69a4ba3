package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// order sends one to a member. Its answer is among the member's decisions, and may take long.
func (s *Stage) order(member string, send func(ctx context.Context, c *httpapi.Client, api string) (httpapi.Reply, error)) error {
	m := s.member(member)
	if m.AgentPID() == 0 {
		return fmt.Errorf("the agent of %s does not run", member)
	}
	s.calls.Go(func() { // joined by Close
		ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
		defer cancel()
		if _, err := send(ctx, s.c.client, m.APIURL); err != nil {
			s.c.logf("the order to %s has no answer: %v", member, err)
		}
	})
	return nil
}

// PatchConfig changes the dynamic configuration at any member that answers.
func (s *Stage) PatchConfig(patch json.RawMessage) (string, error) {
	short, err := s.shorten(patch)
	if err != nil {
		return "", err
	}
	err = errors.New("nobody can be asked")
	for _, m := range s.c.members {
		if m.AgentPID() == 0 || s.frozen[m.Name] || s.down[m.Name] {
			continue
		}
		ctx, cancel := s.within()
		var r httpapi.Reply
		r, err = s.c.client.PatchConfig(ctx, m.APIURL, short)
		cancel()
		switch {
		case err != nil, r.Code == http.StatusServiceUnavailable:
			err = errors.Join(err, fmt.Errorf("%s answers %d: %s", m.Name, r.Code, r.Body))
		case r.Code >= http.StatusBadRequest:
			return fmt.Sprintf("%d %s", r.Code, r.Body), nil
		default:
			return "", nil
		}
	}
	return "", fmt.Errorf("change the dynamic configuration: %w", err)
}

// Switchover writes the request into the store, as tools do that speak to the store alone. A door of the API asks the candidate first, and may refuse
// what here the leader refuses.
func (s *Stage) Switchover(from, to string, in time.Duration) (string, error) {
	r := events.FailoverRecord{Leader: from, Candidate: to}
	if in > 0 {
		r.ScheduledAt = time.Now().Add(in / time.Duration(s.scale)).Format(time.RFC3339Nano)
	}
	return "", s.request(r)
}

// Failover writes a request without a leader.
func (s *Stage) Failover(to string) (string, error) {
	return "", s.request(events.FailoverRecord{Candidate: to})
}

func (s *Stage) request(r events.FailoverRecord) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = s.PutKey(events.KeyFailover, string(b))
	}
	return err
}

// Restart gives an order.
func (s *Stage) Restart(member string) error {
	return s.order(member, func(ctx context.Context, c *httpapi.Client, api string) (httpapi.Reply, error) {
		return c.Restart(ctx, api, httpapi.RestartBody{})
	})
}

// Reinitialize gives an order.
func (s *Stage) Reinitialize(member string, force bool) error {
	return s.order(member, func(ctx context.Context, c *httpapi.Client, api string) (httpapi.Reply, error) {
		return c.Reinitialize(ctx, api, httpapi.ReinitializeBody{Force: force})
	})
}

// Write sets how often clients write, each to its own member.
func (s *Stage) Write(perSecond int) error {
	if s.writing {
		s.writers[len(s.writers)-1].Stop()
		s.writing = false
	}
	if perSecond == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
	defer cancel()
	w, err := s.c.startProbes(ctx, time.Second/time.Duration(perSecond))
	if err != nil {
		return err
	}
	if len(s.writers) == 0 {
		s.since = time.Now()
	}
	s.writers, s.writing = append(s.writers, w), true
	return nil
}

// Writes counts what was acknowledged, and what of it the present leader does not have.
func (s *Stage) Writes() (acknowledged, missing int, err error) {
	leader, err := s.Leader()
	if err == nil && leader == "" {
		err = errors.New("there is no leader to look for writes on")
	}
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := s.within()
	defer cancel()
	for _, w := range s.writers {
		a, lost, err := w.missing(ctx, s.member(leader))
		if err != nil {
			return 0, 0, err
		}
		acknowledged, missing = acknowledged+a, missing+lost
	}
	return acknowledged, missing, nil
}
