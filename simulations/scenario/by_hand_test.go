package scenario

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatIsDoneByHandReachesTheStage(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    []string
	}{
		{"pg_ctl start n1", []string{"pg_ctl start n1, replica false"}},
		{"pg_ctl start n1 as a replica", []string{"pg_ctl start n1, replica true"}},
		{"pg_ctl stop the leader", []string{"pg_ctl stop n1"}},
		{"crash a backend of n2", []string{"crash backend n2"}},
		{"spoil the data of n3", []string{"spoil data n3"}},
		{"guard of n1 is deaf", []string{"guard n1 deaf true"}},
		{"guard of n1 well", []string{"guard n1 deaf false"}},
		{"effects fail", []string{"effects fail true", "effects slow false"}},
		{"effects slow", []string{"effects fail false", "effects slow true"}},
		{"effects well", []string{"effects fail false", "effects slow false"}},
	} {
		if got := played(t, tt.command); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.command, got, tt.want)
		}
	}
}

func TestMistakesInWhatIsDoneByHand(t *testing.T) {
	for command, want := range map[string]string{
		"pg_ctl reload n1":           `"reload" is none of start, stop`,
		"pg_ctl start":               `"" is no member`,
		"pg_ctl start n1 as primary": `"primary" is none of replica`,
		"crash postgres of n1":       `"postgres" is none of backend`,
		"spoil n1":                   `"n1" is none of data`,
		"guard of n1":                "a word is missing: one of deaf, well",
		"effects":                    "a word is missing: one of fail, slow, well",
	} {
		if _, err := Parse("x", "cluster members=3\n----\n\n"+command+"\n----\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", command, err, want)
		}
	}
}

// bare is a stage that knows only what it must.
type bare struct{ Stage }

func TestAStageNeedNotKnowIt(t *testing.T) {
	f := parsed(t, "cluster members=1\n----\n\npg_ctl stop n1\n----\n")
	if _, err := Play(f, bare{newFake()}); err == nil || !strings.Contains(err.Error(), "this stage cannot do that to PostgreSQL") {
		t.Error(err)
	}
}
