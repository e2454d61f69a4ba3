package log

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/regent-ha/regent/events"
)

const wallLayout = "2006-01-02T15:04:05.000000Z"

func wallText(ns int64) string { return time.Unix(0, ns).UTC().Format(wallLayout) }

// Show writes one aligned line for people about a decision or a note: time, input, states, rule, why, effects. For an input it
// writes nothing.
func Show(w io.Writer, r Record) error {
	var line string
	switch r.Kind {
	case KindDecision:
		d, err := r.Decision()
		if err != nil {
			return err
		}
		states := string(d.To)
		if d.From != d.To {
			states = string(d.From) + "→" + string(d.To)
		}
		line = columns(&r, states, string(d.Rule), decisionText(&d))
	case KindNote:
		n, err := r.Note()
		if err != nil {
			return err
		}
		line = columns(&r, "note", "", noteText(&n))
	default:
		return nil
	}
	_, err := io.WriteString(w, line)
	return err
}

func columns(r *Record, states, rule, text string) string {
	line := fmt.Sprintf("%s %8d  %s  %s  %s", wallText(r.Wall), r.Seq, pad(states, 26), pad(rule, 7), oneLine(text))
	return strings.TrimRight(line, " ") + "\n"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// oneLine keeps a text from breaking the table, or the terminal.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

func decisionText(d *events.Decision) string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	for _, b := range d.Broken {
		add("INVARIANT BROKEN: " + b)
	}
	add(d.Why)
	for _, f := range d.Fired {
		if f.Rule != d.Rule || f.Why != d.Why {
			add(string(f.Rule) + " " + f.Why)
		}
	}
	var effects []string
	for _, e := range d.Effects {
		if e.Action != nil {
			effects = append(effects, fmt.Sprintf("%s#%d", e.Action.ActionKind(), e.ID))
		}
	}
	text := strings.Join(parts, "; ")
	if len(effects) > 0 {
		text += " [" + strings.Join(effects, " ") + "]"
	}
	return text
}

func noteText(n *Note) string {
	text := n.Text
	if n.Missing > 0 {
		text += fmt.Sprintf(" (%d missing, inputs %d to %d)", n.Missing, n.From, n.To)
	}
	if n.Lasted > 0 {
		text += fmt.Sprintf(" (lasted %v)", n.Lasted.Round(time.Millisecond))
	}
	return text
}

// Cat writes the record as one line of JSON: its number, kind, seq and time, and what it holds under the name of its kind.
func Cat(w io.Writer, r Record) error {
	payload := r.Payload
	if payload == nil { // not read from a log
		var err error
		if payload, err = r.encode(); err != nil {
			return err
		}
	}
	name, err := json.Marshal(r.Kind.String())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"number":%d,"kind":%s,"seq":%d,"time":"%s",%s:`, r.Number, name, r.Seq, wallText(r.Wall), name)
	if err := json.Compact(&b, payload); err != nil {
		return fmt.Errorf("record %d: %w", r.Number, err)
	}
	b.WriteString("}\n")
	_, err = w.Write(b.Bytes())
	return err
}
