package main

import (
	"fmt"
	"slices"
	"strings"
)

// matrix is what the lines "conform: <store> <case> <word>" in the logs of tests tell: which case of the contract of a store, and
// which comparison with its model, went how on which model and which real servers. The name of a real one ends in @ and its version.
type matrix struct {
	cells map[string]map[string]string // by case, by column
}

// columns are what a run of all packages has to fill: the models, and the real servers of the stores that have an adapter.
var (
	models = []string{"etcd-1", "etcd-3", "nats-1", "nats-3", "consul-1", "consul-3", "zookeeper-1", "zookeeper-3", "kubernetes-1", "kubernetes-3"}
	reals  = []string{"etcd-1@", "etcd-3@", "etcd-embedded-3@", "nats-1@", "nats-3@"}
	// withoutAdapter are the stores whose models have no real server beside them.
	withoutAdapter = []string{"consul", "zookeeper", "kubernetes"}
	// hurt are the real ones whose servers are killed and frozen while they are compared with their model.
	hurt = []string{"etcd-3@"}
)

const differential, withFaults = "differential", "differential_with_faults"

// read takes a line of a test's output.
func (m *matrix) read(line string) {
	_, text, found := strings.Cut(line, "conform: ")
	f := strings.Fields(text)
	if !found || len(f) < 3 {
		return
	}
	column, name, word := f[0], f[1], f[2]
	switch word {
	case "without":
		word = "-"
	case "ok":
	case "failed":
		word = "FAILED"
	default:
		return
	}
	if m.cells == nil {
		m.cells = map[string]map[string]string{}
	}
	row := m.cells[name]
	if row == nil {
		row = map[string]string{}
		m.cells[name] = row
	}
	if row[column] != "FAILED" { // one of several seeds is enough
		row[column] = word
	}
}

// rows are the cases by their number in the contract, then the comparisons.
func (m *matrix) rows() []string {
	var all []string
	for name := range m.cells {
		all = append(all, name)
	}
	slices.SortFunc(all, func(a, b string) int {
		if x, y := number(a), number(b); x != y {
			return x - y
		}
		return strings.Compare(a, b)
	})
	return all
}

func number(name string) int {
	n := 1000
	if _, err := fmt.Sscanf(name, "C%d_", &n); err != nil {
		return 1000
	}
	return n
}

// seen are the columns in the order of models and reals, then others.
func (m *matrix) seen() []string {
	var all []string
	for _, row := range m.cells {
		for column := range row {
			if !slices.Contains(all, column) {
				all = append(all, column)
			}
		}
	}
	slices.Sort(all)
	return all
}

// String is the table, empty if no test had anything to tell.
func (m *matrix) String() string {
	if len(m.cells) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Stores and cases of the contract, as they ran (name@version: real servers, else the model; -: the store has no such fault):\n")
	columns := m.seen()
	for i, c := range columns {
		fmt.Fprintf(&b, "  %2d  %s\n", i+1, c)
	}
	for _, store := range withoutAdapter {
		fmt.Fprintf(&b, "   .  %s on real servers: no adapter yet\n", store)
	}
	fmt.Fprintf(&b, "%-56s", "")
	for i := range columns {
		fmt.Fprintf(&b, " %4d", i+1)
	}
	b.WriteString("\n")
	for _, name := range m.rows() {
		fmt.Fprintf(&b, "%-56s", name)
		for _, c := range columns {
			cell := m.cells[name][c]
			if cell == "" && !wanted(name, c) {
				cell = "."
			}
			fmt.Fprintf(&b, " %4s", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// wanted tells whether a column has to have a row.
func wanted(name, column string) bool {
	is := func(prefix string) bool { return strings.HasPrefix(column, prefix) }
	switch name {
	case differential:
		return slices.ContainsFunc(reals, is)
	case withFaults:
		return slices.ContainsFunc(hurt, is)
	}
	return slices.Contains(models, column) || slices.ContainsFunc(reals, is)
}

// empty names the cells that a run of everything should have filled.
func (m *matrix) empty() []string {
	var missing []string
	columns := m.seen()
	for _, model := range models {
		if !slices.Contains(columns, model) {
			missing = append(missing, "everything on "+model)
		}
	}
	for _, name := range reals {
		if !slices.ContainsFunc(columns, func(c string) bool { return strings.HasPrefix(c, name) }) {
			missing = append(missing, "everything on "+name+"version")
		}
	}
	for _, name := range []string{differential, withFaults} {
		if m.cells[name] == nil {
			missing = append(missing, name+" everywhere")
		}
	}
	for _, name := range m.rows() {
		for _, c := range columns {
			if m.cells[name][c] == "" && wanted(name, c) {
				missing = append(missing, name+" on "+c)
			}
		}
	}
	return missing
}
