package tidy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, path, text string) *File {
	t.Helper()
	file, err := Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// expect compares problems with what they must say: one fragment for each problem, in order.
func expect(t *testing.T, got []Problem, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d problems %q, want %d %q", len(got), got, len(want), want)
	}
	for i := range want {
		if !strings.Contains(got[i].String(), want[i]) {
			t.Errorf("problem %d is %q, want it to say %q", i, got[i], want[i])
		}
	}
}

func source(pkg string, imports ...string) string {
	var b strings.Builder
	b.WriteString("package " + pkg + "\n\n")
	for _, path := range imports {
		b.WriteString("import _ \"" + path + "\"\n")
	}
	return b.String()
}

func TestArrows(t *testing.T) {
	for _, c := range []struct {
		name, path string
		imports    []string
		want       []string
	}{
		{"facts import nothing", "events/a.go", []string{Module + "/engine"},
			[]string{"events/a.go:3: imports engine; events may import of this module: nothing"}},
		{"facts need no other module", "events/a.go", []string{"go.uber.org/zap"},
			[]string{"imports go.uber.org/zap; events may import of other modules: nothing"}},
		{"log may use facts", "events/log/a.go", []string{Module + "/events", "os"}, nil},
		{"log may not use the engine", "events/log/a.go", []string{Module + "/engine"},
			[]string{"events/log may import of this module: events"}},
		{"engine may use fsm", "engine/a.go", []string{Module + "/events", "github.com/looplab/fsm"}, nil},
		{"engine may not use its runner", "engine/a.go", []string{Module + "/engine/runner"}, []string{"imports engine/runner"}},
		{"engine uses no other module", "engine/a.go", []string{"github.com/jackc/pgx/v5"},
			[]string{"may import of other modules: github.com/looplab/fsm"}},
		{"adapter may use the contract", "backends/etcd/a.go", []string{Module + "/backends", Module + "/events"}, nil},
		{"adapter may not use the engine", "backends/etcd/a.go", []string{Module + "/engine"},
			[]string{"imports engine; backends/etcd may"}},
		{"driver may not use the guard", "pgdriver/a.go", []string{Module + "/pgdriver/fence"},
			[]string{"imports pgdriver/fence; pgdriver may"}},
		{"guard may not use the driver", "pgdriver/fence/a.go", []string{Module + "/pgdriver"},
			[]string{"imports pgdriver; pgdriver/fence may"}},
		{"simulations stay off real stores", "simulations/a.go", []string{Module + "/backends/etcd"},
			[]string{"imports backends/etcd"}},
		{"simulations may use their own parts", "simulations/a.go", []string{Module + "/simulations/model"}, nil},
		{"the live part may use all", "simulations/live/a.go", []string{Module + "/backends/etcd", Module + "/pgdriver"}, nil},
		{"a command may use all", "cmd/regent/a.go", []string{Module + "/engine", Module + "/httpapi"}, nil},
		{"nobody imports a command", "httpapi/a.go", []string{Module + "/cmd/regent"}, []string{"imports cmd/regent"}},
		{"tests are free", "events/a_test.go", []string{Module + "/engine"}, nil},
		{"a new package needs a row", "events/extra/a.go", nil, []string{"package events/extra has no row in the table of imports"}},
		{"a prefix is not a parent", "eventsource/a.go", nil, []string{"has no row"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, Arrows(parse(t, c.path, source("p", c.imports...))), c.want...)
		})
	}
}

func TestBannedImports(t *testing.T) {
	for _, c := range []struct {
		path, target, want string
	}{
		{"engine/a.go", "math/rand", "take the random number as an input"},
		{"engine/a.go", "math/rand/v2", "take the random number as an input"},
		{"events/a.go", "crypto/rand", "take the random number as an input"},
		{"events/a.go", "os", "ask for an effect"},
		{"engine/a.go", "os/exec", "ask for an effect"},
		{"engine/a.go", "syscall", "ask for an effect"},
		{"engine/a.go", "net", "ask for an effect"},
		{"engine/a.go", "net/http", "ask for an effect"},
		{"engine/a.go", "net/url", ""},
		{"engine/a.go", "context", "effects carry a deadline"},
		{"engine/lifecycle.go", "context", ""},
		{"events/lifecycle.go", "context", "effects carry a deadline"},
		{"engine/a.go", "log", "Decision.Why"},
		{"engine/a.go", "log/slog", "Decision.Why"},
		{"engine/a.go", "go.uber.org/zap", "Decision.Why"},
		{"engine/a.go", "time", ""},
		{"engine/runner/a.go", "context", ""},
		{"events/log/a.go", "os", ""},
		{"engine/a_test.go", "os", ""},
		{"pgdriver/a.go", "C", "built without cgo"},
	} {
		t.Run(c.path+" "+c.target, func(t *testing.T) {
			problems := Bans(parse(t, c.path, source("p", c.target)))
			if c.want == "" {
				expect(t, problems)
				return
			}
			expect(t, problems, c.want)
		})
	}
}

