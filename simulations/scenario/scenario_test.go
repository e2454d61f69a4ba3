package scenario

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/regent-ha/regent/events"
)

const birth = "cluster members=3\n----\nn1: starting → adopting (ST-20) → leading (AD-10)\nn2: starting → following (ST-25)\nn3: starting → following (ST-25)\n"

func parsed(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// played plays commands after the birth of a cluster and tells what the stage was told.
func played(t *testing.T, commands string) []string {
	t.Helper()
	f := newFake()
	if _, err := Play(parsed(t, "cluster members=3\n----\n\n"+commands+"\n----\n"), f); err != nil {
		t.Fatal(err)
	}
	last := slices.Index(f.said, "start agent n3")
	return f.said[last+2:] // and the wait until all is well
}

func TestEveryCommandReachesTheStage(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    []string
	}{
		{"wait 40s", []string{"pass 40s"}},
		{"until leader n1", []string{"await 2m0s"}},
		{"expect leader n1", nil},
		{"expect primary n1", nil},
		{"expect healthy", nil},
		{"expect no lost writes", nil},
		{"expect state n2 n3 following", nil},
		{"expect key failover absent", nil},
		{"kill the agent of n1", []string{"kill agent n1"}},
		{"kill guard of n1 and n2", []string{"kill guard n1", "kill guard n2"}},
		{"kill postgres of the leader", []string{"kill postgres n1"}},
		{"kill the hosts of the replicas", []string{"kill host n2", "kill host n3"}},
		{"start agent of n1", []string{"start agent n1"}},
		{"start hosts of all", []string{"boot host n1", "boot host n2", "boot host n3"}},
		{"stop the agent of n1", []string{"stop agent n1"}},
		{"freeze the agent of n1", []string{"freeze agent n1"}},
		{"thaw the agent of n1", []string{"thaw agent n1"}},
		{"hang postgres of n1", []string{"hang postgres n1"}},
		{"thaw postgres of n1", []string{"resume postgres n1"}},
		{"wedge postgres of n1", []string{"wedge postgres n1"}},
		{"hang the probe of n1", []string{"blind probe n1 true"}},
		{"thaw the probe of n1", []string{"blind probe n1 false"}},
		{"promote postgres of n2", []string{"promote postgres n2"}},
		{"empty the data of n2", []string{"empty data n2"}},
		{"replace the data of n2", []string{"foreign data n2"}},
		{"cut n1 from the store", []string{"cut store n1 both ways refused false"}},
		{"cut n1 from the store: its requests", []string{"cut store n1 requests refused false"}},
		{"cut n1 from the store, the answers, refused", []string{"cut store n1 answers refused true"}},
		{"cut n1 from n2 and n3", []string{"cut [n1] from [n2 n3]"}},
		{"cut n1 from the others", []string{"cut [n1] from [n2 n3]"}},
		{"cut n1 from n2 requests", []string{"cut way [n1] to [n2] refused false"}},
		{"cut n1 from n2 answers refused", []string{"cut way [n2] to [n1] refused true"}},
		{"cut n1 from n2 refused", []string{"cut way [n1] to [n2] refused true", "cut way [n2] to [n1] refused true"}},
		{"cut n1 from server 2 of the store", []string{"cut n1 from server 2 refused false"}},
		{"disk of n1 is stalled", []string{"disk n1 stalled 0s"}},
		{"disk of n1 slow by 2s", []string{"disk n1 slow 2s"}},
		{"disk of n1: the log stalled", []string{"log n1 stalled true"}},
		{"clock of n1 slow by 0.5%", []string{"drift n1 -0.5"}},
		{"clock of n1 is true", []string{"drift n1 0"}},
		{"clock of n2 back by 2h", []string{"step n2 -2h0m0s"}},
		{"suspend the host of n1", []string{"suspend n1"}},
		{"wake the host of n1", []string{"wake n1"}},
		{"name the agent of n3: n1", []string{"name agent n3 n1"}},
		{"kill the agent of n1 before promote", []string{"kill agent n1 at promote, amid false"}},
		{"kill the agent of n1 amid rewind", []string{"kill agent n1 at rewind, amid true"}},
		{"slow n1 from the others by 5s", []string{"spoil [n1] and [n2 n3] late 5s loss 0"}},
		{"slow n1 n2 from the store by 1s", []string{"spoil store n1 late 1s loss 0", "spoil store n2 late 1s loss 0"}},
		{"lose 20% of the packets of n1 from n2", []string{"spoil [n1] and [n2] late 0s loss 20"}},
		{"join n1 to the others", []string{"join [n1] to [n2 n3]"}},
		{"join all to the store", []string{"join store n1", "join store n2", "join store n3"}},
		{"store down", []string{"kill server 1", "kill server 2", "kill server 3"}},
		{"store up", []string{"start server 1", "start server 2", "start server 3"}},
		{"store kill server 3", []string{"kill server 3"}},
		{"store freeze its leader", []string{"freeze server 2"}},
		{"store thaw server 1", []string{"thaw server 1"}},
		{"store start 1", []string{"start server 1"}},
		{"store split its leader", []string{"split server 2"}},
		{"store healed", []string{"heal store"}},
		{"store wiped", []string{"wipe store"}},
		{`store trouble "a disk is full"`, []string{`trouble "a disk is full"`}},
		{"config ttl=20 postgresql.use_slots=false", []string{`patch {"postgresql":{"use_slots":false},"ttl":20}`}},
		{`config {"ttl": "soon"}`, []string{`patch {"ttl":"soon"}`}},
		{"pause", []string{`patch {"pause":true}`}},
		{"resume", []string{`patch {"pause":null}`}},
		{"switchover from n1", []string{`switchover from n1 to "" in 0s`}},
		{"switchover from n1 to nosuch in 45s", []string{`switchover from n1 to "nosuch" in 45s`}},
		{"failover to n2", []string{"failover to n2"}},
		{"restart n1", []string{"restart n1"}},
		{"reinit n2 force", []string{"reinit n2 force true"}},
		{`put key failover {"leader": "n1"}`, []string{`put failover {"leader": "n1"}`}},
		{`put key initialize ""`, []string{"put initialize "}},
		{"remove key leader", []string{"remove leader"}},
		{"clients write 10 per second", []string{"write 10"}},
		{"clients quiet", []string{"write 0"}},
		{"writes", nil},
	} {
		if got := played(t, tt.command); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.command, got, tt.want)
		}
	}
}

