package scenario

import "strings"

// File is a scenario as it was read.
type File struct {
	Path string
	// Title is the first line of the comment at the top: what happens.
	Title string
	// Retells names the incidents that the scenario retells, and Faults the rows of the catalogue of faults that it covers.
	Retells, Faults []string
	// Stores are the kinds of store that it is about, all if empty.
	Stores []string
	Blocks []*Block

	items []item
}

// item is a part of the text between blocks, or a block.
type item struct {
	text  string
	block *Block
}

// Block is some commands and what came of them.
type Block struct {
	Line     int
	commands []command
	text     []string // of the commands, as they stand there
	plain    Output
	sections []section
}

// Commands are the lines of the block's commands, as they stand in the file.
func (b *Block) Commands() []string {
	var out []string
	for _, c := range b.commands {
		out = append(out, c.text)
	}
	return out
}

// command is one line of a block, understood.
type command struct {
	line  int
	text  string
	words []string // without articles and the like; the first is the name
	do    action
}

// action plays a command.
type action func(r *run) error

// section is what is different on some stores.
type section struct {
	stores []string
	output Output
}

// Output is what came of a block: entries with different keys, in their order.
type Output []Entry

// Entry is a piece of an output about one thing: a member, or "writes". The first of its lines stands behind the key.
type Entry struct {
	Key   string
	Lines []string
}

// nothing is the line of an entry in a section that stands in the plain output and is missing on a store.
const nothing = "nothing"

func (e *Entry) text() string {
	return strings.TrimRight(e.Key+": "+strings.Join(e.Lines, "\n"), " ")
}

// String is the output as a file holds it.
func (o Output) String() string {
	lines := make([]string, len(o))
	for i := range o {
		lines[i] = o[i].text()
	}
	return strings.Join(lines, "\n")
}

func (o Output) find(key string) *Entry {
	for i := range o {
		if o[i].Key == key {
			return &o[i]
		}
	}
	return nil
}

// of is the output that is expected on a store.
func (b *Block) of(store string) Output {
	for _, s := range b.sections {
		for _, name := range s.stores {
			if name == store {
				return overlay(b.plain, s.output)
			}
		}
	}
	return b.plain
}

// overlay puts entries in the place of those with the same keys, and others behind them.
func overlay(plain, over Output) Output {
	var out Output
	for _, e := range plain {
		if o := over.find(e.Key); o != nil {
			e = *o
		}
		if !isNothing(&e) {
			out = append(out, e)
		}
	}
	for _, e := range over {
		if plain.find(e.Key) == nil && !isNothing(&e) {
			out = append(out, e)
		}
	}
	return out
}

func isNothing(e *Entry) bool { return len(e.Lines) == 1 && e.Lines[0] == nothing }

// PlaysOn tells that the scenario is about this kind of store.
func (f *File) PlaysOn(store string) bool {
	for _, s := range f.Stores {
		if s == store {
			return true
		}
	}
	return len(f.Stores) == 0
}
