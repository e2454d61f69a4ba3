package embedded

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Leading tells whether this member leads the store.
func (s *Server) Leading() bool {
	return s.etcd.Server.Leader() == s.etcd.Server.MemberID()
}

// errNobody tells that leadership stays where it is.
var errNobody = errors.New("no other member is healthy")

// MoveLeaderAway gives raft leadership to another healthy member if this member has it and is the one
// named by preferNot: the member on whose host PostgreSQL's primary runs. It returns the name of the
// new leader, empty if there was nothing to do. It may be called as often as one likes.
func (s *Server) MoveLeaderAway(ctx context.Context, preferNot string) (string, error) {
	if preferNot != s.cfg.Name || !s.Leading() {
		return "", nil
	}
	var best *candidate
	var unfit []error
	for _, m := range s.etcd.Server.Cluster().Members() {
		if m.ID == s.etcd.Server.MemberID() || m.IsLearner || len(m.ClientURLs) == 0 {
			continue
		}
		index, err := s.applied(ctx, m.ClientURLs)
		if err != nil {
			unfit = append(unfit, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		if best == nil || index > best.applied {
			best = &candidate{uint64(m.ID), m.Name, index}
		}
	}
	if best == nil {
		return "", fmt.Errorf("move raft leadership from %s: %w", s.cfg.Name, errors.Join(append([]error{errNobody}, unfit...)...))
	}
	move, cancel := context.WithTimeout(ctx, s.cfg.Election)
	defer cancel()
	if err := s.etcd.Server.MoveLeader(move, uint64(s.etcd.Server.MemberID()), best.id); err != nil {
		return "", fmt.Errorf("move raft leadership from %s to %s: %w", s.cfg.Name, best.name, err)
	}
	return best.name, nil
}

type candidate struct {
	id      uint64
	name    string
	applied uint64
}

// applied asks a member for the index that it has applied, and fails if the member is not well.
func (s *Server) applied(ctx context.Context, urls []string) (uint64, error) {
	client, err := s.cfg.client(urls)
	if err != nil {
		return 0, err
	}
	defer client.Close() //nolint:errcheck // only read from
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), s.cfg.Election)
	defer cancel()
	st, err := client.Status(ctx, urls[0])
	if err != nil {
		return 0, fmt.Errorf("ask for its status: %w", err)
	}
	if len(st.Errors) > 0 {
		return 0, fmt.Errorf("it reports %v", st.Errors)
	}
	return st.RaftAppliedIndex, nil
}
