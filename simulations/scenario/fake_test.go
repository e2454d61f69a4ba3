package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// fake is a stage that writes down what it is told. Agents that start find their role at once.
type fake struct {
	said    []string
	see     func(string, *events.Decision)
	cluster Cluster
	states  map[string]events.LifecycleState
	leader  string
	keys    map[string]string
	broken  []string
	lost    int
	// onPass, if set, is what happens when time passes.
	onPass func()
}

func newFake() *fake {
	return &fake{states: map[string]events.LifecycleState{}, keys: map[string]string{}}
}

func (f *fake) say(format string, args ...any) error {
	f.said = append(f.said, fmt.Sprintf(format, args...))
	return nil
}

// decide lets a member decide: rules are of rows that acted, with their reasons.
func (f *fake) decide(member string, to events.LifecycleState, rules ...string) {
	d := events.Decision{From: f.states[member], To: to}
	for _, r := range rules {
		id, why, _ := strings.Cut(r, " ")
		d.Fired = append(d.Fired, events.Fired{Rule: events.RuleID(id), Why: why})
		d.Rule, d.Why = events.RuleID(id), why
	}
	f.states[member] = to
	f.see(member, &d)
}

func (f *fake) Watch(see func(string, *events.Decision)) { f.see = see }

func (f *fake) Build(c Cluster) error {
	f.cluster = c
	return f.say("build %d members, guard %s, %d servers, config %s", c.Members, c.Guard, c.StoreServers, c.Config)
}

func (f *fake) Pass(d time.Duration) error {
	if f.onPass != nil {
		f.onPass()
	}
	return f.say("pass %v", d)
}

func (f *fake) Await(most time.Duration, ok func() (bool, error)) (bool, error) {
	holds, err := ok()
	if !holds && err == nil && f.onPass != nil {
		f.onPass()
		holds, err = ok()
	}
	return holds, errors.Join(err, f.say("await %v", most))
}

func (f *fake) StartAgent(m string) error {
	f.states[m] = "starting"
	if f.leader == "" {
		f.leader = m
		f.decide(m, "leading", "ST-20 PostgreSQL runs", "AD-10 the lease is held (epoch 3)")
	} else {
		f.decide(m, "following", "ST-25 a replica")
	}
	return f.say("start agent %s", m)
}

func (f *fake) StopAgent(m string) error   { return f.say("stop agent %s", m) }
func (f *fake) KillAgent(m string) error   { return f.say("kill agent %s", m) }
func (f *fake) FreezeAgent(m string) error { return f.say("freeze agent %s", m) }
func (f *fake) ThawAgent(m string) error   { return f.say("thaw agent %s", m) }
func (f *fake) KillGuard(m string) error   { return f.say("kill guard %s", m) }
func (f *fake) KillHost(m string) error    { return f.say("kill host %s", m) }
func (f *fake) BootHost(m string) error    { return f.say("boot host %s", m) }

func (f *fake) KillPostgres(m string) error           { return f.say("kill postgres %s", m) }
func (f *fake) HangPostgres(m string) error           { return f.say("hang postgres %s", m) }
func (f *fake) ResumePostgres(m string) error         { return f.say("resume postgres %s", m) }
func (f *fake) WedgePostgres(m string) error          { return f.say("wedge postgres %s", m) }
func (f *fake) BlindProbe(m string, blind bool) error { return f.say("blind probe %s %v", m, blind) }
func (f *fake) PromotePostgres(m string) error        { return f.say("promote postgres %s", m) }
func (f *fake) EmptyData(m string) error              { return f.say("empty data %s", m) }
func (f *fake) ForeignData(m string) error            { return f.say("foreign data %s", m) }

func (f *fake) CutStore(m string, way Way, refused bool) error {
	return f.say("cut store %s %v refused %v", m, []string{"both ways", "requests", "answers"}[way], refused)
}
func (f *fake) JoinStore(m string) error        { return f.say("join store %s", m) }
func (f *fake) CutMembers(a, b []string) error  { return f.say("cut %v from %v", a, b) }
func (f *fake) JoinMembers(a, b []string) error { return f.say("join %v to %v", a, b) }

func (f *fake) StartPostgres(m string, replica bool) error {
	return f.say("pg_ctl start %s, replica %v", m, replica)
}
func (f *fake) StopPostgres(m string) error           { return f.say("pg_ctl stop %s", m) }
func (f *fake) CrashBackend(m string) error           { return f.say("crash backend %s", m) }
func (f *fake) SpoilData(m string) error              { return f.say("spoil data %s", m) }
func (f *fake) DeafenGuard(m string, deaf bool) error { return f.say("guard %s deaf %v", m, deaf) }
func (f *fake) FailEffects(fail bool) error           { return f.say("effects fail %v", fail) }
func (f *fake) SlowEffects(slow bool) error           { return f.say("effects slow %v", slow) }

func (f *fake) StoreServers() int               { return f.cluster.StoreServers }
func (f *fake) StoreLeader() (int, error)       { return 2, nil }
func (f *fake) KillStoreServer(n int) error     { return f.say("kill server %d", n) }
func (f *fake) StartStoreServer(n int) error    { return f.say("start server %d", n) }
func (f *fake) FreezeStoreServer(n int) error   { return f.say("freeze server %d", n) }
func (f *fake) ThawStoreServer(n int) error     { return f.say("thaw server %d", n) }
func (f *fake) SplitStore(n int) error          { return f.say("split server %d", n) }
func (f *fake) HealStore() error                { return f.say("heal store") }
func (f *fake) WipeStore() error                { return f.say("wipe store") }
func (f *fake) StoreTroubles() []string         { return []string{"the clock jumps", "a disk is full"} }
func (f *fake) TroubleStore(name string) error  { return f.say("trouble %q", name) }
func (f *fake) PutKey(name, value string) error { return f.say("put %s %s", name, value) }
func (f *fake) RemoveKey(name string) error     { return f.say("remove %s", name) }
func (f *fake) Key(name string) (string, bool, error) {
	v, ok := f.keys[name]
	return v, ok, nil
}

func (f *fake) PatchConfig(doc json.RawMessage) (string, error) {
	return "200 it has been done", f.say("patch %s", doc)
}
func (f *fake) Switchover(from, to string, in time.Duration) (string, error) {
	return "", f.say("switchover from %s to %q in %v", from, to, in)
}
func (f *fake) Failover(to string) (string, error) { return "", f.say("failover to %s", to) }
func (f *fake) Restart(m string) error             { return f.say("restart %s", m) }
func (f *fake) Reinitialize(m string, force bool) error {
	return f.say("reinit %s force %v", m, force)
}

func (f *fake) Write(n int) error         { return f.say("write %d", n) }
func (f *fake) Writes() (int, int, error) { return 120, f.lost, nil }

func (f *fake) State(m string) (string, error) {
	if s := f.states[m]; s != "" {
		return string(s), nil
	}
	return "down", nil
}
func (f *fake) Leader() (string, error) { return f.leader, nil }
func (f *fake) Primaries() ([]string, error) {
	if f.leader == "" {
		return nil, nil
	}
	return []string{f.leader}, nil
}
func (f *fake) Healthy() (bool, error) { return !slices.Contains(f.said, "unwell"), nil }
func (f *fake) Broken() []string       { return f.broken }
