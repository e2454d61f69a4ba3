package replay

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// Print writes the report for people. Only the newest of the lines are written, at most so many; zero means all.
func (r *Report) Print(out io.Writer, lines int) error {
	w := &printer{out: out}
	w.line("cluster %q, system %s: %s from %s", r.Scope, orNone(r.SystemID), r.Lasts.Round(time.Millisecond), r.Begins.Format("2006-01-02T15:04:05.000Z"))
	for i := range r.Members {
		w.member(&r.Members[i])
	}
	if r.Contradiction > 0 {
		w.line("facts about two clocks contradict each other by %s: boot clocks ran at different rates", seconds(r.Contradiction))
	}
	for _, x := range r.LeftOut {
		w.line("left out: %s", x)
	}
	w.line("")
	w.table(r, lines)
	w.line("")
	for _, x := range r.Tenures {
		w.line("lease    %s  %-12s epoch %d, for %s: %s", r.clock(x.Began), x.Member, x.Epoch, seconds(x.Ended.Sub(x.Began)), x.How)
	}
	for _, x := range r.Writings {
		w.line("writable %s  %-12s timeline %d, seen for %s, over by %s: %s", r.clock(x.May), x.Member, x.Timeline, seconds(max(x.Last.Sub(x.First), 0)),
			strings.TrimSpace(r.clock(x.Until)), x.How)
	}
	w.line("")
	if len(r.Closest) == 0 {
		w.line("closest call: none, no lease was seen to be held")
	}
	for _, m := range r.Closest {
		w.line("closest call (%s): %s, at %s", m.Kind, m.Text, strings.TrimSpace(r.clock(m.At)))
	}
	for _, b := range r.Breaches {
		w.line("BROKEN %s at %s: %s", b.Invariant, strings.TrimSpace(r.clock(b.At)), b.Text)
	}
	if len(r.Breaches) == 0 {
		w.line("no invariant is seen broken")
	}
	return w.err
}

// clock is the time of the axis, in seconds from its origin.
func (r *Report) clock(at events.Instant) string { return fmt.Sprintf("%10.3f", Since(at).Seconds()) }

type printer struct {
	out io.Writer
	err error
}

func (w *printer) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintln(w.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

func (w *printer) member(m *MemberReport) {
	how := fmt.Sprintf("ahead by %s ±%s, from %d shared facts", seconds(m.Ahead), seconds(m.Doubt), m.Facts)
	switch {
	case m.Known && m.Doubt == 0:
		how = "is the axis"
	case !m.Known:
		how = fmt.Sprintf("ahead by %s, by the wall clocks alone: taken to be within %s", seconds(m.Ahead), seconds(m.Doubt))
	}
	w.line("%-12s %d starts, %d inputs: %d decided again as recorded, %d passed over; version %s; clock %s",
		m.Name, m.Starts, m.Inputs, m.Equal, m.Passed, m.Version, how)
}

// table is one line for each step of a lifecycle, with a column for each member.
func (w *printer) table(r *Report, lines int) {
	head := fmt.Sprintf("%10s", "s")
	for i := range r.Members {
		head += "  " + pad(r.Members[i].Name, stateWidth)
	}
	w.line("%s  why", head)
	from := 0
	if lines > 0 && len(r.Lines) > lines {
		from = len(r.Lines) - lines
		w.line("%10s  %d earlier lines", "…", from)
	}
	for i := range r.Lines[from:] {
		l := &r.Lines[from+i]
		text := r.clock(l.At)
		for j := range r.Members {
			name := r.Members[j].Name
			state := l.States[name]
			if name == l.Member {
				state = ">" + state
			} else {
				state = " " + state
			}
			text += "  " + pad(state, stateWidth)
		}
		w.line("%s  %s: %s", text, l.Member, oneLine(l.Text))
	}
}

const stateWidth = 14

func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

// oneLine keeps a text from breaking the table, or the terminal.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
