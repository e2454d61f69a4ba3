package simulations

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
	"github.com/regent-ha/regent/simulations/scenario"
)

// Stage plays scenarios in a World, which Build makes.
type Stage struct {
	w      *World
	kind   string // of the store
	tape   *kernel.Tape
	see    func(member string, d *events.Decision)
	orders int
}

var _ scenario.Stage = (*Stage)(nil)

// NewStage makes a stage with a kind of store; chances are drawn from the tape.
func NewStage(store string, tape *kernel.Tape) *Stage { return &Stage{kind: store, tape: tape} }

// Watch has decisions told.
func (s *Stage) Watch(see func(member string, d *events.Decision)) { s.see = see }

// Build makes the world. Its clients are quiet.
func (s *Stage) Build(c scenario.Cluster) error {
	s.w = New(Settings{Tape: s.tape, Members: c.Members, Config: string(c.Config), Guard: c.Guard, Store: s.kind, StoreServers: c.StoreServers})
	s.w.Quiet = true
	for _, m := range s.w.members {
		m.Tags = c.Tags[m.name]
	}
	s.w.OnInput = func(member string, _ events.Input, d *events.Decision) { s.see(member, d) }
	return nil
}

// Pass lets time pass.
func (s *Stage) Pass(d time.Duration) error {
	s.w.Run(d)
	return nil
}

// Await lets time pass until ok.
func (s *Stage) Await(most time.Duration, ok func() (bool, error)) (bool, error) {
	var err error
	holds := s.w.RunUntil(most, func() bool {
		var holds bool
		holds, err = ok()
		return holds || err != nil
	})
	return holds && err == nil, err
}

// agent finds a member whose agent runs, or does not.
func (s *Stage) agent(name string, runs bool) (*Member, error) {
	m := s.w.Member(name)
	if m.alive != runs {
		return nil, fmt.Errorf("the agent of %s runs: %v", name, m.alive)
	}
	return m, nil
}

// StartAgent starts an agent that does not run.
func (s *Stage) StartAgent(member string) error {
	m, err := s.agent(member, false)
	if err == nil {
		m.Exit = -1
		m.Start()
	}
	return err
}

// StopAgent asks it to end.
func (s *Stage) StopAgent(member string) error {
	m, err := s.agent(member, true)
	if err == nil {
		s.w.struck(coverage.AgentStopped, m)
		m.Stop()
	}
	return err
}

// KillAgent ends it.
func (s *Stage) KillAgent(member string) error {
	m, err := s.agent(member, true)
	if err == nil {
		s.w.struck(coverage.AgentKilled, m)
		m.Kill()
	}
	return err
}

// FreezeAgent stops its time.
func (s *Stage) FreezeAgent(member string) error {
	m, err := s.agent(member, true)
	if err == nil {
		s.w.struck(coverage.AgentFrozen, m)
		m.Freeze()
	}
	return err
}

// ThawAgent lets it go on.
func (s *Stage) ThawAgent(member string) error {
	m, err := s.agent(member, true)
	if err == nil {
		m.Thaw()
	}
	return err
}

// KillGuard ends a guard.
func (s *Stage) KillGuard(member string) error {
	m := s.w.Member(member)
	s.w.struck(coverage.GuardKilled, m)
	m.KillGuard()
	return nil
}

// KillHost ends everything of a member.
func (s *Stage) KillHost(member string) error {
	m := s.w.Member(member)
	s.w.struck(coverage.HostCrashed, m)
	m.KillAll()
	return nil
}

// BootHost starts guard and agent.
func (s *Stage) BootHost(member string) error {
	m, err := s.agent(member, false)
	if err == nil {
		m.Exit = -1
		m.Boot()
	}
	return err
}

// server finds a PostgreSQL that runs, or does not.
func (s *Stage) server(member string, runs bool) (*postgres.Server, error) {
	p := s.w.Member(member).pg
	if p.Running() != runs {
		return nil, fmt.Errorf("PostgreSQL of %s runs: %v", member, p.Running())
	}
	return p, nil
}

// KillPostgres kills a postmaster.
func (s *Stage) KillPostgres(member string) error {
	p, err := s.server(member, true)
	if err == nil {
		s.w.struck(coverage.PostmasterKilled, s.w.Member(member))
		p.Kill()
	}
	return err
}

