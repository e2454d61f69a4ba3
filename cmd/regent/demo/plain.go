package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// plain prints a line every two seconds, and each decision once: for a terminal that cannot be painted on, a file or
// a pipe.
func (s *session) plain(ctx context.Context, sample *sampler) error {
	if _, err := fmt.Fprintf(s.o.Out, "the view needs a terminal; give orders with regent demo kill-postgres and so on, end with regent demo stop\n"); err != nil {
		return err
	}
	tick := time.NewTicker(plainEvery)
	defer tick.Stop()
	seen := time.Time{}
	for {
		if p := sample.picture(s.began); !p.At.IsZero() {
			text, last := plainText(&p, seen)
			seen = last
			if _, err := fmt.Fprint(s.o.Out, text); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// plainText is what is new in a picture: decisions after seen, and one line about everything.
func plainText(p *Picture, seen time.Time) (text string, last time.Time) {
	var b strings.Builder
	last = seen
	for _, d := range p.Decisions {
		if d.At.After(seen) {
			fmt.Fprintf(&b, "%s   %s\n", d.At.Format("15:04:05"), printable(d.text()))
			last = d.At
		}
	}
	fmt.Fprintf(&b, "%s %s\n", p.At.Format("15:04:05"), printable(plainLine(p)))
	return b.String(), last
}

func plainLine(p *Picture) string {
	parts := make([]string, 0, len(p.Members)+2)
	for i := range p.Members {
		m := &p.Members[i]
		text := fmt.Sprintf("%s %s", m.Name, role(p, m))
		if m.Answers {
			text += " " + m.State
		}
		if m.Answers && m.Timeline != 0 {
			text += fmt.Sprintf(", TL %d", m.Timeline)
		}
		if m.LeaseLeft > 0 {
			text += fmt.Sprintf(", lease %.1f s", m.LeaseLeft.Seconds())
		}
		if m.Name != p.Leader && m.Lag >= 0 && m.Answers {
			text += ", lag " + bytesText(m.Lag)
		}
		if m.Agent != ProcessRuns {
			text += ", agent " + m.Agent
		}
		if !m.PostgresRuns {
			text += ", PostgreSQL down"
		}
		parts = append(parts, text)
	}
	w := p.Writes
	parts = append(parts, fmt.Sprintf("writes %.0f/s, last %d, gap %.1f s, longest %.1f s", w.PerSecond, w.Last, w.Gap.Seconds(), w.Longest.Seconds()))
	if p.Paused {
		parts = append(parts, "PAUSED")
	}
	return strings.Join(parts, " | ")
}

// statusText is the view without keys, for regent demo status.
func statusText(p *Picture) string {
	const width = 160
	lines := append([]Line{{heading(p, 100), Heading}}, memberTable(p, width)...)
	lines = append(lines, writesLines(p)...)
	lines = append(lines, decisionLines(p, min(len(p.Decisions), 10)+1)...)
	var b strings.Builder
	for _, l := range cut(lines, width, len(lines)) {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}
