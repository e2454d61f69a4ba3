package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fixed is a cluster a few seconds after the agent of its leader was frozen.
func fixed() *Picture {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return &Picture{
		At: at, Up: 83 * time.Second, Scope: "live", Store: "embedded", Timing: "ttl 10 s, loop_wait 2 s, retry_timeout 3 s", Leader: "n2",
		Members: []Member{
			{Number: 1, Name: "n1", Agent: ProcessRuns, Answers: true, State: "following", Role: "replica", Postgres: "running",
				PostgresRuns: true, Timeline: 2, Lag: 24576, Fence: "none needed", Rule: "FL-60", Why: "a replica, and n2 leads"},
			{Number: 2, Name: "n2", Agent: ProcessFrozen, State: "leading", Role: "primary", Postgres: "running", PostgresRuns: true, Timeline: 2,
				LeaseLeft: 3400 * time.Millisecond, Fence: "guard", Rule: "LD-99"},
			{Number: 3, Name: "n3", Agent: ProcessDown, State: "following", Role: "replica", Postgres: "running", Lag: -1},
		},
		Writes: Writes{PerSecond: 19.8, Last: 1534, Gap: 1200 * time.Millisecond, Longest: 4900 * time.Millisecond},
		Decisions: []Decision{
			{At: at.Add(-9 * time.Second), Member: "n2", Rule: "LD-99", To: "leading", Why: "the leader, with the lease (epoch 53)"},
			{At: at.Add(-4 * time.Second), Member: "n2", Why: "froze the agent of n2 (SIGSTOP, process 4711)"},
			{At: at.Add(-1 * time.Second), Member: "n1", Rule: "FL-60", To: "following", Why: "a replica, and n2 leads \x1b[31mred\nline"},
		},
		Target: "n1", Notice: "froze the agent of n2 (SIGSTOP, process 4711)",
	}
}

func text(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// golden compares with a file in testdata, or writes it where UPDATE_GOLDEN is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 accepts this:\n%s", name, got)
	}
}

func TestViewWide(t *testing.T)   { golden(t, "view-110x22.txt", text(Render(fixed(), 110, 22))) }
func TestViewUsual(t *testing.T)  { golden(t, "view-80x24.txt", text(Render(fixed(), 80, 24))) }
func TestViewNarrow(t *testing.T) { golden(t, "view-40x16.txt", text(Render(fixed(), 40, 16))) }
func TestViewFlat(t *testing.T)   { golden(t, "view-100x9.txt", text(Render(fixed(), 100, 9))) }

func TestViewBeforeAnybodyAnswers(t *testing.T) {
	p := &Picture{Store: "embedded", Paused: true, Members: []Member{{Number: 1, Name: "n1", Lag: -1}, {Number: 2, Name: "n2", Lag: -1}}}
	golden(t, "view-nothing-yet.txt", text(Render(p, 90, 14)))
}

func TestPlainText(t *testing.T) {
	got, last := plainText(fixed(), fixed().At.Add(-5*time.Second))
	golden(t, "plain.txt", got)
	if want := fixed().At.Add(-time.Second); !last.Equal(want) {
		t.Errorf("the newest decision is of %v, want %v", last, want)
	}
	again, _ := plainText(fixed(), last)
	if strings.Count(again, "\n") != 1 {
		t.Errorf("decisions are printed twice:\n%s", again)
	}
}

func TestStatusText(t *testing.T) { golden(t, "status.txt", statusText(fixed())) }

// However small the window, the view fits into it and shows no control character.
func TestViewFitsEveryWindow(t *testing.T) {
	for width := 1; width < 140; width += 3 {
		for height := 1; height < 40; height++ {
			lines := Render(fixed(), width, height)
			if len(lines) > max(height, leastHeight) {
				t.Fatalf("%d lines in a window of %dx%d", len(lines), width, height)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l.Text); n > max(width, leastWidth) || strings.ContainsAny(l.Text, "\x1b\n\t") {
					t.Fatalf("line %q of %d characters in a window of %dx%d", l.Text, n, width, height)
				}
			}
		}
	}
}
