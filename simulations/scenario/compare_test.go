package scenario

import (
	"errors"
	"strings"
	"testing"
)

const compared = `cluster members=3
----
n1: starting → waiting (ST-50) → leading (ON-10)

wait 1s
----
n1: leading
  → demoting (LD-15) the lease ends in <t>
    (DE-45) stopping PostgreSQL
  → stopped (DE-30) it is down → and out
  → joining (SP-80) serving
  → stopped (JO-20) it did not start
    these 2 again and again
n2: following
  → leading (PR-10) on timeline 2
[nats]
n2: nothing
`

func TestCompare(t *testing.T) {
	f, err := Parse("x", compared)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(key string, lines ...string) Entry { return Entry{key, lines} }
	n1 := entry("n1", "leading", "  → demoting (LD-15) other words", "  → stopped (DE-30) x", "  → joining (SP-80) a", "  → stopped (JO-20) a",
		"  → joining (SP-80) b", "  → stopped (JO-20) b", "  → joining (SP-80) c", "  → stopped (JO-20) c")
	n2 := entry("n2", "following", "    refused (FL-90) something", "  → leading (PR-10) on timeline 7")
	for _, c := range []struct {
		name, store string
		block       int
		came        Output
		want        string // members that went another way
	}{
		{"in short", "etcd", 0, Output{entry("n1", "starting → waiting (ST-50) → leading (ON-10)")}, ""},
		{"in short, another rule", "etcd", 0, Output{entry("n1", "starting → waiting (ST-50) → leading (ON-20)")}, "n1"},
		{"the same, in other words and more rounds", "etcd", 1, Output{n1, n2}, ""},
		{"a member did nothing", "etcd", 1, Output{n1}, "n2"},
		{"what its store expects", "nats", 1, Output{n1}, ""},
		{"a member that was to do nothing", "etcd", 1, Output{n1, n2, entry("n3", "following", "  → leading (PR-10) x")}, "n3"},
		{"nothing at all", "etcd", 1, Output{entry("all stay", "n1 leading, n2 following")}, "n1 n2"},
	} {
		var other []string
		for _, x := range f.Blocks[c.block].Compare(c.store, c.came) {
			if !x.Same() {
				other = append(other, x.Member)
			}
		}
		if got := strings.Join(other, " "); got != c.want {
			t.Errorf("%s: %q went another way, want %q", c.name, got, c.want)
		}
	}
}

// choosyFake plays nothing with a certain word in it, and never gets so far as to build anything.
type choosyFake struct {
	*fake
	hates string
}

func (f choosyFake) Plays(words []string) error {
	for _, w := range words[1:] {
		if w == f.hates {
			return errors.New("no " + w + " here")
		}
	}
	return nil
}

func TestAChoosyStageIsAskedFirst(t *testing.T) {
	f, err := Parse("x", "cluster members=3\n----\n\nhang postgres of n1\nwait 1s\n----\n\nthaw the postgres of n1\n----\n")
	if err != nil {
		t.Fatal(err)
	}
	s := choosyFake{newFake(), "postgres"}
	_, err = Play(f, s)
	const want = "x:4: hang postgres of n1: no postgres here\nx:8: thaw the postgres of n1: no postgres here"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if len(s.said) > 0 {
		t.Errorf("it was played all the same: %v", s.said)
	}
	if _, err = Play(f, choosyFake{newFake(), "disk"}); err != nil {
		t.Errorf("what it can play: %v", err)
	}
}
