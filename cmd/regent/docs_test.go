package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const checkout = "../.."

// pages are the documents for people. RULES.md and STATES.md are printed from the tables and checked there.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(checkout, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, path := range append(paths, filepath.Join(checkout, "README.md")) {
		out[path] = readText(t, path)
	}
	for _, name := range []string{"README.md", "docs/ARCHITECTURE.md", "docs/OPERATIONS.md", "docs/CONFIGURATION.md"} {
		if out[filepath.Join(checkout, name)] == "" {
			t.Fatalf("%s is missing or empty", name)
		}
	}
	return out
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	// invocation is regent as a program: alone or at the end of a path, followed by its arguments. A path such
	// as /etc/regent/regent.yml, a unit, or the YAML key regent: is none.
	invocation = regexp.MustCompile(`(?:^|[\s(/$])regent((?:[ \t]+[^\s]+)+)`)
	shellEnd   = regexp.MustCompile(`[|;&><#]`)
)

// commandLines are the arguments of every regent in the code of a page: fenced blocks and inline code.
func commandLines(page string) (lines []string) {
	fenced, language := false, ""
	for _, line := range strings.Split(page, "\n") {
		if mark, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); isFence {
			fenced, language = !fenced, mark
			continue
		}
		codes := []string{}
		switch {
		case fenced && (language == "sh" || language == "console"):
			codes = append(codes, line)
		case !fenced:
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				codes = append(codes, m[1])
			}
		}
		for _, code := range codes {
			code = shellEnd.Split(code, 2)[0]
			for _, m := range invocation.FindAllStringSubmatch(code, -1) {
				line := strings.TrimSpace(m[1])
				first := strings.Fields(line)[0]
				if strings.HasPrefix(first, "/") || strings.HasSuffix(first, ":") {
					continue // the binary as an operand of install, or the beginning of a log line
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// checkLine follows a command line through the commands, and says what does not exist.
func checkLine(root *cobra.Command, line string) string {
	cmd, words := root, strings.Fields(line)
	for i := 0; i < len(words); i++ {
		word := strings.Trim(words[i], `"'[]`)
		if strings.HasPrefix(word, "-") && word != "-" {
			takesValue, ok := findFlag(cmd, word)
			if !ok {
				return cmd.CommandPath() + " has no flag " + word
			}
			if takesValue && !strings.Contains(word, "=") {
				i++
			}
			continue
		}
		if !cmd.HasAvailableSubCommands() {
			continue // an argument
		}
		at := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == word })
		if at < 0 {
			return cmd.CommandPath() + " has no command " + word
		}
		cmd = cmd.Commands()[at]
	}
	return ""
}

// findFlag looks a flag up, its short form too, and tells whether the next word is its value.
func findFlag(cmd *cobra.Command, word string) (takesValue, ok bool) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	inherited := cmd.InheritedFlags() // also merges the parents' flags into the command's own
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	flag := cmd.Flag(name)
	if !strings.HasPrefix(word, "--") {
		if flag = cmd.Flags().ShorthandLookup(name[:1]); flag == nil {
			flag = inherited.ShorthandLookup(name[:1])
		}
	}
	if flag == nil {
		return false, false
	}
	return flag.NoOptDefVal == "", true
}

func TestDocumentsNameWhatExists(t *testing.T) {
	root := newRootCommand()
	seen := map[string]bool{}
	for path, page := range pages(t) {
		for _, line := range commandLines(page) {
			if problem := checkLine(root, line); problem != "" {
				t.Errorf("%s: regent %s: %s", path, line, problem)
			}
			seen[strings.Fields(line)[0]] = true
		}
	}
	for _, verb := range []string{"list", "why", "log", "switchover", "edit-config", "validate", "reinit", "pause"} {
		if !seen[verb] {
			t.Errorf("no document shows regent %s: either it is missing there, or this test does not find it any more", verb)
		}
	}
}

// TestDocumentsCheckFinds keeps the test above from passing because it sees nothing.
func TestDocumentsCheckFinds(t *testing.T) {
	page := "`regent list -e` and `regent lst`\n```sh\nsudo regent -c f.yml why --nope | cat # regent x\nbin/regent log dump DIR\n" +
		"```\n```yaml\nregent guard\n```\nregent is prose\n"
	var got []string
	for _, line := range commandLines(page) {
		got = append(got, checkLine(newRootCommand(), line))
	}
	want := []string{"", "regent has no command lst", "regent why has no flag --nope", "regent log has no command dump"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

var (
	ruleID   = regexp.MustCompile(`\b[A-Z]{2}-[0-9]{2}\b`)
	taskName = regexp.MustCompile(`\./task ([a-z][a-z:-]*)`)
	pageLink = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
)

func TestDocumentsNameRulesTasksAndFiles(t *testing.T) {
	rules := readText(t, filepath.Join(checkout, "docs", "RULES.md"))
	tasks := readText(t, filepath.Join(checkout, "Taskfile.yml"))
	for path, page := range pages(t) {
		for _, id := range ruleID.FindAllString(page, -1) {
			if !strings.Contains(rules, id) {
				t.Errorf("%s: there is no rule %s", path, id)
			}
		}
		for _, m := range taskName.FindAllStringSubmatch(page, -1) {
			if !strings.Contains(tasks, "\n  "+m[1]+":\n") {
				t.Errorf("%s: there is no target ./task %s", path, m[1])
			}
		}
		for _, m := range pageLink.FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
			}
		}
	}
}

// TestSampleConfiguration: contrib/regent.yml is copied as it is, so it has neither errors nor warnings.
func TestSampleConfiguration(t *testing.T) {
	isolate(t)
	code, out, errOut := regent(t, "", "validate", filepath.Join(checkout, "contrib", "regent.yml"))
	if code != 0 || out+errOut != "" {
		t.Errorf("code %d, want 0 and silence:\n%s%s", code, out, errOut)
	}
}
