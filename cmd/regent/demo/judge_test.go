package demo

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	bounds := Bounds{Took: 60 * time.Second, Gap: 20 * time.Second, Keeps: true}
	for _, c := range []struct {
		name string
		m    Measured
		want []string // a fragment of each reason
	}{
		{"all well", Measured{Took: time.Second, Gap: time.Second, Bounds: bounds}, nil},
		{"at the bounds", Measured{Took: bounds.Took, Gap: bounds.Gap, Bounds: bounds}, nil},
		{"too long", Measured{Took: bounds.Took + 1, Bounds: bounds}, []string{"it took 60.0 s, at most 60.0 s"}},
		{"gap too long", Measured{Gap: 25 * time.Second, Bounds: bounds}, []string{"writes paused for 25.0 s, at most 20.0 s"}},
		{"no gap to keep", Measured{Gap: time.Hour, Bounds: Bounds{Took: 1}}, nil},
		{"lost although promised", Measured{Lost: 2, Bounds: bounds}, []string{"2 acknowledged writes are lost"}},
		{"lost, nothing promised", Measured{Lost: 2, Bounds: Bounds{Took: 1, Gap: 1}}, nil},
		{"not counted", Measured{Lost: -1, Bounds: bounds}, []string{"were not counted"}},
		{"not counted because of an error", Measured{Lost: -1, Err: errors.New("no leader"), Bounds: bounds}, []string{"no leader"}},
		{"wrong facts come first", Measured{Wrong: []string{"n2 leads"}, Gap: time.Minute, Bounds: bounds}, []string{"n2 leads", "writes paused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judge(c.m)
			if len(j.Reasons) != len(c.want) || j.Passed() != (len(c.want) == 0) {
				t.Fatalf("reasons %q, want %q", j.Reasons, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(j.Reasons[i], want) {
					t.Errorf("reason %q, want it to say %q", j.Reasons[i], want)
				}
			}
		})
	}
}

func TestTableAndLines(t *testing.T) {
	all := []Judged{
		judge(Measured{Number: 1, Name: "bootstrap", Did: "started three members", Took: 3200 * time.Millisecond, Lost: -1, Bounds: Bounds{Took: 2 * time.Minute}}),
		judge(Measured{Number: 2, Name: "switchover", Did: "n1 -> n2", Took: 700 * time.Millisecond, Gap: 360 * time.Millisecond, Bounds: Bounds{time.Minute, 20 * time.Second, true}}),
		judge(Measured{Number: 3, Name: "crash", Did: "failover to n3", Took: 12 * time.Second, Gap: 21 * time.Second, Lost: 1,
			Wrong: []string{"two members accepted writes at once: 3ms"}, Bounds: Bounds{time.Minute, 20 * time.Second, false}}),
		judge(Measured{Number: 4, Name: "freeze", Did: "froze n3", Took: time.Minute, Lost: -1, Err: errors.New("wait for a leader: deadline\nsecond line"),
			Bounds: Bounds{time.Minute, 20 * time.Second, false}}),
	}
	got := ""
	for i := range all {
		got += all[i].line() + "\n"
	}
	golden(t, "script.txt", got+"\n"+table(all))
}
