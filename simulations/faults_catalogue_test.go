package simulations

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const catalogue = "../docs/FAULTS.md"

// cited is an incident: project#number, or something that can be found by its name.
var cited = regexp.MustCompile(`^(none known|[A-Za-z][\w-]*( [\w-]+)?(/[\w.-]+)?#\d+|.*\b(notes of|page on|FAQ|feature|ADR-\d+|suite|LazyFS|\d{4}-\d\d-\d\d)\b.*|multigres)$`)

// TestFaultsAreRehearsed compares docs/FAULTS.md with the headers of the scenarios: every row has scenarios or a reason, and names those that name it.
func TestFaultsAreRehearsed(t *testing.T) {
	files, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{} // of scenarios, by row
	for _, f := range files {
		for _, row := range f.Faults {
			name := strings.TrimSuffix(f.Path[strings.LastIndex(f.Path, "/")+1:], ".txt")
			names[row] = append(names[row], "`"+name+"`")
		}
	}
	text, err := os.ReadFile(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !faultID.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		row, happened, rehearsed := cells[1], cells[4], cells[5]
		if seen[row] {
			t.Errorf("%s stands there twice", row)
		}
		seen[row] = true
		for _, incident := range strings.Split(happened, ", ") {
			if !cited.MatchString(incident) {
				t.Errorf("%s: %q is no incident: want project#number, or \"none known\"", row, incident)
			}
		}
		want := strings.Join(names[row], ", ")
		switch {
		case want == "" && len(strings.TrimPrefix(rehearsed, "none: ")) < 10, want == "" && !strings.HasPrefix(rehearsed, "none: "):
			t.Errorf("%s has no scenario and does not say why: want \"none: …\", and it says %q", row, rehearsed)
		case want != "" && *rewrite:
			lines[i] = fmt.Sprintf("| %s | %s | %s | %s | %s |", row, cells[2], cells[3], happened, want)
		case want != "" && rehearsed != want:
			t.Errorf("%s: rehearsed by %s, and it says %q; -rewrite writes it", row, want, rehearsed)
		}
	}
	for row := range names {
		if !seen[row] {
			t.Errorf("scenarios rehearse %s, and %s has no such row: %s", row, catalogue, names[row])
		}
	}
	if len(seen) < 100 {
		t.Errorf("%s has %d rows that can be read", catalogue, len(seen))
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(catalogue, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Error(err)
		}
	}
}
