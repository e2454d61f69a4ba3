package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/regent-ha/regent/httpapi"
)

// Roles that members can be selected by.
var Roles = []string{"leader", "primary", "standby-leader", "replica", "standby", "any"}

func checkRole(role string) error {
	for _, r := range Roles {
		if r == role || role == "standby_leader" {
			return nil
		}
	}
	return &ExitError{Code: ExitUsage, Message: fmt.Sprintf("Invalid value for '-r' / '--role': %q is not one of '%s'.", role,
		strings.Join(Roles, "', '"))}
}

func hasRole(m *httpapi.ClusterMember, role string) bool {
	switch role {
	case "leader":
		return strings.HasSuffix(m.Role, "leader")
	case "primary":
		return m.Role == "leader"
	case "standby-leader", "standby_leader":
		return m.Role == "standby_leader"
	case "replica", "standby":
		return !strings.HasSuffix(m.Role, "leader")
	}
	return true
}

// Selection says which members an order is for.
type Selection struct {
	Names []string
	Role  string
	Force bool
}

// choose prints the members and finds those that the order is for, in the order of their names.
func (s *Session) choose(ctx context.Context, sel Selection) (*Cluster, []*httpapi.ClusterMember, error) {
	if err := checkRole(sel.Role); err != nil {
		return nil, nil, err
	}
	c, err := s.cluster(ctx)
	if err != nil {
		return nil, nil, err
	}
	var candidates []*httpapi.ClusterMember
	for i := range c.Members {
		if hasRole(&c.Members[i], sel.Role) {
			candidates = append(candidates, &c.Members[i])
		}
	}
	if len(candidates) == 0 && len(sel.Names) == 0 {
		return nil, nil, fail("%s cluster doesn't have any members", c.Scope)
	}
	if err := s.printCluster(c, Pretty, false); err != nil {
		return nil, nil, err
	}
	if len(sel.Names) == 0 {
		return c, candidates, nil
	}
	var named []*httpapi.ClusterMember
	for _, m := range candidates {
		for _, name := range sel.Names {
			if name == m.Name {
				named = append(named, m)
				break
			}
		}
	}
	if len(named) == 0 {
		return nil, nil, fail("No %s among provided members", sel.Role)
	}
	for _, name := range sel.Names {
		if c.Member(name) == nil {
			s.warnf("Warning: %s is not a member of cluster %s; it is left out", name, c.Scope)
		}
	}
	return c, named, nil
}

func names(members []*httpapi.ClusterMember) string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = m.Name
	}
	return strings.Join(list, ", ")
}

// confirmAction asks before an order to members.
func (s *Session) confirmAction(action string, members []*httpapi.ClusterMember, scheduled string, pending, force bool) error {
	if force {
		return nil
	}
	question, aborted := fmt.Sprintf("Are you sure you want to %s members %s?", action, names(members)), "Aborted "+action
	if scheduled != "" {
		question, aborted = fmt.Sprintf("Are you sure you want to schedule %s of members %s at %s?", action, names(members), scheduled),
			"Aborted scheduled "+action
		if pending {
			question = "The nodes needing a restart will be identified at the scheduled time, and might be different from the ones " +
				"showing pending restart right now. Is this fine?"
		}
	}
	yes, err := s.confirm(question)
	if err == nil && !yes {
		err = fail("%s", aborted)
	}
	return err
}
