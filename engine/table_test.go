package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regent-ha/regent/events"
)

func TestEveryRuleHasAPermanentID(t *testing.T) {
	seen := map[events.RuleID]bool{}
	ids := []events.RuleID{}
	for i := range table {
		ids = append(ids, table[i].ID)
	}
	for i := range dutyTable {
		ids = append(ids, dutyTable[i].ID)
	}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("rule %s stands twice", id)
		}
		seen[id] = true
	}
}

// Every state ends in a row without conditions: whatever the input, there is a row, and so an answer to
// "why".
func TestEveryStateAnswersEveryInput(t *testing.T) {
	for i := range states {
		rows := byState()[states[i].State]
		if len(rows) == 0 {
			t.Errorf("state %s has no rows", states[i].State)
			continue
		}
		for j, r := range rows {
			last := j == len(rows)-1
			if last != (len(r.When) == 0) {
				t.Errorf("%s: the last row of a state, and only that, is without conditions", r.ID)
			}
			if last && (r.To != "" || r.Then.do != nil) {
				t.Errorf("%s: the last row must hold", r.ID)
			}
		}
	}
}

// In every state, every class of inputs is consumed and leaves the member held by a row, with a reason, a time to
// wake and no broken invariant.
func TestEveryStateTakesEveryInputClass(t *testing.T) {
	for i := range states {
		for _, f := range everyFact() {
			e := New(Options{HashStates: true})
			e.Step(events.Input{Seq: 1, At: 1e9, Fact: started()})
			e.life.machine.SetState(string(states[i].State))
			e.s.life, e.rows = states[i].State, rowsOf[states[i].State]
			d := e.Step(events.Input{Seq: 2, At: 2e9, Fact: f})
			if d.Rule == "" || e.s.why == "" || d.WakeAt <= 2e9 {
				t.Errorf("%s on %s: rule %q, why %q, wake %d", states[i].State, f.FactKind(), d.Rule, e.s.why, d.WakeAt)
			}
			for _, b := range d.Broken {
				// A lease that vanishes under a leading state is what the test makes up, not a rule's doing.
				t.Errorf("%s on %s: %s", states[i].State, f.FactKind(), b)
			}
		}
	}
}

func started() events.Started {
	return events.Started{Version: "test", Member: events.MemberConfig{
		Name: "n1", Scope: "test", APIURL: "http://n1:8008/patroni", ConnURL: "postgres://n1:5432/postgres", CanBootstrap: true,
		GuardPolicy: guardRequired, Bootstrap: []byte(`{"ttl":30}`),
	}}
}

func everyFact() []events.Fact {
	return []events.Fact{
		started(),
		events.DCSSnapshot{Revision: 7, Keys: []events.KeyValue{{Key: events.KeyLeader, Value: "n2", Revision: 5}}},
		events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyLeader, Revision: 9}, Deleted: true},
		events.DCSReach{Reason: "down"}, events.LeaseOutcome{Effect: 1, Op: events.LeaseRenew, Outcome: events.Unknown},
		events.PostgresObserved{Observation: events.Observation{Data: events.DataPresent, Running: true, PID: 5, Answering: true}},
		events.PostgresExited{PID: 5, Gone: true}, events.PeerAnswered{Effect: 1, Peer: events.PeerStatus{Name: "n2"}},
		events.OperatorAsked{Request: events.OperatorRequest{ID: "a", Verb: events.AskRestart}},
		events.EffectFinished{Effect: 1, Outcome: events.Failed}, events.Progress{Effect: 1, Text: "x"}, events.TimerFired{},
		events.GuardTick{Alive: true}, events.GuardTick{Alive: true, Fired: true}, events.StorageStalled{Stalled: true}, events.ShutdownAsked{},
	}
}

func TestStepsOfRulesAreLegal(t *testing.T) {
	used := map[string]bool{}
	for i := range table {
		r := &table[i]
		if r.To == "" {
			continue
		}
		st := stateOf(r.To)
		if st == nil {
			t.Errorf("%s steps to %q, which is no state", r.ID, r.To)
			continue
		}
		legal := false
		for _, f := range st.From {
			legal = legal || f == r.In
		}
		if !legal {
			t.Errorf("%s steps from %s to %s, which the lifecycle does not allow", r.ID, r.In, r.To)
		}
		used[fmt.Sprint(r.In, ">", r.To)] = true
	}
	for i := range states {
		for _, f := range states[i].From {
			// Invariants may fence from any state in which PostgreSQL could accept writes.
			if !used[fmt.Sprint(f, ">", states[i].State)] && states[i].State != Fenced {
				t.Errorf("the lifecycle allows %s to %s, and no rule steps there", f, states[i].State)
			}
		}
	}
}

