package sim

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/coverage"
)

// block tells of one failure.
func (o *Options) block(c *simulations.Chaos, v simulations.Verdict, command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---- broken: %s, store %s, seed %d\n", v.Invariant, v.Store, v.Seed)
	for _, line := range v.Broken {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "\nwhat was done, and the last steps:\n%s\n", c.Story(60))
	if command != "" {
		fmt.Fprintf(&b, "run it again: %s\n", command)
	}
	b.WriteString("----")
	return b.String()
}

// summary prints a line for each store, and the rules that never fired.
func (o *Options) summary(t *tally) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) } // the exit code tells what matters
	for _, store := range o.Stores {
		s := t.sum(store)
		line("%-10s %6d runs, %d failed: %.1f cluster-hours, %d events, %d decisions, %d changes of the leader", store, s.runs, s.failed,
			s.virtual.Hours(), s.events, s.steps, s.failovers)
		if s.excused > 0 {
			line("%-10s %6d of them broke an invariant that a fault of theirs puts out of contract", store, s.excused)
		}
	}
	line("took %v with %d jobs: %s", t.took.Round(time.Millisecond), o.Jobs, t.sum("").rates(t.took))
	if silent := silentRules(t.all()); len(silent) > 0 {
		line("rules that never fired: %s", strings.Join(silent, " "))
	}
}

// rates tells how much was done in a time.
func (s sum) rates(took time.Duration) string {
	in := max(took.Seconds(), 1e-9)
	return fmt.Sprintf("%.1f cluster-hours/s, %.0f events/s, %.1f failovers/s", s.virtual.Hours()/in, float64(s.events)/in, float64(s.failovers)/in)
}

// silentRules are those of the table that did not fire.
func silentRules(c *coverage.Counts) []string {
	var silent []string
	for _, id := range engine.RuleIDs() {
		if c.Rule(id) == 0 {
			silent = append(silent, string(id))
		}
	}
	slices.Sort(silent)
	return silent
}

// reports writes the files, their runs in the order of stores and seeds.
func (o *Options) reports(t *tally) error {
	slices.SortFunc(t.verdicts, func(a, b simulations.Verdict) int {
		return cmp.Or(strings.Compare(a.Store, b.Store), cmp.Compare(a.Seed, b.Seed))
	})
	if o.JSON != "" {
		var b strings.Builder
		for i := range t.verdicts {
			line, err := json.Marshal(&t.verdicts[i])
			if err != nil {
				return fmt.Errorf("write %s: %w", o.JSON, err)
			}
			b.Write(append(line, '\n'))
		}
		if err := os.WriteFile(o.JSON, []byte(b.String()), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if o.JUnit != "" {
		if err := writeJUnit(o.JUnit, t.verdicts); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if o.HTML != "" {
		if err := o.writePage(t); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	return nil
}

// The elements of JUnit's XML that every CI reads.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class      string          `xml:"classname,attr"`
	Name       string          `xml:"name,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Failure    *junitFailure   `xml:"failure,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(file string, verdicts []simulations.Verdict) error {
	var all junitSuites
	at := map[string]int{}
	for i := range verdicts {
		v := &verdicts[i]
		n, ok := at[v.Store]
		if !ok {
			n = len(all.Suites)
			at[v.Store] = n
			all.Suites = append(all.Suites, junitSuite{Name: "regent sim " + v.Store})
		}
		s := &all.Suites[n]
		c := junitCase{Class: "regent.sim." + v.Store, Name: fmt.Sprintf("seed %d", v.Seed), Properties: []junitProperty{
			{"seed", fmt.Sprint(v.Seed)}, {"backend", v.Store}, {"hash", v.Hash.String()}, {"events", fmt.Sprint(v.Events)},
			{"failovers", fmt.Sprint(v.Failovers)}, {"verdict", string(v.Ended)}}}
		if v.Ended != simulations.Sound {
			c.Failure = &junitFailure{Message: v.Invariant, Text: strings.Join(v.Broken, "\n")}
			s.Failures++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte(xml.Header), append(b, '\n')...), 0o644)
}
