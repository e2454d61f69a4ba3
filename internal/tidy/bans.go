package tidy

import (
	"go/ast"
	"go/token"
	"slices"
)

// pure lists the packages that decide. What they conclude must follow from their inputs alone, or a
// recorded run could not be replayed.
var pure = []string{"events", "engine"}

// contextFile is the one place in the pure packages that may name a context, and only the empty one:
// the Event method of looplab/fsm wants it.
const contextFile = "engine/lifecycle.go"

// ban is an import that the pure packages may not have, and what serves instead.
type ban struct {
	pkg     string // as in the table of imports
	instead string
}

var bannedImports = []ban{
	{"math/rand/...", "derive the choice from the input, or take the random number as an input"},
	{"crypto/rand", "derive the choice from the input, or take the random number as an input"},
	{"os/...", "ask for an effect; an executor touches the system and its outcome is the next input"},
	{"syscall", "ask for an effect; an executor touches the system and its outcome is the next input"},
	{"golang.org/x/sys/...", "ask for an effect; an executor touches the system and its outcome is the next input"},
	{"net/url", ""}, // pure parsing
	{"net/...", "ask for an effect; an executor uses the network and its outcome is the next input"},
	{"log/...", "put the reason into Decision.Why; the runner writes the log from decisions"},
	{"go.uber.org/zap/...", "put the reason into Decision.Why; the runner writes the log from decisions"},
	{"context", "effects carry a deadline; executors make the context from it"},
}

// bannedTime lists what of package time reads a clock or waits. Durations and formats are fine.
var bannedTime = map[string]string{
	"Now":       "use Input.At, or Input.Wall for people",
	"Since":     "subtract from Input.At",
	"Until":     "subtract Input.At",
	"After":     "set Decision.WakeAt and wait for the timer input",
	"AfterFunc": "set Decision.WakeAt and wait for the timer input",
	"NewTimer":  "set Decision.WakeAt and wait for the timer input",
	"NewTicker": "set Decision.WakeAt and wait for the timer input",
	"Tick":      "set Decision.WakeAt and wait for the timer input",
	"Sleep":     "set Decision.WakeAt and wait for the timer input",
}

// Bans checks that a file of a pure package names no clock, no chance, no system and no concurrency.
func Bans(file *File) []Problem {
	var problems []Problem
	for _, spec := range file.Tree.Imports {
		if importPath(spec) == "C" {
			problems = append(problems, file.problem(spec.Pos(), "imports C; regent is built without cgo, use golang.org/x/sys"))
		}
	}
	if file.IsTest() || !slices.Contains(pure, file.Dir()) {
		return problems
	}
	timeName := ""
	for _, spec := range file.Tree.Imports {
		target := importPath(spec)
		if target == "time" {
			timeName = importName(spec)
			if timeName == "." {
				problems = append(problems, file.problem(spec.Pos(), "imports time with a dot, which hides the clock; name it"))
			}
		}
		instead := bannedImport(target)
		if instead == "" || target == "context" && file.Path == contextFile {
			continue
		}
		problems = append(problems, file.problem(spec.Pos(), "imports %s, which %s may not; %s", target, file.Dir(), instead))
	}
	ast.Inspect(file.Tree, func(node ast.Node) bool {
		if text, pos := bannedNode(file, node, timeName); text != "" {
			problems = append(problems, file.problem(pos, "%s", text))
		}
		return true
	})
	return problems
}

// bannedImport returns what to do instead of an import, or nothing when it is allowed.
func bannedImport(target string) string {
	for _, b := range bannedImports {
		if matches(b.pkg, target) {
			return b.instead
		}
	}
	return ""
}

const noConcurrency = "the engine is one goroutine's; "

func bannedNode(file *File, node ast.Node, timeName string) (string, token.Pos) {
	switch n := node.(type) {
	case *ast.GoStmt:
		return noConcurrency + "return an effect instead of a go statement", n.Pos()
	case *ast.ChanType:
		return noConcurrency + "return values instead of a channel", n.Pos()
	case *ast.SendStmt:
		return noConcurrency + "return the value instead of sending it", n.Pos()
	case *ast.SelectStmt:
		return noConcurrency + "fold inputs instead of a select", n.Pos()
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return noConcurrency + "take the value as an input instead of receiving it", n.Pos()
		}
	case *ast.SelectorExpr:
		return bannedSelector(file, n, timeName), n.Pos()
	}
	return "", token.NoPos
}

func bannedSelector(file *File, sel *ast.SelectorExpr, timeName string) string {
	pkg, isName := sel.X.(*ast.Ident)
	if !isName {
		return ""
	}
	if timeName != "" && pkg.Name == timeName {
		if instead := bannedTime[sel.Sel.Name]; instead != "" {
			return "names time." + sel.Sel.Name + ", which " + file.Dir() + " may not; " + instead
		}
	}
	if file.Path == contextFile && pkg.Name == "context" && sel.Sel.Name != "Background" {
		return "names context." + sel.Sel.Name + "; only context.Background, which looplab/fsm wants, is allowed here"
	}
	return ""
}
