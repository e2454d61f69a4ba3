package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/regent-ha/regent/httpapi"
)

// atOnce is how long an answer may take that a door of the API gives without asking anybody else. Longer ones come of what members decide, which is told
// as theirs.
const atOnce = 500 * time.Millisecond

// order sends one to a member. An answer that comes at once and refuses is told, and what takes longer is not waited for.
func (s *Stage) order(send func(ctx context.Context, c *httpapi.Client) (httpapi.Reply, error)) (answer string, err error) {
	type reply struct {
		httpapi.Reply
		err error
	}
	came := make(chan reply, 1)
	s.calls.Go(func() { // joined by Close
		ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
		defer cancel()
		r, err := send(ctx, s.c.client)
		came <- reply{r, err}
	})
	select {
	case r := <-came:
		if r.err == nil && r.Code >= http.StatusBadRequest {
			answer = fmt.Sprintf("%d %s", r.Code, r.Body)
		}
		return answer, r.err
	case <-time.After(atOnce):
		return "", nil
	case <-s.ctx.Done():
		return "", s.ctx.Err()
	}
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

// Switchover asks the member that is to step down.
func (s *Stage) Switchover(from, to string, in time.Duration) (string, error) {
	m := s.member(from)
	if m == nil {
		return "", fmt.Errorf("switchover: there is no member %s to ask", from)
	}
	b := httpapi.ChangeBody{Leader: from, Candidate: to}
	if in > 0 {
		b.ScheduledAt = time.Now().Add(in / time.Duration(s.scale)).Format(time.RFC3339Nano)
	}
	return s.order(func(ctx context.Context, c *httpapi.Client) (httpapi.Reply, error) {
		return c.Switchover(ctx, m.APIURL, b)
	})
}

// Failover asks the first member whose agent runs.
func (s *Stage) Failover(to string) (string, error) {
	for _, m := range s.c.members {
		if m.AgentPID() != 0 && !s.frozen[m.Name] {
			return s.order(func(ctx context.Context, c *httpapi.Client) (httpapi.Reply, error) {
				return c.Failover(ctx, m.APIURL, httpapi.ChangeBody{Candidate: to})
			})
		}
	}
	return "", errors.New("failover: no agent runs that could be asked")
}

// Restart gives an order.
func (s *Stage) Restart(member string) error {
	m, err := s.asked(member)
	if err == nil {
		_, err = s.order(func(ctx context.Context, c *httpapi.Client) (httpapi.Reply, error) {
			return c.Restart(ctx, m.APIURL, httpapi.RestartBody{})
		})
	}
	return err
}

// Reinitialize gives an order.
func (s *Stage) Reinitialize(member string, force bool) error {
	m, err := s.asked(member)
	if err == nil {
		_, err = s.order(func(ctx context.Context, c *httpapi.Client) (httpapi.Reply, error) {
			return c.Reinitialize(ctx, m.APIURL, httpapi.ReinitializeBody{Force: force})
		})
	}
	return err
}

func (s *Stage) asked(member string) (*Member, error) {
	m := s.member(member)
	if m.AgentPID() == 0 {
		return nil, fmt.Errorf("the agent of %s does not run", member)
	}
	return m, nil
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
