package live

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/regent-ha/regent/simulations/scenario"
)

func stageOn(store string, scale int) *Stage {
	return NewStage(context.Background(), Options{Store: store}, scale)
}

func TestWhatAStageRefuses(t *testing.T) {
	for _, c := range []struct {
		store, command, want string // empty: it is played
	}{
		{Etcd, "kill host of n1", ""},
		{Etcd, "cut n1 from the store, answers, refused", ""},
		{Etcd, "hang postgres of n1", ""},
		{Etcd, "store kill its leader", ""},
		{Etcd, `store trouble "a moonquake"`, "only a model of a store has troubles"},
		{Embedded, "store down", "the embedded store lives in the agents"},
		{"", "store down", "the embedded store lives in the agents"},
		{Embedded, "cut n1 from the store", ""},
		{Embedded, "start agent of n1", ""},
		{Embedded, "cluster members=3 start=none", "the embedded store needs agents that run"},
		{Nats, "cluster members=3 start=none", ""},
	} {
		head := "cluster members=3\n----\n\n"
		if strings.HasPrefix(c.command, "cluster") {
			head = ""
		}
		f, err := scenario.Parse("x", head+c.command+"\n----\n")
		if err != nil {
			t.Fatal(err)
		}
		s := &unbuilt{Stage: stageOn(c.store, 1)}
		_, err = scenario.Play(f, s)
		got := ""
		if err != nil && !s.built {
			got = err.Error()
		}
		if c.want == "" && !s.built || !strings.Contains(got, c.want) {
			t.Errorf("%q on %q: %v, want %q", c.command, c.store, err, c.want)
		}
	}
}

// unbuilt is a stage on which nothing is built, which ends the play.
type unbuilt struct {
	*Stage
	built bool
}

func (u *unbuilt) Build(scenario.Cluster) error {
	u.built = true
	return io.EOF
}

// TestEveryCommandIsKnown keeps the table of what is played from naming what is no command.
func TestEveryCommandIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, c := range scenario.Commands() {
		known[c.Name] = true
	}
	for name := range playable {
		if !known[name] {
			t.Errorf("%q is no command", name)
		}
	}
	if err := stageOn(Etcd, 1).Plays([]string{"wedge", "postgres", "n1"}); err == nil {
		t.Error("a command that nobody taught the stage is played")
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		scale     int
		doc, want string // of an error, if it is no object
	}{
		{1, `{"ttl":30,"loop_wait":10}`, `{"loop_wait":10,"ttl":30}`},
		{5, `{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":1024,"postgresql":{"use_slots":true}}`,
			`{"loop_wait":2,"maximum_lag_on_failover":1024,"postgresql":{"use_slots":true},"retry_timeout":2,"ttl":6}`},
		{5, `{"primary_start_timeout":0}`, `{"primary_start_timeout":0}`},
		{5, `{"retry_timeout":3}`, `{"retry_timeout":1}`},
		{5, `{"ttl":null}`, `{"ttl":null}`},
		{5, `{"ttl":"soon"}`, `{"ttl":"soon"}`},
		{20, `{"ttl":30}`, "divided by 20, the ttl is 1 s: want at least 3s"},
	} {
		got, err := stageOn(Etcd, c.scale).shorten([]byte(c.doc))
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if text != c.want {
			t.Errorf("%s by %d: %s, want %s", c.doc, c.scale, text, c.want)
		}
	}
}

func TestKeepsWrites(t *testing.T) {
	a, b, again := tenure("a", 0, 100), tenure("b", 200, 300), tenure("a", 400, 500)
	for _, c := range []struct {
		name      string
		tenures   []*Tenure
		handovers []handover
		want      bool
	}{
		{"nobody", nil, nil, true},
		{"the same member, interrupted", []*Tenure{a, again}, nil, true},
		{"another, after a handover", []*Tenure{a, b}, []handover{{"a", at(150).UnixNano()}}, true},
		{"another, without one", []*Tenure{a, b}, nil, false},
		{"the handover is of somebody else", []*Tenure{a, b}, []handover{{"b", at(150).UnixNano()}}, false},
		{"and back, the second time without one", []*Tenure{a, b, again}, []handover{{"a", at(150).UnixNano()}}, false},
		{"and back", []*Tenure{a, b, again}, []handover{{"b", at(350).UnixNano()}, {"a", at(150).UnixNano()}}, true},
		{"before the clients began", []*Tenure{tenure("c", -200, -100), a}, nil, true},
	} {
		s := stageOn(Etcd, 1)
		s.since, s.looks, s.handovers = at(0), &Probes{tenures: c.tenures}, c.handovers
		if got := s.keepsWrites(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestForwarder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // ends with the connection
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	f, err := (&Cluster{}).forward(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := echo(c); err != nil {
		t.Errorf("nothing comes back: %v", err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if err := echo(c); err == nil {
		t.Error("it still answers after its end")
	}
}
