package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

// Report is what was measured.
type Report struct {
	Began      time.Time
	Runs       int
	Quick      bool
	Machine    Machine
	Rows       []*Row
	Footprints []Footprint
}

// Machine is where it was measured. Load is the system's average over a minute: of whatever else ran there, and of the measurement.
type Machine struct {
	CPUs                  int
	Kernel                string
	PostgreSQL            string
	LoadBefore, LoadAfter string
}

func (m *Machine) look() {
	m.CPUs = runtime.NumCPU()
	m.Kernel, m.LoadBefore = firstWord("/proc/sys/kernel/osrelease"), firstWord("/proc/loadavg")
}

func (m *Machine) lookAgain() { m.LoadAfter = firstWord("/proc/loadavg") }

// firstWord is the first word of a file, or a question mark: nothing depends on it.
func firstWord(path string) string {
	text, err := os.ReadFile(path)
	if f := strings.Fields(string(text)); err == nil && len(f) > 0 {
		return f[0]
	}
	return "?"
}

// Sample is one run of a scenario.
type Sample struct {
	At           time.Time // of the fault
	From, To     string    `json:",omitempty"`
	Milliseconds float64
	Lost         int
	Acknowledged int
}

// Row is a scenario with one store, or what was done by hand beside it.
type Row struct {
	Store    string
	Scenario string
	Samples  []Sample
	// Median, Min and Max are milliseconds without an acknowledged write.
	Median, Min, Max   float64
	Ratio              float64 // of the median to that of the limit, zero: not compared
	Lost, Acknowledged int
	Mark               string // what is wanted, empty: nothing
	Met                bool
	Failures           []string // why it did not work

	limit    *Row // nil: compared with nothing
	promises bool
	mark     mark
}

// mark is what is wanted of a median; zero fields want nothing.
type mark struct {
	most, aim time.Duration
	ratio     float64
}

func (r *Report) row(store, scenario string) *Row {
	row := &Row{Store: store, Scenario: scenario}
	r.Rows = append(r.Rows, row)
	return row
}

func (r *Row) add(s Sample) {
	r.Samples = append(r.Samples, s)
	r.Lost += s.Lost
	r.Acknowledged += s.Acknowledged
}

// judge computes what follows from the samples.
func (r *Report) judge() {
	for _, row := range r.Rows {
		row.compute()
	}
	for _, row := range r.Rows {
		if row.limit != nil && row.limit.Median > 0 {
			row.Ratio = row.Median / row.limit.Median
		}
		row.compare()
		if row.promises && row.Lost > 0 {
			row.Failures = append(row.Failures, fmt.Sprintf("%d acknowledged writes are missing, and none may be", row.Lost))
		}
	}
}

func (r *Row) compute() {
	if len(r.Samples) == 0 {
		return
	}
	var all []float64
	for _, s := range r.Samples {
		all = append(all, s.Milliseconds)
	}
	slices.Sort(all)
	n := len(all)
	r.Min, r.Median, r.Max = all[0], (all[(n-1)/2]+all[n/2])/2, all[n-1]
}

// compare says whether the mark is met. A row without samples has missed it.
func (r *Row) compare() {
	var wanted []string
	r.Met = len(r.Samples) > 0
	if r.mark.most > 0 {
		text := "≤ " + ms(r.mark.most) + " ms"
		if r.mark.aim > 0 {
			text += ", better " + ms(r.mark.aim)
		}
		wanted = append(wanted, text)
		r.Met = r.Met && r.Median <= milliseconds(r.mark.most)
	}
	if r.mark.ratio > 0 {
		wanted = append(wanted, fmt.Sprintf("≤ %g × limit", r.mark.ratio))
		r.Met = r.Met && r.Ratio > 0 && r.Ratio <= r.mark.ratio
	}
	r.Mark = strings.Join(wanted, ", ")
}

func (r *Report) failed() bool {
	return slices.ContainsFunc(r.Rows, func(row *Row) bool { return len(row.Failures) > 0 })
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ms(d time.Duration) string { return fmt.Sprintf("%.0f", milliseconds(d)) }

// storeName is how the table names a store.
func storeName(kind string) string {
	if kind == live.Etcd {
		return "etcd (1 server)"
	}
	return kind
}
