package demo

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Style is how a line looks on a terminal that knows colours.
type Style int

// The styles.
const (
	Normal Style = iota
	Heading
	Dim
	Good
	Bad
	Marked
)

// Line is one line of the view, without control characters.
type Line struct {
	Text  string
	Style Style
}

// Least size of the view: below it the lines are cut, but the view still works.
const (
	leastWidth  = 20
	leastHeight = 4
)

// Render shows a picture in a window. It gives at most height lines of at most width characters. Where there is little
// room, it leaves out in this order: blank lines, decisions, the less telling columns, the keys.
func Render(p *Picture, width, height int) []Line {
	width, height = max(width, leastWidth), max(height, leastHeight)
	top := []Line{{heading(p, width), Heading}}
	top = append(top, memberTable(p, width)...)
	top = append(top, writesLines(p)...)
	if p.Notice != "" {
		style := Good
		if p.Bad {
			style = Bad
		}
		top = append(top, Line{p.Notice, style})
	}
	keys := keyLines(p, width)
	free := height - len(top) - len(keys)
	switch {
	case free >= 3: // a blank line, the heading of the decisions and one of them
		top = append(top, Line{})
		top = append(top, decisionLines(p, free-1)...)
		return cut(append(top, keys...), width, height)
	case free >= 0:
		return cut(append(top, keys...), width, height)
	}
	return cut(top, width, height)
}

// cut bounds the lines in both directions and takes control characters out: reasons may quote anything.
func cut(lines []Line, width, height int) []Line {
	lines = lines[:min(len(lines), height)]
	for i := range lines {
		lines[i].Text = clip(printable(lines[i].Text), width)
	}
	return lines
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func clip(s string, width int) string {
	s = strings.TrimRight(s, " ")
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + ">"
}

func heading(p *Picture, width int) string {
	left := "regent demo"
	if p.Paused {
		left += "  PAUSED: nobody manages the cluster"
	}
	full := fmt.Sprintf("%s   store %s   %s", left, p.Store, p.Timing)
	right := "up " + clock(p.Up)
	for _, text := range []string{full, left} {
		if room := width - len(text) - len(right); room >= 2 {
			return text + strings.Repeat(" ", room) + right
		}
	}
	return left
}

// clock shows hours only when there are some.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// column is one of the table of members. Columns with a higher rank go first when the window is narrow.
type column struct {
	title string
	rank  int
	value func(*Picture, *Member) string
}

var columns = []column{
	{"#", 0, func(p *Picture, m *Member) string {
		mark := " "
		if p.Target == m.Name || p.Target == "" && p.Leader == m.Name {
			mark = ">"
		}
		return fmt.Sprintf("%s%d", mark, m.Number)
	}},
	{"member", 0, func(_ *Picture, m *Member) string { return m.Name }},
	{"role", 1, role},
	{"state", 2, func(_ *Picture, m *Member) string {
		if !m.Answers {
			return "no answer"
		}
		return m.State
	}},
	{"PostgreSQL", 3, postgres},
	{"TL", 5, func(_ *Picture, m *Member) string {
		if m.Timeline == 0 {
			return "-"
		}
		return fmt.Sprint(m.Timeline)
	}},
	{"lag", 6, func(p *Picture, m *Member) string {
		switch {
		case m.Name == p.Leader:
			return "-"
		case m.Lag < 0 || !m.Answers:
			return "?"
		}
		return bytesText(m.Lag)
	}},
	{"lease", 4, func(_ *Picture, m *Member) string {
		if m.LeaseLeft <= 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f s", m.LeaseLeft.Seconds())
	}},
	{"fence", 8, func(_ *Picture, m *Member) string { return orDash(m.Fence) }},
	{"agent", 7, func(_ *Picture, m *Member) string { return m.Agent }},
}

// role says leader for the holder of the lease, so that the two meanings of primary are not mixed up.
func role(p *Picture, m *Member) string {
	switch {
	case m.Name == p.Leader && m.Answers:
		return "leader"
	case m.Name == p.Leader:
		return "leader?"
	case !m.Answers:
		return "?"
	}
	return orDash(m.Role)
}

// postgres says what the agent says, unless the machine knows better.
func postgres(_ *Picture, m *Member) string {
	switch {
	case !m.PostgresRuns:
		return "down"
	case !m.Answers:
		return "running?"
	}
	return orDash(m.Postgres)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d MB", n>>20)
}

func memberTable(p *Picture, width int) []Line {
	cells := make([][]string, len(columns)) // by column: the title, then the members
	widths := make([]int, len(columns))
	for i, c := range columns {
		cells[i] = []string{c.title}
		for j := range p.Members {
			cells[i] = append(cells[i], c.value(p, &p.Members[j]))
		}
		for _, cell := range cells[i] {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	shown := fitting(widths, width)
	lines := make([]Line, 0, len(p.Members)+1)
	for row := range len(p.Members) + 1 {
		var b strings.Builder
		for i := range columns {
			if shown[i] {
				fmt.Fprintf(&b, "%-*s", widths[i]+2, cells[i][row])
			}
		}
		style := Dim
		if row > 0 {
			style = memberStyle(p, &p.Members[row-1])
		}
		lines = append(lines, Line{b.String(), style})
	}
	return lines
}

// fitting chooses the columns that fit, leaving out those of the highest rank first.
func fitting(widths []int, width int) []bool {
	shown := make([]bool, len(columns))
	total := -2 // no space after the last
	for i := range columns {
		shown[i] = true
		total += widths[i] + 2
	}
	for rank := len(columns); rank > 0; rank-- {
		for i, c := range columns {
			if total > width && c.rank == rank {
				shown[i] = false
				total -= widths[i] + 2
			}
		}
	}
	return shown
}

func memberStyle(p *Picture, m *Member) Style {
	switch {
	case m.Agent != ProcessRuns || !m.PostgresRuns:
		return Bad
	case m.Name == p.Leader:
		return Good
	}
	return Normal
}

func writesLines(p *Picture) []Line {
	w := p.Writes
	style := Normal
	if w.Gap >= time.Second {
		style = Bad
	}
	return []Line{{fmt.Sprintf("writes %.0f/s   last %d   gap now %.1f s   longest %.1f s", w.PerSecond, w.Last, w.Gap.Seconds(),
		w.Longest.Seconds()), style}}
}

func decisionLines(p *Picture, room int) []Line {
	lines := []Line{{"decisions (member, rule, state, reason)", Dim}}
	from := max(0, len(p.Decisions)-(room-1))
	for _, d := range p.Decisions[from:] {
		style := Normal
		if d.Rule == "" {
			style = Marked
		}
		lines = append(lines, Line{d.At.Format("15:04:05") + " " + d.text(), style})
	}
	for len(lines) < room {
		lines = append(lines, Line{})
	}
	return lines
}

// keyLines fills lines with the keys as the width allows.
func keyLines(p *Picture, width int) []Line {
	target := "the leader"
	if p.Target != "" {
		target = p.Target
	}
	var lines []Line
	line := "for " + target + ":"
	for _, k := range keyHelp {
		if len(line)+2+len(k) > width {
			lines = append(lines, Line{line, Dim})
			line = ""
		}
		if line != "" {
			line += "  "
		}
		line += k
	}
	return append(lines, Line{line, Dim})
}