func TestTheTableIsComplete(t *testing.T) {
	names := commandNames()
	if !slices.IsSorted(names) {
		t.Errorf("not in order: %v", names)
	}
	for _, c := range Commands() {
		if c.Does == "" || len(c.Forms) == 0 || !strings.HasPrefix(c.Forms[0], c.Name) {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
}

func TestClusterWithSettingsAndTags(t *testing.T) {
	f := newFake()
	if _, err := Play(parsed(t, "cluster members=2 servers=1 guard=preferred ttl=5 postgresql.use_pg_rewind=false n2.nofailover=true start=none\n----\n"), f); err != nil {
		t.Fatal(err)
	}
	want := `build 2 members, guard preferred, 1 servers, config {"loop_wait":10,"postgresql":{"use_pg_rewind":false},"retry_timeout":10,"ttl":5}`
	if !slices.Equal(f.said, []string{want}) {
		t.Errorf("%q", f.said)
	}
	if tags := f.cluster.Tags; !reflect.DeepEqual(tags, map[string]events.Tags{"n2": {NoFailover: true}}) {
		t.Errorf("tags %+v", tags)
	}
}

func TestMistakesAreFoundBeforeAnythingIsPlayed(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "x.txt:1: no block"},
		{"# only words\n", "x.txt:1: no block"},
		{"wait 1s\n", "x.txt:1: the file ends before a line ----"},
		{"# t\n\nwait 1s\n\n----\n", "x.txt:4: the commands above end without a line ----"},
		{"----\n", "x.txt:1: ---- without a command above it"},
		{"wait 1s\n----\nn1: x\n----\n", "x.txt:4: ---- in an output"},
		{"kil n1\n----\n", `x.txt:1: no command "kil": there are clients, clock, `},
		{"wait\n----\n", `x.txt:1: wait: "" is no time: want one as 40s, 300ms or 2m; want wait <time>`},
		{"wait 40\n----\n", `"40" is no time`},
		{"wait 4s long\n----\n", `wait: "long" is too much`},
		{"kill n1\n----\n", `kill: "n1" is none of agent, guard, postgres, host; want kill agent|guard|postgres|host of <members>, or kill agent of <members> before|amid <effect>`},
		{"kill agent of him\n----\n", `"him" is no member: want names as n1`},
		{"cut n1 off the store\n----\n", `"off" is none of from`},
		{"join n1 with n2\n----\n", `"with" is none of to`},
		{"until well\n----\n", `"well" is none of leader <member>|another|none, primary`},
		{"until leader him\n----\n", `"him" is none of a member, another, none`},
		{"expect no luck\n----\n", `"no luck" is none of`},
		{"expect state n1\n----\n", "which state?"},
		{"expect key leader\n----\n", "which key, and what does it say?"},
		{"clock of n1 wrong\n----\n", `"wrong" is none of fast, slow, true, ahead, back`},
		{"clock of n1 fast by 99%\n----\n", `"99" is none of a number above 0, up to 50`},
		{"suspend n1\n----\n", `"n1" is none of host`},
		{"name the agent of n3\n----\n", `"n3", "": want two names of members`},
		{"kill agent of n1 before\n----\n", "before which effect?"},
		{"disk of n1 broken\n----\n", `"broken" is none of stalled, full, wal-full, read-only, slow, well`},
		{"disk of n1 slow 2s\n----\n", `"2s" is none of by`},
		{"disk of n1 log full\n----\n", `"full" is none of stalled, well`},
		{"slow n1 from n2 for 5s\n----\n", `"for" is none of by`},
		{"lose much of packets of n1 from n2\n----\n", `which part of the packets: "much": want a number from 1 to 90`},
		{"lose 5% of n1 from n2\n----\n", `"n1" is none of packets`},
		{"cut n1 from server x of the store\n----\n", `which server: "x": want a number from 1 to 7`},
		{"store off\n----\n", `"off" is none of down, up`},
		{"store kill 9\n----\n", `which server: "9": want a number from 1 to 7, or its leader`},
		{"store trouble \"x\n----\n", "a quote is not closed"},
		{"config\n----\n", "config: no setting"},
		{"config ttl\n----\n", `"ttl" has no =`},
		{"config {\"ttl\": \n----\n", "a brace is not closed"},
		{"config ttl=5 ttl.x=3\n----\n", "ttl is no object"},
		{"cluster members=x\n----\n", `members: "x": want a number from 1 to 9`},
		{"cluster guard=no\n----\n", `guard: "no" is none of required, preferred, off`},
		{"switchover n1\n----\n", `"n1" is none of from`},
		{"failover\n----\n", "to whom?"},
		{"put key leader\n----\n", "which key"},
		{"remove leader\n----\n", `"leader" is none of key`},
		{"clients read\n----\n", `"read" is none of write, quiet`},
		{"wait 1s\n----\nsomething\n", `x.txt:3: "something": want an entry, as in "n1: leading"`},
		{"wait 1s\n----\n  → x\n", "it is indented, and belongs to no entry"},
		{"wait 1s\n----\nn1: a\nn1: b\n", `a second entry for "n1"`},
		{"wait 1s\n----\n[consul\nn1: b\n", "want the names of stores in brackets"},
		{"wait 1s\n----\n[consul]\n[etcd consul]\n", "a second section for consul"},
	} {
		_, err := Parse("x.txt", tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		text  string
		spoil func(f *fake)
		want  string
	}{
		{"cluster\n----\n\ncluster\n----\n", nil, "x.txt:4: cluster: the cluster is built already"},
		{"cluster members=2 n3.nofailover=true\n----\n", nil, "tags of n3, and there are 2 members"},
		{"cluster\n----\n\nkill agent of n4\n----\n", nil, "there is no member n4, but n1, n2, n3"},
		{"cluster\n----\n\nuntil leader n2 within 5s\n----\n", nil, "not within 5s: n1 leads; n1 leading, n2 following, n3 following"},
		{"cluster\n----\n\nexpect state n2 leading\n----\n", nil, "n2 is following; n1 leading"},
		{"cluster\n----\n\nexpect leader none\n----\n", nil, "n1 leads"},
		{"cluster\n----\n\nexpect primary none\n----\n", nil, "PostgreSQL accepts writes on n1"},
		{"cluster\n----\n\nexpect key leader n1\n----\n", nil, "the key leader is absent"},
		{"cluster\n----\n\nexpect no lost writes\n----\n", func(f *fake) { f.lost = 2 }, "of 120 acknowledged writes, 2 are missing"},
		{"cluster\n----\n\ncut n1 from n1\n----\n", nil, "want members on both sides"},
		{"cluster\n----\n\nstore kill 4\n----\n", nil, "the store has 3 servers"},
		{"cluster\n----\n\nstore trouble x\n----\n", nil, `this store does not know the trouble "x", but: the clock jumps; a disk is full`},
		{"cluster\n----\n\nwait 1s\n----\n", func(f *fake) { f.onPass = func() { f.broken = []string{"S1: two"} } },
			"x.txt:4: wait 1s: what must never be has been:\nS1: two"},
	} {
		f := newFake()
		if tt.spoil != nil {
			tt.spoil(f)
		}
		_, err := Play(parsed(t, tt.text), f)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	f := newFake()
	f.onPass = func() {
		f.decide("n2", "campaigning", "FL-30 nobody holds the lease")
		for range 3 {
			f.decide("n2", "following", "CA-42 newer WAL than 0/3000060: n3 at 0/4000000")
			f.decide("n2", "campaigning", "FL-30 nobody holds the lease")
		}
		f.decide("n2", "promoting", "CA-05 the lease is won, epoch 7", "LE-20 a duty")
		f.decide("n2", "leading", "PR-10 out of recovery, on timeline 2")
		f.see("n3", &events.Decision{From: "following", To: "following", Rule: "FL-26", Why: "123 bytes behind", Fired: []events.Fired{{Rule: "LE-10"}},
			Refusals: []events.Refusal{{Rule: "FL-26", Candidate: "n3", Why: "123 bytes behind"}},
			Effects:  []events.Effect{{Action: events.AnswerOperator{Code: 503, Body: "not now"}}, {Action: events.Exit{Code: 1}}}})
		f.states["n1"] = "starting"
		f.decide("n1", "stopped", "ST-40 PostgreSQL is down")
		f.decide("n1", "stopped", "SP-50 comparing: the DCS does not answer (dial tcp): within 1.5 s or 300ms")
	}
	out, err := Play(parsed(t, birth+"\nwait 40s\nwrites\npause\n----\n\nwrites\n----\n"), f)
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].String(); !strings.HasSuffix(birth, got+"\n") {
		t.Errorf("birth:\n%s", got)
	}
	want := `n1: leading
  → starting the agent starts
  → stopped (ST-40) PostgreSQL is down
    (SP-50) comparing: the DCS does not answer (<dcs>): within <t> or <t>
n2: following
  → campaigning (FL-30) nobody holds the lease
  → following (CA-42) newer WAL than <lsn>: n3 at <lsn>
    these 2 again and again
  → promoting (CA-05) the lease is won, epoch <n>
  → leading (PR-10) out of recovery, on timeline 2
n3: following
    refused (FL-26) <n> bytes behind
    answers 503: not now
    the agent ends with code 1
writes: <n> acknowledged, 0 missing
config: 200 it has been done`
	if got := out[1].String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := out[2].String(), "all stay: n1 stopped, n2 leading, n3 following\nwrites: <n> acknowledged, 0 missing"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMask(t *testing.T) {
	for text, want := range map[string]string{
		"the DCS does not answer (the API server does not answer: timeout (5 s)): serving reads": "the DCS does not answer (<dcs>): serving reads",
		"the lease ends in 9.9 s and could not be renewed: get /x: EOF":                          "the lease ends in <t> and could not be renewed: <dcs>",
		"the DCS does not answer: dial tcp 10.0.0.1:2379: connect":                               "the DCS does not answer: <dcs>",
		"waiting for the DCS (no answer) and for a first look at PostgreSQL":                     "waiting for the DCS (<dcs>) and for a first look at PostgreSQL",
		"taking the lease (n1 no answer yet, n2 unreachable, n3 at 0/3000060)":                   "taking the lease (n3 at <lsn>)",
		"taking the lease (n2 at 0/3000060, n1 unreachable)":                                     "taking the lease (n2 at <lsn>)",
		"taking the lease (n1 unreachable)":                                                      "taking the lease (nobody answers)",
		"taking the lease (no peers)":                                                            "taking the lease (no peers)",
		"no member is fit: n2 unreachable":                                                       "no member is fit: n2 unreachable",
		"70000000000000000001 and 7000000000000000001 here, at 2026-01-01T00:00:00.5Z":           "70000000000000000001 and <system id> here, at <time>",
		"maximum_lag_on_failover, 1024, on timeline 3, epoch 17":                                 "maximum_lag_on_failover, 1024, on timeline 3, epoch <n>",
	} {
		if got := mask(text); got != want {
			t.Errorf("%q\nbecame %q\nwant   %q", text, got, want)
		}
	}
}

func TestGolden(t *testing.T) {
	text := "# It happens.\n# Retells: a#1; b#2.\n# Faults: N1, D2.\n\n" + "wait 1s\n# a remark\nwait 2s\n----\nn1: old\n\n\n# more\n" + "wait 3s\n----\n"
	f := parsed(t, text)
	if f.Title != "It happens." || !slices.Equal(f.Retells, []string{"a#1", "b#2"}) || !slices.Equal(f.Faults, []string{"N1", "D2"}) {
		t.Errorf("header %+v", f)
	}
	one, two := Output{{"n1", []string{"a", "  → b"}}, {"n2", []string{"c"}}}, Output{{"n1", []string{"a", "  → b"}}, {"n3", []string{"d"}}}
	three := Output{{"n1", []string{"x"}}, {"n2", []string{"c"}}}
	came := map[string][]Output{"etcd": {one, one}, "nats": {one, two}, "consul": {two, nil}, "zookeeper": {two, three}, "kubernetes": {one, one}}
	wrote := Rewrite(f, came)
	want := "# It happens.\n# Retells: a#1; b#2.\n# Faults: N1, D2.\n\nwait 1s\n# a remark\nwait 2s\n----\nn1: a\n  → b\nn2: c\n[consul zookeeper]\nn2: nothing\nn3: d\n\n\n# more\n" +
		"wait 3s\n----\nn1: a\n  → b\nn2: c\n[consul]\nn1: nothing\nn2: nothing\n[nats]\nn2: nothing\nn3: d\n[zookeeper]\nn1: x\n"
	if wrote != want {
		t.Fatalf("wrote\n%s\nwant\n%s", wrote, want)
	}
	back := parsed(t, wrote)
	for store, outputs := range came {
		if p := Check(back, store, outputs); len(p) > 0 {
			t.Errorf("%s: %v", store, p)
		}
		if len(Check(f, store, outputs)) == 0 {
			t.Errorf("%s: the old file is content", store)
		}
	}
	if again := Rewrite(back, came); again != wrote {
		t.Errorf("a second rewrite changes\n%s\nto\n%s", wrote, again)
	}
	p := Check(back, "zookeeper", []Output{two, {{"n1", []string{"y"}}, {"n4", []string{"e"}}}})
	if want := "x.txt:18: on zookeeper came something else:\n- n1: x\n+ n1: y\n- n2: c\n+ n4: e"; len(p) != 1 || p[0].Error() != want {
		t.Errorf("%v\nwant\n%v", p, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(birth)
	f.Add("wait 1s\n----\nn1: a\n  b\n[x]\nn1: nothing\n")
	f.Add("put key failover {\"leader\": \"n1\"}\n----\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("x", text)
		if err != nil {
			return
		}
		if _, err := Parse("x", Rewrite(file, nil)); err != nil {
			t.Fatal(err)
		}
	})
}
