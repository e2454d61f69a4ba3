package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of the module that is checked.
const Module = "github.com/regent-ha/regent"

// Problem is one broken rule.
type Problem struct {
	Path string // relative to the root of the module, with slashes
	Line int    // zero when the whole file or package is meant
	Text string
}

// String formats the problem the way compilers do, so that editors can jump to it.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.Path, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text)
}

// File is one Go file, parsed.
type File struct {
	Path string
	Text string
	Tree *ast.File
	set  *token.FileSet
}

// Parse reads one Go file; path is relative to the root of the module.
func Parse(path, text string) (*File, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return &File{Path: path, Text: text, Tree: tree, set: set}, nil
}

// Dir is the directory of the file, which is its package's path below the module.
func (f *File) Dir() string { return path.Dir(f.Path) }

// IsTest tells that the file is only compiled for tests.
func (f *File) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Lines is the number of lines of the file.
func (f *File) Lines() int { return f.set.File(f.Tree.Pos()).LineCount() }

func (f *File) line(pos token.Pos) int { return f.set.Position(pos).Line }

func (f *File) problem(pos token.Pos, format string, args ...any) Problem {
	return Problem{Path: f.Path, Line: f.line(pos), Text: fmt.Sprintf(format, args...)}
}

// importPath is the path of an import without its quotes.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser accepts only quoted paths
	}
	return p
}

// importName is the name by which the file knows an import.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p)) // math/rand/v2 is known as rand
	}
	return base
}

// Tree is everything of the module that has rules.
type Tree struct {
	Go    []*File
	Prose []Text
}

// Text is a file of the repository that is not Go.
type Text struct{ Path, Text string }

// Load reads the module at root. Modules nested in it (below tools/), test data, build results and
// hidden directories other than .ci are left out.
func Load(root string) (*Tree, error) {
	tree := &Tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if rel != "." && skipDir(name, rel) {
				return filepath.SkipDir
			}
			return nil
		}
		return tree.add(name, rel)
	})
	if err != nil {
		return nil, fmt.Errorf("read the module at %s: %w", root, err)
	}
	return tree, nil
}

func skipDir(name, rel string) bool {
	base := path.Base(rel)
	if base == "testdata" || base == "bin" || (strings.HasPrefix(base, ".") && base != ".ci") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func (t *Tree) add(name, rel string) error {
	isGo, isProse := strings.HasSuffix(rel, ".go"), proseFile(rel)
	if !isGo && !isProse {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if isProse {
		t.Prose = append(t.Prose, Text{Path: rel, Text: string(text)})
		return nil
	}
	file, err := Parse(rel, string(text))
	if err != nil {
		return err
	}
	t.Go = append(t.Go, file)
	return nil
}

func proseFile(rel string) bool {
	if path.Dir(rel) == ".ci" || rel == "task" {
		return true
	}
	return slices.Contains([]string{".md", ".yml", ".yaml", ".sh", ".mod"}, path.Ext(rel))
}

// Check runs every check and returns the problems by file and line.
func Check(tree *Tree) []Problem {
	var problems []Problem
	for _, file := range tree.Go {
		problems = append(problems, Arrows(file)...)
		problems = append(problems, Bans(file)...)
		problems = append(problems, Shape(file)...)
		problems = append(problems, Comments(file)...)
	}
	problems = append(problems, Docs(tree.Go)...)
	for _, text := range tree.Prose {
		problems = append(problems, Prose(text.Path, text.Text)...)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	return problems
}
