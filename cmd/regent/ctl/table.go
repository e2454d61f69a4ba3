package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Format is how rows are printed.
type Format string

// The formats.
const (
	Pretty   Format = "pretty"
	TSV      Format = "tsv"
	JSON     Format = "json"
	YAML     Format = "yaml"
	Topology Format = "topology"
)

// ParseFormat reads a format's name; topology is a verb of its own.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Pretty, TSV, JSON, YAML:
		return f, nil
	case "yml":
		return YAML, nil
	}
	return "", &ExitError{Code: ExitUsage, Message: fmt.Sprintf("Invalid value for '-f' / '--format': %q is not one of 'pretty', 'tsv', "+
		"'json', 'yaml', 'yml'.", text)}
}

type column struct {
	title string
	right bool
}

// table are rows to be printed. Cells are text, numbers, or for tags a mapping; nil is empty.
type table struct {
	header  string // stands in the upper border; empty: none
	columns []column
	rows    [][]any
}

// render prints the table. omitEmpty leaves empty cells out of JSON and YAML.
func (t *table) render(f Format, omitEmpty bool) (string, error) {
	switch f {
	case JSON:
		return t.json(omitEmpty)
	case YAML:
		return t.yaml(omitEmpty)
	case TSV:
		return t.tsv(), nil
	}
	return t.pretty(), nil
}

func text(cell any) string {
	if cell == nil {
		return ""
	}
	return fmt.Sprint(cell)
}

func (t *table) tsv() string {
	lines := make([]string, 0, len(t.rows)+1)
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	lines = append(lines, strings.Join(titles, "\t"))
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = text(c)
		}
		lines = append(lines, strings.Join(cells, "\t"))
	}
	return strings.Join(lines, "\n")
}

func (t *table) json(omitEmpty bool) (string, error) {
	var b strings.Builder
	b.WriteString("[")
	for i, row := range t.rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("{")
		first := true
		for j, cell := range row {
			if omitEmpty && text(cell) == "" {
				continue
			}
			if !first {
				b.WriteString(", ")
			}
			first = false
			if cell == nil {
				cell = ""
			}
			v, err := spacedJSON(cell)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%q: %s", t.columns[j].title, v)
		}
		b.WriteString("}")
	}
	b.WriteString("]")
	return b.String(), nil
}

// spacedJSON is JSON with a blank after commas and colons, as Python writes it.
func spacedJSON(v any) (string, error) {
	compact, err := compactJSON(v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	quoted, escaped := false, false
	for _, c := range string(compact) {
		b.WriteRune(c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String(), nil
}

// compactJSON is JSON without blanks, and with <, > and & as they are.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (t *table) yaml(omitEmpty bool) (string, error) {
	list := make([]map[string]any, 0, len(t.rows))
	for _, row := range t.rows {
		m := map[string]any{}
		for j, cell := range row {
			if cell == nil {
				cell = ""
			}
			if !omitEmpty || text(cell) != "" {
				m[t.columns[j].title] = cell
			}
		}
		list = append(list, m)
	}
	return blockYAML(list)
}

// blockYAML is a value as YAML with sorted keys, without the last line's end.
func blockYAML(v any) (string, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	if err := enc.Close(); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// flowYAML is a value as YAML on one line.
func flowYAML(v any) (string, error) {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	n.Style = yaml.FlowStyle
	return blockYAML(&n)
}

// pretty draws the table. Rules between rows are drawn only where some cell has several lines.
func (t *table) pretty() string {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.title)
	}
	cells, tall := t.split(widths)
	rule := "+"
	for _, w := range widths {
		rule += strings.Repeat("-", w+2) + "+"
	}
	lines := []string{headed(rule, t.header)}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	lines = append(lines, t.line(titles, widths), rule)
	for _, row := range cells {
		height := 1
		for _, cell := range row {
			height = max(height, len(cell))
		}
		for l := range height {
			part := make([]string, len(row))
			for i, cell := range row {
				if l < len(cell) {
					part[i] = cell[l]
				}
			}
			lines = append(lines, t.line(part, widths))
		}
		if tall {
			lines = append(lines, rule)
		}
	}
	if !tall || len(cells) == 0 {
		lines = append(lines, rule)
	}
	return strings.Join(lines, "\n")
}

// split cuts the cells into lines and widens the columns to hold them.
func (t *table) split(widths []int) (cells [][][]string, tall bool) {
	for _, row := range t.rows {
		split := make([][]string, len(row))
		for i, cell := range row {
			split[i] = strings.Split(text(cell), "\n")
			tall = tall || len(split[i]) > 1
			for _, l := range split[i] {
				widths[i] = max(widths[i], utf8.RuneCountInString(l))
			}
		}
		cells = append(cells, split)
	}
	return cells, tall
}

func (t *table) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.columns[i].right {
			cell = pad + cell
		} else {
			cell += pad
		}
		b.WriteString("| " + cell + " ")
	}
	return b.String() + "|"
}

// headed writes the header into the upper border.
func headed(rule, header string) string {
	line, title := []rune(rule), []rune(header)
	if len(title) > len(line)-2 {
		title = title[:max(len(line)-2, 0)]
	}
	copy(line[min(1, len(line)):], title)
	return string(line)
}