// HangPostgres lets a server do nothing.
func (s *Stage) HangPostgres(member string) error {
	p, err := s.server(member, true)
	if err == nil {
		s.w.struck(coverage.PostgresHung, s.w.Member(member))
		p.Hang()
	}
	return err
}

// WedgePostgres lets a server hang in the kernel.
func (s *Stage) WedgePostgres(member string) error {
	p, err := s.server(member, true)
	if err == nil {
		p.Wedge()
	}
	return err
}

// BlindProbe lets looks at PostgreSQL be in vain.
func (s *Stage) BlindProbe(member string, blind bool) error {
	s.w.Member(member).pg.BlindProbe(blind)
	return nil
}

// ResumePostgres lets it go on, if it is still there.
func (s *Stage) ResumePostgres(member string) error {
	s.w.Member(member).pg.Resume()
	return nil
}

// PromotePostgres ends recovery by hand.
func (s *Stage) PromotePostgres(member string) error {
	p, err := s.server(member, true)
	if err == nil && !p.Recovering() {
		err = fmt.Errorf("PostgreSQL of %s is no replica", member)
	}
	if err == nil {
		s.w.struck(coverage.PromotedByHand, s.w.Member(member))
		p.RequestPromotion()
	}
	return err
}

// EmptyData takes a data directory away.
func (s *Stage) EmptyData(member string) error {
	p, err := s.server(member, false)
	if err == nil {
		s.w.struck(coverage.DataGone, s.w.Member(member))
		p.Empty()
	}
	return err
}

// ForeignData puts the data of another cluster there.
func (s *Stage) ForeignData(member string) error {
	p, err := s.server(member, false)
	if err == nil {
		s.w.struck(coverage.DataForeign, s.w.Member(member))
		p.Restore()
	}
	return err
}

// CutStore cuts a member's line to the store.
func (s *Stage) CutStore(member string, way scenario.Way, refused bool) error {
	m := s.w.Member(member)
	if way == scenario.BothWays {
		s.w.struck(coverage.StoreCut, m)
	} else {
		s.w.struck(coverage.StoreCutOneWay, m)
	}
	l := m.line
	l.noRequests, l.noAnswers, l.resets = way != scenario.Answers, way != scenario.Requests, refused
	return nil
}

// StoreServers is how many there are.
func (s *Stage) StoreServers() int { return s.w.store.Servers() }

// StoreLeader is the server that leads the store.
func (s *Stage) StoreLeader() (int, error) { return s.w.store.Leader() + 1, nil }

func (s *Stage) storeServer(do func(int), server int) error {
	do(server - 1)
	return nil
}

// KillStoreServer ends a server of the store.
func (s *Stage) KillStoreServer(n int) error {
	s.w.struck(coverage.StoreServerKilled, s.w.members...)
	return s.storeServer(s.w.store.Kill, n)
}

// StartStoreServer starts it again.
func (s *Stage) StartStoreServer(n int) error { return s.storeServer(s.w.store.Start, n) }

// FreezeStoreServer stops its time.
func (s *Stage) FreezeStoreServer(n int) error {
	s.w.struck(coverage.StoreServerFrozen, s.w.members...)
	return s.storeServer(s.w.store.Freeze, n)
}

// ThawStoreServer lets it go on.
func (s *Stage) ThawStoreServer(n int) error { return s.storeServer(s.w.store.Thaw, n) }

// SplitStore cuts a server off from the others.
func (s *Stage) SplitStore(n int) error {
	s.w.struck(coverage.StoreSplit, s.w.members...)
	return s.storeServer(func(i int) { s.w.store.Split([]int{i}) }, n)
}

// HealStore lets all servers reach each other.
func (s *Stage) HealStore() error {
	s.w.store.Join()
	return nil
}

// WipeStore empties the store.
func (s *Stage) WipeStore() error {
	s.w.struck(coverage.StoreWiped, s.w.members...)
	s.w.Wipe()
	return nil
}

// StoreTroubles are what only this kind of store has.
func (s *Stage) StoreTroubles() []string {
	var names []string
	for _, t := range s.w.store.Troubles() {
		names = append(names, t.Name)
	}
	return names
}

// TroubleStore lets one of them happen.
func (s *Stage) TroubleStore(name string) error {
	for _, t := range s.w.store.Troubles() {
		if t.Name == name {
			s.w.struck(coverage.StoreTrouble, s.w.members...)
			t.Do()
			return nil
		}
	}
	return fmt.Errorf("no trouble %q", name)
}

