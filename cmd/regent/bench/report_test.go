package bench

import (
	"os"
	"strings"
	"testing"
	"time"
)

func rowOf(figures ...float64) *Row {
	r := &Row{Store: "embedded", Scenario: "scenario"}
	for _, f := range figures {
		r.add(Sample{Milliseconds: f, Acknowledged: 10})
	}
	return r
}

func TestJudge(t *testing.T) {
	half := mark{most: 500 * time.Millisecond, aim: 300 * time.Millisecond}
	lossy := rowOf(100)
	lossy.Lost = 1
	promised := rowOf(100)
	promised.Lost, promised.promises = 1, true
	byHand := rowOf(100, 90, 110)
	within, beyond := rowOf(130), rowOf(131)
	within.limit, within.mark = byHand, mark{ratio: 1.3}
	beyond.limit, beyond.mark = byHand, mark{ratio: 1.3}
	fast, slow, none := rowOf(9000, 400, 500), rowOf(501, 499, 502, 501), rowOf()
	fast.mark, slow.mark, none.mark = half, half, half
	for name, c := range map[string]struct {
		row    *Row
		median float64
		met    bool
		mark   string
		fails  bool
	}{
		"odd number":         {fast, 500, true, "≤ 500 ms, better 300", false},
		"even number":        {slow, 501, false, "≤ 500 ms, better 300", false},
		"no run":             {none, 0, false, "≤ 500 ms, better 300", false},
		"within the ratio":   {within, 130, true, "≤ 1.3 × limit", false},
		"beyond the ratio":   {beyond, 131, false, "≤ 1.3 × limit", false},
		"loss allowed":       {lossy, 100, true, "", false},
		"loss of a promise":  {promised, 100, true, "", true},
		"compared with none": {byHand, 100, true, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{Rows: []*Row{c.row}}
			if c.row.limit != nil {
				r.Rows = append(r.Rows, c.row.limit)
			}
			c.row.Failures = nil
			r.judge()
			if c.row.Median != c.median || c.row.Met != c.met || c.row.Mark != c.mark || r.failed() != c.fails {
				t.Errorf("median %v, met %t, mark %q, failed %t, want %v, %t, %q, %t", c.row.Median, c.row.Met, c.row.Mark, r.failed(), c.median, c.met,
					c.mark, c.fails)
			}
		})
	}
}

func TestPrint(t *testing.T) {
	row := rowOf(131)
	row.limit, row.mark = rowOf(100), mark{ratio: 1.3}
	broken := rowOf()
	broken.Failures, broken.promises = []string{"n1 leads, where n2 was named"}, true
	r := Report{Began: time.Unix(0, 0), Rows: []*Row{row.limit, row, broken}, Footprints: []Footprint{
		{Store: "etcd", Member: "n1", Process: "agent", Leads: true, PSSMegabytes: 20, RSSMegabytes: 40, CPUPerMinute: 0.5, mostMegabytes: mostAgent},
		{Store: "etcd", Member: "n2", Process: "guard", PSSMegabytes: 8, RSSMegabytes: 26},
	}}
	r.judge()
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| embedded | scenario | 100 | 100 | 100 | 1 |  |  |  |  |",
		"| embedded | scenario | 131 | 131 | 131 | 1 | 1.31 | 0 / 10 | ≤ 1.3 × limit | **missed** |",
		"| embedded | scenario | – | – | – | 0 |  | 0 / 0 |  | **failed** |",
		"| etcd (1 server) | agent of n1 (leader) | 20.0 | 40.0 | 0.50 | ≤ 25 MB PSS | met |",
		"| etcd (1 server) | guard of n2 (replica) | 8.0 | 26.0 | 0.00 |  |  |",
		"DID NOT WORK: embedded, scenario: n1 leads, where n2 was named",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("missing: %s\nin:\n%s", want, out.String())
		}
	}
}

func TestOwnFootprint(t *testing.T) {
	before, err := cpuTicks(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; { // some processor time
		now, err := cpuTicks(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("10 s of work used no processor time")
		}
	}
	pss, rss, err := memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if pss < 1 || rss < pss {
		t.Errorf("PSS %.1f MB and RSS %.1f MB", pss, rss)
	}
}