func TestEveryStateIsReachableAndHasAWayOut(t *testing.T) {
	reached := map[events.LifecycleState]bool{states[0].State: true}
	for range states {
		for i := range states {
			for _, f := range states[i].From {
				if reached[f] {
					reached[states[i].State] = true
				}
			}
		}
	}
	out := map[events.LifecycleState]bool{}
	for i := range table {
		if table[i].To != "" && table[i].To != table[i].In {
			out[table[i].In] = true
		}
	}
	for i := range states {
		if !reached[states[i].State] {
			t.Errorf("%s cannot be reached", states[i].State)
		}
		if !out[states[i].State] && states[i].State != Exited {
			t.Errorf("%s has no way out", states[i].State)
		}
		if states[i].Owner == "" || states[i].Until == "" {
			t.Errorf("%s waits without an owner or a bound", states[i].State)
		}
	}
}

func TestReasonsNameKnownFacts(t *testing.T) {
	s := New(Options{}).s
	check := func(id events.RuleID, why string) {
		if why == "" {
			t.Errorf("%s has no reason", id)
		}
		if text := fill(why, &s); strings.Contains(text, "?}") {
			t.Errorf("%s names a fact that does not exist: %s", id, text)
		}
	}
	for i := range table {
		check(table[i].ID, table[i].Why)
	}
	for i := range dutyTable {
		check(dutyTable[i].ID, dutyTable[i].Why)
	}
}

// Every effect has a deadline when it is issued, and its executor's silence is an outcome after it.
func TestSilentExecutorsAreGivenUp(t *testing.T) {
	e := New(Options{})
	e.Step(events.Input{Seq: 1, At: 1e9, Fact: started()})
	e.s.viewKnown, e.s.dcsUp = true, true
	id := e.issue(events.ReadDCS{}, 1e9)
	d := e.Step(events.Input{Seq: 2, At: 1e9 + 1, Fact: events.TimerFired{}})
	if d.WakeAt == 0 {
		t.Fatal("no time to wake")
	}
	e.Step(events.Input{Seq: 3, At: events.Instant(1e9).Add(lateness + 2e9), Fact: events.TimerFired{}})
	if _, ok := e.s.flightOf(id); ok {
		t.Fatal("an effect without an outcome is waited for after its deadline")
	}
}

func TestPrintedTablesAreCurrent(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"RULES.md":  func(b *bytes.Buffer) error { return WriteRules(b) },
		"STATES.md": func(b *bytes.Buffer) error { return WriteStates(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "docs", name)
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, b.Bytes()) {
			t.Errorf("docs/%s is not what the tables say: run go generate ./... and read the diff (%v)", name, err)
		}
	}
}

func TestIdleStepAllocatesNothing(t *testing.T) {
	e := New(Options{})
	seq := uint64(1)
	step := func(f events.Fact) {
		seq++
		e.Step(events.Input{Seq: seq, At: events.Instant(1e12) + events.Instant(seq), Fact: f})
	}
	step(started())
	step(events.DCSSnapshot{Revision: 5, Keys: []events.KeyValue{{Key: "initialize", Value: "1", Revision: 1}, {Key: "leader", Value: "n2", Revision: 2}}})
	var obs events.Fact = events.PostgresObserved{Observation: events.Observation{Sampled: 1e12, Data: events.DataPresent, Running: true, PID: 5, Answering: true, Server: events.Server{InRecovery: true, Timeline: 1, ReplicationState: "streaming"}}}
	for range 10 {
		step(obs)
	}
	if n := testing.AllocsPerRun(100, func() { step(obs) }); n != 0 {
		t.Fatalf("a step that changes nothing allocates %v times; in %s by %s", n, e.s.life, e.s.rule)
	}
}

func BenchmarkStepIdle(b *testing.B) {
	e := New(Options{})
	e.Step(events.Input{Seq: 1, At: 1e12, Fact: started()})
	e.Step(events.Input{Seq: 2, At: 1e12, Fact: events.DCSSnapshot{Revision: 5, Keys: []events.KeyValue{{Key: "initialize", Value: "1", Revision: 1}, {Key: "leader", Value: "n2", Revision: 2}}}})
	var obs events.Fact = events.PostgresObserved{Observation: events.Observation{Sampled: 1e12, Data: events.DataPresent, Running: true, PID: 5, Answering: true, Server: events.Server{InRecovery: true, Timeline: 1, ReplicationState: "streaming"}}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Step(events.Input{Seq: uint64(i + 3), At: 1e12 + 1, Fact: obs})
	}
}

// A look that its owner uses again is what the plain one is.
func TestLookIsNotKept(t *testing.T) {
	plain, again := New(Options{HashStates: true}), New(Options{HashStates: true})
	var look events.PostgresObserved
	for i := range uint64(32) {
		in := events.Input{Seq: i + 1, At: events.Instant(i+1) * 1e9}
		o := events.Observation{Sampled: in.At, Data: events.DataPresent, Running: i%5 != 0, PID: 5, Answering: i%3 != 0,
			Server: events.Server{InRecovery: i%7 != 0, Timeline: 1, FlushLSN: events.LSN(i)}}
		look.Observation = o
		in.Fact = started()
		if i > 0 {
			in.Fact = events.PostgresObserved{Observation: o}
		}
		want := plain.Step(in)
		if i > 0 {
			in.Fact = &look
		}
		got := again.Step(in)
		look = events.PostgresObserved{}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(again.Status(), plain.Status()) {
			t.Fatalf("look %d:\ngot  %+v\nwant %+v", i, got, want)
		}
	}
}