func TestBannedNames(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"_ = time.Now()", "use Input.At"},
		{"_ = time.Since(time.Time{})", "subtract from Input.At"},
		{"_ = time.Until(time.Time{})", "subtract Input.At"},
		{"_ = time.After(1)", "Decision.WakeAt"},
		{"_ = time.Tick(1)", "Decision.WakeAt"},
		{"_ = time.NewTimer(1)", "Decision.WakeAt"},
		{"time.Sleep(1)", "Decision.WakeAt"},
		{"clock := time.Now; _ = clock", "use Input.At"}, // named, not called
		{"_ = time.Second", ""},
		{"go f()", "instead of a go statement"},
		{"_ = make(chan int)", "instead of a channel"},
		{"c <- 1", "instead of sending it"},
		{"<-c", "instead of receiving it"},
		{"select {}", "instead of a select"},
		{"// time.Now() and go f() in a comment", ""},
		{`_ = "time.Now()"`, ""},
	} {
		t.Run(c.body, func(t *testing.T) {
			text := "package engine\n\nimport \"time\"\n\nfunc f() {\n" + c.body + "\n}\n"
			problems := Bans(parse(t, "engine/a.go", text))
			if c.want == "" {
				expect(t, problems)
				return
			}
			expect(t, problems, c.want)
			if problems[0].Line != 6 {
				t.Errorf("line %d, want 6", problems[0].Line)
			}
			expect(t, Bans(parse(t, "engine/runner/a.go", text)))
			expect(t, Bans(parse(t, "engine/a_test.go", text)))
		})
	}
}

func TestClockUnderAnotherName(t *testing.T) {
	expect(t, Bans(parse(t, "engine/a.go", "package engine\nimport clock \"time\"\nvar _ = clock.Now()\n")), "names time.Now")
	expect(t, Bans(parse(t, "engine/a.go", "package engine\nimport . \"time\"\nvar _ = Now()\n")), "imports time with a dot")
}

func TestContextOnlyEmpty(t *testing.T) {
	text := "package engine\nimport \"context\"\nvar a = context.Background()\nvar b, c = context.WithCancel(a)\n"
	expect(t, Bans(parse(t, contextFile, text)), "engine/lifecycle.go:4: names context.WithCancel; only context.Background")
}

func function(lines int) string {
	return "package p\n\nfunc long() {\n" + strings.Repeat("\tlong()\n", lines) + "}\n"
}

func TestShape(t *testing.T) {
	expect(t, Shape(parse(t, "p/a.go", function(maxFuncLines))))
	expect(t, Shape(parse(t, "p/a.go", function(maxFuncLines+1))), "p/a.go:3: long has 81 lines, at most 80")
	expect(t, Shape(parse(t, "p/a_test.go", function(maxTestFuncLines))))
	expect(t, Shape(parse(t, "p/a_test.go", function(maxTestFuncLines+1))), "long has 121 lines, at most 120")

	expect(t, Shape(parse(t, "p/a.go", "package p\n"+strings.Repeat("\n", maxFileLines))), "a file has one subject")
	expect(t, Shape(parse(t, "p/a.go", "package p\n"+strings.Repeat("\n", maxFileLines-1))))
	expect(t, Shape(parse(t, "p/a_test.go", "package p\n"+strings.Repeat("\n", maxFileLines))))
	expect(t, Shape(parse(t, "p/a_test.go", "package p\n"+strings.Repeat("\n", maxTestFileLines))), "a file has one subject")

	wide := "package p\n\n// " + strings.Repeat("ü", maxColumns-3) + "\n"
	expect(t, Shape(parse(t, "p/a.go", wide)))
	expect(t, Shape(parse(t, "p/a.go", strings.Replace(wide, "// ", "//  ", 1))), "p/a.go:3: 171 columns, at most 170")
}

