package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regent-ha/regent/httpapi"
)

func TestChooseMember(t *testing.T) {
	for _, c := range []struct {
		name  string
		order Order
		want  string // a member, or a fragment of the refusal
	}{
		{"the leader by default", Order{Verb: KillPostgres}, "n2"},
		{"the leader by word", Order{Verb: KillAgent, Member: "leader"}, "n2"},
		{"by name", Order{Verb: Freeze, Member: "n1"}, "n1"},
		{"by number", Order{Verb: Freeze, Member: "3"}, "n3"},
		{"the frozen one", Order{Verb: Thaw}, "n2"},
		{"the one that is down", Order{Verb: StartMember}, "n3"},
		{"unknown", Order{Verb: Freeze, Member: "n9"}, "want one of n1, n2, n3"},
		{"out of range", Order{Verb: Freeze, Member: "4"}, "want one of n1, n2, n3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := chooseMember(fixed(), c.order)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	p := fixed()
	p.Leader = ""
	if _, err := chooseMember(p, Order{Verb: KillPostgres}); err == nil {
		t.Error("a leader was found where there is none")
	}
	p.Members[1].Agent = ProcessRuns
	if _, err := chooseMember(p, Order{Verb: Thaw}); err == nil {
		t.Error("a frozen member was found where there is none")
	}
}

func TestKeyTarget(t *testing.T) {
	p := fixed() // n1 is chosen, n2 leads and is frozen, n3 is down
	for verb, want := range map[Verb]string{KillPostgres: "n1", Switchover: "n1", Thaw: "", StartMember: ""} {
		if got := keyTarget(p, verb); got != want {
			t.Errorf("%s is for %q, want %q", verb, got, want)
		}
	}
	p.Target = "n2"
	for verb, want := range map[Verb]string{Switchover: "", Thaw: "n2"} {
		if got := keyTarget(p, verb); got != want {
			t.Errorf("%s is for %q, want %q", verb, got, want)
		}
	}
}

// The member that has seen the newest revision of the store knows best who leads.
func TestNewestWord(t *testing.T) {
	say := func(leader string, revision uint64, reachable bool) answer {
		return answer{ok: true, status: httpapi.RegentStatus{Leader: leader, DCS: httpapi.DCSStatus{Reachable: reachable, Revision: revision}}}
	}
	leader, _, known := newestWord([]answer{say("n1", 10, true), say("n2", 12, true), say("n3", 99, false), {}})
	if leader != "n2" || !known {
		t.Errorf("leader %q, known %t; want n2", leader, known)
	}
	if _, _, known := newestWord([]answer{say("n1", 10, false), {}}); known {
		t.Error("a leader is known although nobody reaches the store")
	}
}

func TestMissingPostgres(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	root := t.TempDir()
	err := findPostgres(root)
	if err == nil || !strings.Contains(err.Error(), "apt install postgresql") {
		t.Errorf("error %v, want one that says what to install", err)
	}
	bin := filepath.Join(root, "usr/pgsql-16/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "postgres"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := findPostgres(root); err == nil || !strings.Contains(err.Error(), "PATH="+bin) {
		t.Errorf("error %v, want one that says where it is", err)
	}
	bin = filepath.Join(root, "usr/lib/postgresql/15/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, p := range programs {
		if err := os.WriteFile(filepath.Join(bin, p), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := findPostgres(root); (err == nil) != (i == len(programs)-1) {
			t.Errorf("with %v: %v", programs[:i+1], err)
		}
	}
}
