package demo

import (
	"fmt"
	"strings"
	"time"
)

// Bounds are what a step must keep. They are generous, for slow and busy machines: they tell broken from working, and
// not fast from slow. The measured times are printed beside them.
type Bounds struct {
	Took time.Duration // for the whole step, until all members are healthy again
	Gap  time.Duration // without an acknowledged write; zero: the step measures none
	// Keeps tells that the step promises to lose no acknowledged write. A failover under asynchronous replication promises
	// nothing: what was not sent yet dies with the primary.
	Keeps bool
}

// Measured is what happened in a step.
type Measured struct {
	Number int
	Name   string
	Did    string
	Took   time.Duration
	Gap    time.Duration
	Lost   int // acknowledged writes that the leader does not have; negative: not counted
	// Wrong are the facts that should have been otherwise; Err is what ended the step before its end.
	Wrong []string
	Err   error
	Bounds
}

// Judged is a step with its verdict.
type Judged struct {
	Measured
	Reasons []string // why it failed, empty if it passed
}

// Passed tells that nothing was wrong.
func (j *Judged) Passed() bool { return len(j.Reasons) == 0 }

// judge compares what was measured with what the step must keep.
func judge(m Measured) Judged {
	j := Judged{Measured: m, Reasons: append([]string(nil), m.Wrong...)}
	if m.Err != nil {
		j.Reasons = append(j.Reasons, m.Err.Error())
	}
	if m.Took > m.Bounds.Took {
		j.Reasons = append(j.Reasons, fmt.Sprintf("it took %s, at most %s", seconds(m.Took), seconds(m.Bounds.Took)))
	}
	if m.Bounds.Gap > 0 && m.Gap > m.Bounds.Gap {
		j.Reasons = append(j.Reasons, fmt.Sprintf("writes paused for %s, at most %s", seconds(m.Gap), seconds(m.Bounds.Gap)))
	}
	if m.Keeps && m.Lost > 0 {
		j.Reasons = append(j.Reasons, fmt.Sprintf("%d acknowledged writes are lost, and none may be", m.Lost))
	}
	if m.Keeps && m.Lost < 0 && m.Err == nil {
		j.Reasons = append(j.Reasons, "lost writes were not counted")
	}
	return j
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func (j *Judged) verdict() string {
	if j.Passed() {
		return "ok"
	}
	return "FAILED"
}

func (j *Judged) gapText() string {
	if j.Bounds.Gap == 0 || j.Err != nil && j.Gap == 0 {
		return "-"
	}
	return seconds(j.Gap)
}

func (j *Judged) lostText() string {
	switch {
	case j.Lost < 0 || j.Bounds.Gap == 0:
		return "-"
	case j.Keeps:
		return fmt.Sprint(j.Lost)
	}
	return fmt.Sprintf("%d (none promised)", j.Lost)
}

// line is the step's one line, with the reasons of a failure below it.
func (j *Judged) line() string {
	text := fmt.Sprintf("%d %s: %s; took %s", j.Number, j.Name, j.Did, seconds(j.Took))
	if j.Bounds.Gap > 0 {
		text += "; write gap " + j.gapText() + "; acknowledged writes lost " + j.lostText()
	}
	text += ": " + j.verdict()
	for _, r := range j.Reasons {
		text += "\n    " + strings.ReplaceAll(r, "\n", "\n    ")
	}
	return text
}

// table is the summary at the end.
func table(all []Judged) string {
	rows := [][]string{{"#", "step", "took", "at most", "write gap", "at most", "lost", "verdict"}}
	for i := range all {
		j := &all[i]
		gapBound := "-"
		if j.Bounds.Gap > 0 {
			gapBound = fmt.Sprintf("%.0f s", j.Bounds.Gap.Seconds())
		}
		rows = append(rows, []string{
			fmt.Sprint(j.Number), j.Name, seconds(j.Took), fmt.Sprintf("%.0f s", j.Bounds.Took.Seconds()), j.gapText(), gapBound, j.lostText(), j.verdict(),
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		line := ""
		for i, cell := range row {
			line += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if n == 0 {
			line = ""
			for _, w := range widths {
				line += strings.Repeat("-", w) + "  "
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	return b.String()
}
