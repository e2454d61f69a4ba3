package ctl

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/regent-ha/regent/httpapi"
)

// Pause stops the members from managing the cluster, or with on false lets them again. With wait it returns
// when all members have noticed.
func (s *Session) Pause(ctx context.Context, on, wait bool) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	word, state := "resume", "resumed"
	var flag any
	if on {
		word, state, flag = "pause", "paused", true
	}
	if c.Pause == on {
		if on {
			return fail("Cluster is already paused")
		}
		return fail("Cluster is not paused")
	}
	for _, m := range leaderFirst(c) {
		answer, err := s.ask(ctx, m.APIURL, "PATCH", "/config", map[string]any{"pause": flag})
		if err != nil {
			s.warnf("Warning: member %s does not answer: %v", m.Name, err)
			continue
		}
		if answer.Code != http.StatusOK {
			s.notDone(ExitFailed)
			s.printf("Failed: %s cluster management status code=%d, (%s)", word, answer.Code, answer.Body)
			return nil
		}
		if wait {
			return s.waitForPause(ctx, on, word, state)
		}
		s.printf("Success: cluster management is %s", state)
		return nil
	}
	return fail("Can not find accessible cluster member")
}

func leaderFirst(c *Cluster) []*httpapi.ClusterMember {
	var list []*httpapi.ClusterMember
	if leader := c.leader(); leader != nil {
		list = append(list, leader)
	}
	for i := range c.Members {
		if m := &c.Members[i]; m.Name != c.Leader() {
			list = append(list, m)
		}
	}
	return list
}

// waitForPause polls the members' records for one loop_wait and a second.
func (s *Session) waitForPause(ctx context.Context, on bool, word, state string) error {
	s.printf("'%s' request sent, waiting until it is recognized by all nodes", word)
	seconds := s.loopWait(ctx) + 1
	var late []string
	for range seconds * 2 {
		now, err := s.Source.Noticed(ctx)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		late = late[:0]
		for name, paused := range now {
			if paused != on {
				late = append(late, name)
			}
		}
		if len(late) == 0 {
			s.printf("Success: cluster management is %s", state)
			return nil
		}
		if err := s.Sleep(ctx, time.Second/2); err != nil {
			return err
		}
	}
	sort.Strings(late)
	s.notDone(ExitUnknown)
	s.printf("%s members didn't recognized %s state after %d seconds", strings.Join(late, ", "), word, seconds)
	return nil
}
