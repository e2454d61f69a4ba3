package conform

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

// recorded is what PostgreSQL told, script by script.
//
//go:embed postgresql15.txt
var recorded string

// Facts are what PostgreSQL told in a script.
func Facts(name string) []string {
	for block := range strings.SplitSeq(recorded, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		if lines[0] == "# "+name {
			return lines[1:]
		}
	}
	return nil
}

// Format writes what scripts told as Facts reads it.
func Format(told map[string][]string) string {
	var b strings.Builder
	for i, s := range Scripts {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "# %s\n%s\n", s.Name, strings.Join(told[s.Name], "\n"))
	}
	return b.String()
}

// Compare fails the test where what somebody told is not what PostgreSQL told.
func Compare(t testing.TB, who string, told, recorded []string) {
	t.Helper()
	for i := range max(len(told), len(recorded)) {
		got, want := "nothing", "nothing"
		if i < len(told) {
			got = told[i]
		}
		if i < len(recorded) {
			want = recorded[i]
		}
		if got != want {
			t.Errorf("%s: %s\nrecorded: %s", who, got, want)
		}
	}
}
