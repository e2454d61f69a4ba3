package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The sizes that a reader can hold at once. Tests may be longer, because they are read one case at a time.
const (
	maxFuncLines     = 80
	maxTestFuncLines = 120
	maxFileLines     = 600
	maxTestFileLines = 900
	maxColumns       = 170
	maxTestColumns   = 260 // a case of a table is best seen as one line
	tabColumns       = 4
	minDocLines      = 8
	minSmallDocLines = 3 // commands and helpers below internal/
)

// Shape checks the length of the file, of its functions and of its lines.
func Shape(file *File) []Problem {
	funcLimit, fileLimit, columnLimit := maxFuncLines, maxFileLines, maxColumns
	if file.IsTest() {
		funcLimit, fileLimit, columnLimit = maxTestFuncLines, maxTestFileLines, maxTestColumns
	}
	var problems []Problem
	if n := file.Lines(); n > fileLimit {
		problems = append(problems, Problem{Path: file.Path, Text: fmt.Sprintf(
			"%d lines, at most %d; a file has one subject, move the second one out", n, fileLimit)})
	}
	for _, decl := range file.Tree.Decls {
		fn, isFunc := decl.(*ast.FuncDecl)
		if !isFunc || fn.Body == nil {
			continue
		}
		if n := file.line(fn.Body.Rbrace) - file.line(fn.Body.Lbrace) - 1; n > funcLimit {
			problems = append(problems, file.problem(fn.Pos(), "%s has %d lines, at most %d; a function does one job, name the parts",
				fn.Name.Name, n, funcLimit))
		}
	}
	for i, line := range strings.Split(file.Text, "\n") {
		if n := columns(line); n > columnLimit {
			problems = append(problems, Problem{Path: file.Path, Line: i + 1, Text: fmt.Sprintf("%d columns, at most %d", n, columnLimit)})
		}
	}
	return problems
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
}

// Docs checks that every package says what it is, in the file where a reader looks for it.
func Docs(files []*File) []Problem {
	packages := map[string][]*File{}
	for _, file := range files {
		packages[file.Dir()] = append(packages[file.Dir()], file)
	}
	var problems []Problem
	for dir, files := range packages {
		problems = append(problems, docProblem(dir, files)...)
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return problems
}

// docProblem looks for the package page in doc.go, or in the only file of a package of one file.
func docProblem(dir string, files []*File) []Problem {
	var sources []*File
	want := minDocLines
	for _, file := range files {
		if file.IsTest() {
			continue
		}
		sources = append(sources, file)
		if file.Tree.Name.Name == "main" {
			want = minSmallDocLines
		}
	}
	if strings.HasPrefix(dir, "internal/") {
		want = minSmallDocLines
	}
	page := slices.IndexFunc(sources, func(f *File) bool { return path.Base(f.Path) == "doc.go" })
	if page < 0 && len(sources) == 1 {
		page = 0
	}
	if page < 0 {
		return []Problem{{Path: dir, Text: fmt.Sprintf("has no doc.go; write one with a package comment of at least %d lines", want)}}
	}
	n := 0
	if doc := sources[page].Tree.Doc; doc != nil {
		n = strings.Count(strings.TrimRight(doc.Text(), "\n"), "\n") + 1
	}
	if n < want {
		return []Problem{{Path: sources[page].Path, Text: fmt.Sprintf(
			"package comment of %d lines, at least %d: what it is, what it promises, what it leaves to others", n, want)}}
	}
	return nil
}

// The patterns are spelled in pieces so that this file does not match itself.
var (
	unfinished  = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)
	machinePath = regexp.MustCompile(`(^|[^\w.])/(wo` + `rk|fa` + `rm)(/|\b)`)
)

// Comments checks a Go file's comments for promises, and all of its text for paths of one machine.
func Comments(file *File) []Problem {
	var problems []Problem
	for _, group := range file.Tree.Comments {
		for _, comment := range group.List {
			if word := unfinished.FindString(comment.Text); word != "" {
				problems = append(problems, file.problem(comment.Pos(), "%s; do it, or open an issue", word))
			}
		}
	}
	return append(problems, machinePaths(file.Path, file.Text)...)
}

// Prose checks a file that is not Go.
func Prose(path, text string) []Problem {
	problems := machinePaths(path, text)
	for i, line := range strings.Split(text, "\n") {
		if word := unfinished.FindString(line); word != "" {
			problems = append(problems, Problem{Path: path, Line: i + 1, Text: word + "; do it, or open an issue"})
		}
	}
	return problems
}

func machinePaths(path, text string) []Problem {
	var problems []Problem
	for i, line := range strings.Split(text, "\n") {
		if found := machinePath.FindString(line); found != "" {
			problems = append(problems, Problem{Path: path, Line: i + 1, Text: fmt.Sprintf(
				"names the path %s of one machine; use a relative path or a variable", strings.TrimSpace(found))})
		}
	}
	return problems
}
