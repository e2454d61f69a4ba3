package sim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/coverage"
)

// written runs seeds and reads the reports.
func written(t *testing.T, o *Options) (out, page string, lines []map[string]any, suites junitSuites, err error) {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	o.Jobs, o.Tapes, o.Out, o.Log = 2, dir, &b, &b
	o.JSON, o.JUnit, o.HTML = filepath.Join(dir, "r.json"), filepath.Join(dir, "r.xml"), filepath.Join(dir, "r.html")
	err = Run(t.Context(), o)
	read := func(file string) []byte {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for line := range strings.Lines(string(read(o.JSON))) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, m)
	}
	if err := xml.Unmarshal(read(o.JUnit), &suites); err != nil {
		t.Fatal(err)
	}
	return b.String(), string(read(o.HTML)), lines, suites, err
}

func TestReportsOfSoundRuns(t *testing.T) {
	out, page, lines, suites, err := written(t, &Options{Stores: []string{"nats", "etcd"}, From: 3, Seeds: 2, For: time.Minute})
	if err != nil || !strings.Contains(out, "failovers/s") {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(lines) != 4 || len(suites.Suites) != 2 {
		t.Fatalf("runs %d, suites %d", len(lines), len(suites.Suites))
	}
	for i, line := range lines {
		for _, key := range []string{"seed", "backend", "hash", "events", "failovers", "verdict"} {
			if _, ok := line[key]; !ok {
				t.Errorf("no %s in %v", key, line)
			}
		}
		if line["verdict"] != "ok" || line["backend"] != []string{"etcd", "nats"}[i/2] || line["seed"] != float64(3+i%2) {
			t.Errorf("run %d: %v", i, line)
		}
	}
	if p := suites.Suites[0].Cases[0].Properties; len(p) != 6 {
		t.Errorf("properties %v", p)
	}
	for _, id := range engine.RuleIDs() {
		if !strings.Contains(page, "<td>"+string(id)+"</td>") {
			t.Errorf("the page has no row for %s", id)
		}
	}
	for _, f := range coverage.Faults() {
		if !strings.Contains(page, "<th>"+strings.ReplaceAll(f.String(), "'", "&#39;")+"</th>") {
			t.Errorf("the page has no row for %q", f)
		}
	}
	for _, bad := range []string{"<script", "http:", "https:", "src=", "@import", "<no value>", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it: it must need nothing from elsewhere", bad)
		}
	}
	if !strings.Contains(page, "Every invariant held") || strings.Contains(page, "<details") {
		t.Error("the page does not say that all is well")
	}
}

// The wrong agent stands for a bug in the engine.
func TestReportsOfBrokenRuns(t *testing.T) {
	o := &Options{Stores: []string{"etcd"}, Seeds: 40, For: 4 * time.Minute, Most: 1, Shrink: 5, mutant: &simulations.Mutants[0]}
	out, page, lines, suites, err := written(t, o)
	if !errors.Is(err, ErrBroken) {
		t.Fatalf("%v\n%s", err, out)
	}
	broken := 0
	for _, line := range lines {
		if line["verdict"] == "broken" && line["invariant"] != "" {
			broken++
		}
	}
	if broken == 0 || suites.Suites[0].Failures != broken {
		t.Errorf("broken %d, failures %d: %v", broken, suites.Suites[0].Failures, lines)
	}
	for _, want := range []string{"Invariants broke", "---- broken: ", "regent sim run --tape "} {
		if !strings.Contains(page, want) || want[0] != 'I' && !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestCountsAreShort(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 9999: "9999", 10000: "10k", 12_345_678: "12M"} {
		if got := short(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{7: "7", 1234: "1\u202f234", 1234567: "1\u202f234\u202f567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if c := countedCell(1 << 40); c.Class != "h6" {
		t.Errorf("class %s", c.Class)
	}
	if c := countedCell(1); c.Class != "h1" {
		t.Errorf("class %s", c.Class)
	}
}
