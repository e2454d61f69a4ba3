package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module writes a module of small packages and makes it the working directory of the test.
func module(t *testing.T, tests map[string]string) {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{"go.mod": "module m\n\ngo 1.26\n"}
	for pkg, body := range tests {
		files[pkg+"/a_test.go"] = "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n" + body + "\n"
	}
	files["empty/a.go"] = "package a\n"
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	t.Setenv("GOFLAGS", "")
}

func TestRun(t *testing.T) {
	const good = `func TestOK(t *testing.T) { t.Log("of no interest") }`
	const bad = `func TestBad(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("the cause") }) }`
	const skips = `func TestSkip(t *testing.T) { t.Skip("no such device") }`
	for _, c := range []struct {
		name      string
		tests     map[string]string
		skipsFail bool
		code      int
		want      []string
		not       string
	}{
		{"good", map[string]string{"a": good}, true, 0,
			[]string{"ok  \tm/a\t", "packages: 1 ok, 0 failed, 1 without tests; tests: 1 passed, 0 failed, 0 skipped\n"}, "of no interest"},
		{"report", map[string]string{"a": `func TestOK(t *testing.T) { os.Stdout.WriteString("noise\nreport: a table\nreport: of two lines\n") }`}, true, 0,
			[]string{"a table\nof two lines\n", "1 passed"}, "noise"},
		{"bad", map[string]string{"a": good, "b": bad}, true, 1,
			[]string{"the cause", "FAIL\tm/b\t", "FAILED m/b TestBad/sub\n", "packages: 1 ok, 1 failed", "1 passed, 2 failed"},
			"of no interest"},
		{"skip allowed", map[string]string{"a": skips}, false, 0,
			[]string{"no such device", "SKIPPED m/a TestSkip\n", "1 skipped\n"}, "FAIL"},
		{"skip forbidden", map[string]string{"a": skips}, true, 1, []string{"SKIPPED m/a TestSkip\n"}, "FAIL"},
		{"does not build", map[string]string{"a": `func TestBad(t *testing.T) { missing() }`}, false, 1,
			[]string{"undefined: missing", "[build failed]", "0 ok, 1 failed"}, "ok  "},
		{"crash", map[string]string{"a": `func TestExit(t *testing.T) { println("last words"); os.Exit(3) }`}, false, 1,
			[]string{"last words", "FAILED m/a TestExit (did not end)\n", "1 failed, 0 skipped"}, "ok  "},
		{"panic", map[string]string{"a": `func TestPanic(t *testing.T) { panic("boom") }`}, false, 1,
			[]string{"panic: boom", "FAILED m/a TestPanic\n"}, "ok  "},
	} {
		t.Run(c.name, func(t *testing.T) {
			module(t, c.tests)
			var out strings.Builder
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			code, err := run(ctx, &out, []string{"./..."}, c.skipsFail)
			if code != c.code || (err != nil) != (code != 0) {
				t.Errorf("code %d, error %v; want code %d", code, err, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), c.not) {
				t.Errorf("the output has %q:\n%s", c.not, out.String())
			}
		})
	}
}