func TestDocs(t *testing.T) {
	page := func(lines int) string { return strings.Repeat("// Package p is.\n", lines) }
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"complete", map[string]string{"p/doc.go": page(8) + "package p\n", "p/a.go": "package p\n"}, nil},
		{"short", map[string]string{"p/doc.go": page(7) + "package p\n", "p/a.go": "package p\n"},
			[]string{"comment of 7 lines, at least 8"}},
		{"detached", map[string]string{"p/doc.go": page(8) + "\npackage p\n"}, []string{"comment of 0 lines"}},
		{"elsewhere", map[string]string{"p/a.go": page(8) + "package p\n", "p/b.go": "package p\n"}, []string{"p: has no doc.go"}},
		{"one file", map[string]string{"p/a.go": page(8) + "package p\n"}, nil},
		{"command", map[string]string{"cmd/p/doc.go": page(3) + "package main\n"}, nil},
		{"short command", map[string]string{"cmd/p/doc.go": page(2) + "package main\n"}, []string{"at least 3"}},
		{"helper", map[string]string{"internal/p/doc.go": page(3) + "package p\n"}, nil},
		{"only tests", map[string]string{"p/a_test.go": page(8) + "package p\n"}, []string{"p: has no doc.go"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []*File
			for path, text := range c.files {
				files = append(files, parse(t, path, text))
			}
			expect(t, Docs(files), c.want...)
		})
	}
}

// The words below are spelled in pieces because this file is checked too.
const (
	todo    = "TO" + "DO"
	workDir = "/wo" + "rk"
	farmDir = "/fa" + "rm"
)

func TestCommentsAndProse(t *testing.T) {
	expect(t, Comments(parse(t, "p/a.go", "package p\n\n// "+todo+": later\n")), "p/a.go:3: "+todo+"; do it")
	expect(t, Comments(parse(t, "p/a.go", "package p\n\n/* FIX"+"ME */\n")), "do it")
	expect(t, Comments(parse(t, "p/a.go", "package p\n\nvar s = \""+todo+"\" // data, not a promise\n")))
	expect(t, Comments(parse(t, "p/a.go", "package p\n\nconst dir = \""+workDir+"/x\"\n")), "p/a.go:3: names the path")
	expect(t, Comments(parse(t, "p/a.go", "package p\n\nconst dir = \"/net"+workDir[1:]+"/x\"\n")))

	expect(t, Prose("a.md", "see "+farmDir+"1/x\n"))
	expect(t, Prose("a.md", "see "+farmDir+"/x\n"), "a.md:1: names the path")
	expect(t, Prose("a.md", "x\n"+todo+"\n"), "a.md:2: "+todo)
	expect(t, Prose("a.md", "https://example.org"+workDir+"/x and a frame"+workDir+"\n"))
}

func TestLoad(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"go.mod":                 "module m\n",
		"p/a.go":                 "package p\n",
		"p/testdata/broken.go":   "not Go",
		".git/hooks/broken.go":   "not Go",
		".ci/run":                "true\n",
		"tools/go.mod":           "module m/tools\n",
		"tools/broken.go":        "not Go",
		"bin/broken.go":          "not Go",
		"docs/PAGE.md":           "page\n",
		"p/picture.svg":          "not prose",
		"Taskfile.yml":           "version: '3'\n",
		"simulations/deep/a.go":  "package deep\n",
		"simulations/scenario.x": "free text",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range tree.Go {
		got = append(got, file.Path)
	}
	for _, text := range tree.Prose {
		got = append(got, text.Path)
	}
	const want = "p/a.go simulations/deep/a.go .ci/run Taskfile.yml docs/PAGE.md go.mod"
	if strings.Join(got, " ") != want {
		t.Errorf("loaded %q, want %q", strings.Join(got, " "), want)
	}

	if err := os.WriteFile(filepath.Join(root, "p/b.go"), []byte("package"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(root); err == nil || !strings.Contains(err.Error(), "p/b.go") {
		t.Errorf("load of a broken file gave %v, want an error that names it", err)
	}
}
