package tidy

import (
	"path"
	"strings"
)

// arrow is one row of the table of imports. A pattern ending in /... means the package and all below it.
type arrow struct {
	pkg string
	// ours lists what the package may import of this module. Its own subtree is always allowed to a
	// row that ends in /....
	ours []string
	// theirs lists the other modules that it may import; nil means that this table has no say.
	theirs []string
}

var none = []string{}

// arrows says who may import whom. The first row that matches counts, so the narrower stands first.
// Test files are free: they compare packages with each other.
var arrows = []arrow{
	{pkg: "events", ours: none, theirs: none},
	{pkg: "events/log/...", ours: []string{"events"}},
	{pkg: "engine", ours: []string{"events"}, theirs: []string{"github.com/looplab/fsm"}},
	{pkg: "engine/internal/printtables", ours: []string{"engine", "events"}}, // writes docs/ from the tables
	{pkg: "engine/runner/...", ours: []string{"engine", "events", "events/log", "internal/bootclock"}},
	{pkg: "backends/etcd/etcdtest", ours: []string{"backends", "backends/backendtest", "internal/freeport"}}, // starts servers for tests
	{pkg: "backends/...", ours: []string{"events", "internal/bootclock"}},
	{pkg: "pgdriver/fence/...", ours: []string{"events", "internal/bootclock"}},
	{pkg: "pgdriver/...", ours: []string{"events", "internal/bootclock"}},
	{pkg: "httpapi/...", ours: []string{"engine", "events"}},
	{pkg: "simulations/live/...", ours: []string{"..."}},
	{pkg: "simulations/kernel", ours: []string{"events"}},
	{pkg: "simulations/postgres/conform", ours: []string{"events", "simulations/kernel", "simulations/postgres"}},
	{pkg: "simulations/postgres", ours: []string{"events", "simulations/kernel"}},
	{pkg: "simulations/replay/...", ours: []string{"engine", "engine/runner", "events", "events/log", "simulations", "simulations/kernel"}},
	{pkg: "simulations/scenario/...", ours: []string{"engine", "events"}},
	{pkg: "simulations/stores/conform", ours: []string{"backends", "backends/backendtest", "events", "simulations/kernel", "simulations/stores"}},
	{pkg: "simulations/stores/differential", ours: []string{"backends", "backends/backendtest", "events", "simulations/kernel", "simulations/stores"}},
	{pkg: "simulations/stores/...", ours: []string{"backends", "events", "simulations/kernel"}},
	{pkg: "simulations/...", ours: []string{"backends", "engine", "engine/runner", "events", "simulations/kernel", "simulations/postgres",
		"simulations/scenario", "simulations/stores/..."}},
	{pkg: "internal/aspostgres", ours: none, theirs: none},
	{pkg: "internal/bootclock", ours: []string{"events"}},
	{pkg: "internal/freeport", ours: none, theirs: none},
	{pkg: "internal/config/...", ours: []string{"events"}},
	{pkg: "internal/tidy/...", ours: none},
	{pkg: "integration/...", ours: []string{"..."}},
	{pkg: "cmd/...", ours: []string{"..."}},
}

// Arrows checks the imports of a file against the table.
func Arrows(file *File) []Problem {
	if file.IsTest() {
		return nil
	}
	row, found := arrowOf(file.Dir())
	if !found {
		return []Problem{{Path: file.Path, Text: "package " + file.Dir() +
			" has no row in the table of imports; add one to internal/tidy/arrows.go that says what it may import"}}
	}
	var problems []Problem
	for _, spec := range file.Tree.Imports {
		target := importPath(spec)
		own, isOurs := strings.CutPrefix(target, Module+"/")
		switch {
		case isOurs && !row.mayImport(own):
			problems = append(problems, file.problem(spec.Pos(), "imports %s; %s may import of this module: %s",
				own, file.Dir(), listed(row.ours)))
		case !isOurs && isModule(target) && row.theirs != nil && !matchesAny(row.theirs, target):
			problems = append(problems, file.problem(spec.Pos(), "imports %s; %s may import of other modules: %s",
				target, file.Dir(), listed(row.theirs)))
		}
	}
	return problems
}

func arrowOf(dir string) (arrow, bool) {
	for _, row := range arrows {
		if matches(row.pkg, dir) {
			return row, true
		}
	}
	return arrow{}, false
}

// mayImport tells whether the row allows a package of this module. A row for a whole subtree allows
// the subtree, except what has a narrower row of its own.
func (a arrow) mayImport(own string) bool {
	if matchesAny(a.ours, own) {
		return true
	}
	to, found := arrowOf(own)
	return found && to.pkg == a.pkg && strings.HasSuffix(a.pkg, "/...")
}

func matchesAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if matches(p, pkg) {
			return true
		}
	}
	return false
}

func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	root, subtree := strings.CutSuffix(pattern, "/...")
	return pkg == root || subtree && strings.HasPrefix(pkg, root+"/")
}

// isModule tells a package of some module from one of the standard library, whose first element has no dot.
func isModule(importPath string) bool {
	first, _, _ := strings.Cut(path.Clean(importPath), "/")
	return strings.Contains(first, ".")
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.ReplaceAll(strings.Join(names, ", "), "...", "everything")
}
