package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// separator stands between commands and their output.
const separator = "----"

// Error is what is wrong with a line of a scenario, or with what came of it.
type Error struct {
	Path string
	Line int
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Read reads a scenario from a file.
func Read(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(filepath.Base(path), string(b))
}

// Parse reads a scenario. The path is for errors.
func Parse(path, text string) (*File, error) {
	r := reader{file: &File{Path: path}, lines: strings.Split(strings.TrimRight(text, "\n"), "\n")}
	for r.at < len(r.lines) {
		if err := r.item(); err != nil {
			return nil, &Error{path, r.at + 1, err}
		}
	}
	if len(r.file.Blocks) == 0 {
		return nil, &Error{path, len(r.lines), fmt.Errorf("no block: want commands, a line %s, and their output", separator)}
	}
	r.header()
	return r.file, nil
}

// reader goes through the lines; at is the one that is looked at.
type reader struct {
	file  *File
	lines []string
	at    int
}

func (r *reader) line() string { return strings.TrimRight(r.lines[r.at], " \t\r") }

// item takes a line between blocks, or a block.
func (r *reader) item() error {
	line := r.line()
	if line == "" || line[0] == '#' {
		r.file.items = append(r.file.items, item{text: line})
		r.at++
		return nil
	}
	b := &Block{Line: r.at + 1}
	if err := r.commands(b); err != nil {
		return err
	}
	if err := r.output(b); err != nil {
		return err
	}
	r.file.Blocks = append(r.file.Blocks, b)
	r.file.items = append(r.file.items, item{block: b})
	return nil
}

func (r *reader) commands(b *Block) error {
	for ; r.at < len(r.lines); r.at++ {
		line := r.line()
		switch {
		case line == separator:
			if len(b.commands) == 0 {
				return fmt.Errorf("%s without a command above it", separator)
			}
			r.at++
			return nil
		case line == "":
			return fmt.Errorf("the commands above end without a line %s", separator)
		case line[0] == '#':
		default:
			do, words, err := parseCommand(line)
			if err != nil {
				return err
			}
			b.commands = append(b.commands, command{r.at + 1, strings.TrimSpace(line), words, do})
		}
		b.text = append(b.text, line)
	}
	r.at--
	return fmt.Errorf("the file ends before a line %s", separator)
}

// output reads what is expected, up to an empty line.
func (r *reader) output(b *Block) error {
	into := &b.plain
	for ; r.at < len(r.lines) && r.line() != ""; r.at++ {
		line := r.line()
		switch {
		case line == separator:
			return fmt.Errorf("%s in an output: an empty line ends it", separator)
		case line[0] == '[':
			stores, ok := strings.CutSuffix(line[1:], "]")
			if !ok || len(strings.Fields(stores)) == 0 {
				return fmt.Errorf("%q: want the names of stores in brackets, as in [consul]", line)
			}
			for _, s := range strings.Fields(stores) {
				if b.hasSection(s) {
					return fmt.Errorf("a second section for %s", s)
				}
			}
			b.sections = append(b.sections, section{stores: strings.Fields(stores)})
			into = &b.sections[len(b.sections)-1].output
		case line[0] == ' ':
			if len(*into) == 0 {
				return fmt.Errorf("%q: it is indented, and belongs to no entry", line)
			}
			last := &(*into)[len(*into)-1]
			last.Lines = append(last.Lines, line)
		default:
			key, first, ok := strings.Cut(line+" ", ": ")
			if !ok {
				return fmt.Errorf("%q: want an entry, as in \"n1: leading\"", line)
			}
			if into.find(key) != nil {
				return fmt.Errorf("a second entry for %q", key)
			}
			*into = append(*into, Entry{key, []string{strings.TrimSpace(first)}})
		}
	}
	return nil
}

func (b *Block) hasSection(store string) bool {
	for _, s := range b.sections {
		for _, name := range s.stores {
			if name == store {
				return true
			}
		}
	}
	return false
}

// header finds title, incidents and faults in the comment at the top.
func (r *reader) header() {
	f := r.file
	for _, it := range f.items {
		if it.block != nil || it.text == "" {
			return
		}
		line := strings.TrimSpace(strings.TrimLeft(it.text, "#"))
		switch key, rest, _ := strings.Cut(line, ": "); {
		case f.Title == "":
			f.Title = line
		case key == "Retells":
			f.Retells = listed(rest)
		case key == "Faults":
			f.Faults = listed(rest)
		case key == "Stores":
			f.Stores = listed(rest)
		}
	}
}

var between = regexp.MustCompile(`[,;] *`)

// listed splits what stands between commas or semicolons; the last may end in a full stop.
func listed(text string) []string {
	var out []string
	for _, s := range between.Split(strings.TrimSuffix(text, "."), -1) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