// Key reads a key.
func (s *Stage) Key(name string) (value string, there bool, err error) {
	kv, there := s.w.Key(name)
	return kv.Value, there, nil
}

// PutKey writes one.
func (s *Stage) PutKey(name, value string) error {
	f := coverage.KeysEdited
	if name == events.KeyConfig {
		f = coverage.ConfigBroken // a sound one is patched
	}
	s.w.struck(f, s.w.members...)
	s.w.Put(name, value)
	return nil
}

// RemoveKey deletes one.
func (s *Stage) RemoveKey(name string) error {
	s.w.struck(coverage.KeysEdited, s.w.members...)
	s.w.Remove(name)
	return nil
}

// PatchConfig changes the configuration in the store.
func (s *Stage) PatchConfig(patch json.RawMessage) (string, error) {
	var doc, change any
	if kv, there := s.w.Key(events.KeyConfig); there {
		if err := json.Unmarshal([]byte(kv.Value), &doc); err != nil {
			return "", fmt.Errorf("patch the configuration: what is there: %w", err)
		}
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return "", fmt.Errorf("patch the configuration: %w", err)
	}
	b, err := json.Marshal(mergePatch(doc, change))
	if err == nil {
		f, was := coverage.ConfigEdited, s.w.operators.paused
		s.w.Put(events.KeyConfig, string(b))
		if s.w.operators.paused != was {
			f = coverage.PauseSet
		}
		s.w.struck(f, s.w.members...)
	}
	return "", err
}

// mergePatch is RFC 7386.
func mergePatch(doc, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if old, ok := doc.(map[string]any); ok {
		for k, v := range old {
			out[k] = v
		}
	}
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = mergePatch(out[k], v)
		}
	}
	return out
}

// Switchover writes the request as a door of the API does; whether it can be meant, the leader says.
func (s *Stage) Switchover(from, to string, in time.Duration) (string, error) {
	r := events.FailoverRecord{Leader: from, Candidate: to}
	if in > 0 {
		r.ScheduledAt = epochWall.Add(time.Duration(s.w.Now().Add(in))).Format(time.RFC3339)
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
		f := coverage.SwitchoverAsked
		if r.Leader == "" {
			f = coverage.FailoverAsked
		}
		s.w.struck(f, s.w.members...)
		s.w.Put(events.KeyFailover, string(b))
	}
	return err
}

// Restart gives an order.
func (s *Stage) Restart(member string) error {
	return s.order(member, events.OperatorRequest{Verb: events.AskRestart})
}

// Reinitialize gives an order.
func (s *Stage) Reinitialize(member string, force bool) error {
	return s.order(member, events.OperatorRequest{Verb: events.AskReinitialize, Force: force})
}

func (s *Stage) order(member string, r events.OperatorRequest) error {
	m, err := s.agent(member, true)
	if err == nil {
		s.orders++
		r.ID = fmt.Sprint(s.orders)
		f := coverage.RestartAsked
		if r.Verb == events.AskReinitialize {
			f = coverage.ReinitAsked
		}
		s.w.struck(f, m)
		m.Ask(r)
	}
	return err
}

// State is a member's lifecycle state.
func (s *Stage) State(member string) (string, error) {
	m := s.w.Member(member)
	if !m.alive {
		return "down", nil
	}
	return string(m.engine.State()), nil
}

// Leader is the member that leads and accepts writes.
func (s *Stage) Leader() (string, error) {
	if m := s.w.Leader(); m != nil {
		return m.name, nil
	}
	return "", nil
}

// Primaries are the members that accept writes.
func (s *Stage) Primaries() ([]string, error) {
	var names []string
	for _, m := range s.w.members {
		if m.pg.Writable() {
			names = append(names, m.name)
		}
	}
	return names, nil
}

// Healthy tells that all stream from one leader.
func (s *Stage) Healthy() (bool, error) { return s.w.Healthy(), nil }

// Counts are what was seen so far of rules, effects and faults, nil before there is a world.
func (s *Stage) Counts() *coverage.Counts {
	if s.w == nil {
		return nil
	}
	return &s.w.Counts
}

// Broken is what judges and engines found.
func (s *Stage) Broken() []string {
	if s.w == nil {
		return nil
	}
	return s.w.Broken
}
