package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/scenario"
)

// Stage plays scenarios on real agents, PostgreSQL servers and a store, each host a network namespace. Members' clients and whoever watches
// reach every host that is up; cuts are between hosts.
type Stage struct {
	ctx   context.Context // ends the play
	opts  Options
	scale int
	c     *Cluster
	see   func(member string, d *events.Decision)

	looks     *Probes   // who accepts writes, from the beginning
	writers   []*Probes // clients, the last of which may still write
	writing   bool
	logs      []*follower
	broken    []string
	since     time.Time // the clients write
	handovers []handover

	frozen map[string]bool // agents
	hung   map[string]bool // PostgreSQL
	down   map[string]bool // hosts
	boots  bool            // the first agent was not started yet

	store backends.Store // opened when it is first asked
	lines []*forwarder   // to the store
	calls sync.WaitGroup // orders whose answers are not waited for
}

var _ scenario.Stage = (*Stage)(nil)
var _ scenario.Choosy = (*Stage)(nil)

// NewStage prepares a stage. Of the options it heeds those that no scenario says: Store, Binary, Log, KeepOnFail, User and the programs of stores.
//
// All times of a scenario, those of its settings among them, are divided by scale, except for the deadlines of conditions, which are at least 15 seconds. ctx ends the
// play; Close is to be called in any case.
func NewStage(ctx context.Context, o Options, scale int) *Stage {
	o.Namespaces, o.Idle = true, true
	return &Stage{ctx: ctx, opts: o, scale: scale, see: func(string, *events.Decision) {}, boots: true,
		frozen: map[string]bool{}, hung: map[string]bool{}, down: map[string]bool{}}
}

// Watch has decisions told, as they stand in the event logs.
func (s *Stage) Watch(see func(member string, d *events.Decision)) { s.see = see }

// buildPatience bounds the start of hosts and store.
const buildPatience = time.Minute

// Build makes the hosts and starts the store.
func (s *Stage) Build(c scenario.Cluster) error {
	o := s.opts
	o.Members, o.Tags, o.Guard = c.Members, c.Tags, c.Guard
	if o.Store != Embedded {
		o.StoreMembers = c.StoreServers
	}
	dynamic, err := s.shorten(c.Config)
	if err != nil {
		return err
	}
	o.Dynamic = string(dynamic)
	ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
	defer cancel()
	if s.c, err = Start(ctx, o); err != nil {
		return err
	}
	for _, m := range s.c.members {
		s.logs = append(s.logs, &follower{m: m})
	}
	s.looks = s.c.watchPrimaries()
	return nil
}

// Cluster is what was built, nil before.
func (s *Stage) Cluster() *Cluster { return s.c }

// Close ends everything.
func (s *Stage) Close() error {
	for _, w := range s.writers {
		w.Stop()
	}
	if s.looks != nil {
		s.looks.Stop()
	}
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	for _, l := range s.lines {
		errs = append(errs, l.close())
	}
	if s.c != nil {
		errs = append(errs, s.c.Close())
	}
	s.calls.Wait() // their members have ended
	return errors.Join(errs...)
}

// timings are the settings that are times, in seconds.
var timings = []string{"ttl", "loop_wait", "retry_timeout", "primary_start_timeout", "primary_stop_timeout", "master_start_timeout", "master_stop_timeout",
	"member_slots_ttl"}

// shorten divides what is a time in a dynamic configuration or a patch of it.
func (s *Stage) shorten(doc json.RawMessage) (json.RawMessage, error) {
	var all map[string]any
	if err := json.Unmarshal(doc, &all); err != nil {
		return nil, fmt.Errorf("dynamic configuration %s: %w", doc, err)
	}
	for key, v := range all {
		if seconds, ok := v.(float64); ok && slices.Contains(timings, key) && seconds > 0 {
			all[key] = max(1, int(seconds)/s.scale)
		}
	}
	if ttl, ok := all["ttl"].(int); ok && time.Duration(ttl)*time.Second < events.MinTTL {
		return nil, fmt.Errorf("divided by %d, the ttl is %d s: want at least %v", s.scale, ttl, events.MinTTL)
	}
	return json.Marshal(all)
}

// Pass lets time pass.
func (s *Stage) Pass(d time.Duration) error {
	pause(s.ctx, d/time.Duration(s.scale))
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return s.catchUp()
}

// leastPatience is what a condition is given on a machine that may be busy with something else.
const leastPatience = 15 * time.Second

// Await lets time pass until ok.
func (s *Stage) Await(most time.Duration, ok func() (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(s.ctx, max(most, leastPatience))
	defer cancel()
	err := poll(ctx, askPause, ok)
	if errors.Is(err, context.DeadlineExceeded) && s.ctx.Err() == nil {
		return false, s.catchUp()
	}
	if err != nil {
		return false, err
	}
	return true, s.catchUp()
}

// member finds one that the scenario names.
func (s *Stage) member(name string) *Member { return s.c.Member(name) }

// within bounds what is done to processes.
func (s *Stage) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, killPatience)
}

// State is a member's lifecycle state: what its agent says or, if that does not answer, what it decided last.
func (s *Stage) State(member string) (string, error) {
	return s.stateOf(s.member(member)), nil
}

func (s *Stage) stateOf(m *Member) string {
	if m.AgentPID() == 0 {
		return "down"
	}
	if !s.frozen[m.Name] {
		if st, err := s.c.Status(s.ctx, m); err == nil {
			return st.State
		}
	}
	for _, l := range s.logs {
		if l.m == m && l.state != "" {
			return string(l.state)
		}
	}
	return "starting"
}

// Leader is the member that is in state leading and accepts writes.
func (s *Stage) Leader() (string, error) {
	found := ""
	for _, m := range s.looks.accepting() {
		if s.stateOf(m) != "leading" {
			continue
		}
		if found != "" {
			return "", nil
		}
		found = m.Name
	}
	return found, nil
}

// Primaries are the members that accept writes.
func (s *Stage) Primaries() ([]string, error) {
	var names []string
	for _, m := range s.looks.accepting() {
		names = append(names, m.Name)
	}
	return names, nil
}

// Healthy tells that all stream from one leader.
func (s *Stage) Healthy() (bool, error) {
	leader, err := s.Leader()
	if leader == "" || err != nil {
		return false, err
	}
	for _, m := range s.c.members {
		if m.Name != leader && s.stateOf(m) != "following" {
			return false, nil
		}
	}
	missing, err := s.notFollowing(s.member(leader), s.c.members)
	return missing == "" && err == nil, nil //nolint:nilerr // a leader that does not answer is not healthy
}

// notFollowing says who of the members does not stream the leader's own timeline. A replica that has diverged streams, too, again and again: the
// part of the old timeline that both have.
func (s *Stage) notFollowing(leader *Member, members []*Member) (string, error) {
	missing, err := s.c.notStreaming(s.ctx, leader, members)
	if missing != "" || err != nil {
		return missing, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, connectLimit)
	defer cancel()
	timeline, err := leader.Query(ctx, "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int::text")
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if m == leader {
			continue
		}
		received, err := m.Query(ctx, "SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'), 0)::text")
		if err != nil {
			return "", err
		}
		if received != timeline {
			return fmt.Sprintf("%s receives timeline %s, and %s is on %s", m.Name, received, leader.Name, timeline), nil
		}
	}
	return "", nil
}
