package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Check compares what came on a store with what the file expects, and tells the differences, none if there are none.
func Check(f *File, store string, outputs []Output) []error {
	var problems []error
	for i, b := range f.Blocks {
		if i >= len(outputs) {
			break
		}
		if want, got := b.of(store), outputs[i]; !sameOutput(want, got) {
			problems = append(problems, &Error{f.Path, b.Line, fmt.Errorf("on %s came something else:\n%s", store, differences(want, got))})
		}
	}
	return problems
}

// sameOutput compares entries by their keys: their order is ours.
func sameOutput(a, b Output) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if e := b.find(a[i].Key); e == nil || !slices.Equal(a[i].Lines, e.Lines) {
			return false
		}
	}
	return true
}

// differences lists lines that were expected and did not come (-), and the other way round (+), for each entry that is different.
func differences(want, got Output) string {
	var lines []string
	entry := func(w, g *Entry) {
		if w != nil && g != nil && slices.Equal(w.Lines, g.Lines) {
			return
		}
		var a, b []string
		if w != nil {
			a = strings.Split(w.text(), "\n")
		}
		if g != nil {
			b = strings.Split(g.text(), "\n")
		}
		lines = append(lines, compareLines(a, b)...)
	}
	for i := range want {
		entry(&want[i], got.find(want[i].Key))
	}
	for i := range got {
		if want.find(got[i].Key) == nil {
			entry(nil, &got[i])
		}
	}
	return strings.Join(lines, "\n")
}

// compareLines is a diff that keeps all lines: what both share at the beginning and at the end stands once.
func compareLines(a, b []string) []string {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []string
	add := func(mark string, lines []string) {
		for _, l := range lines {
			out = append(out, mark+l)
		}
	}
	add("  ", a[:head])
	add("- ", a[head:len(a)-tail])
	add("+ ", b[head:len(b)-tail])
	add("  ", a[len(a)-tail:])
	return out
}

// Rewrite is the text of the file with the outputs that came, by store.
func Rewrite(f *File, came map[string][]Output) string {
	var out strings.Builder
	block := 0
	for _, it := range f.items {
		if it.block == nil {
			out.WriteString(it.text + "\n")
			continue
		}
		for _, line := range it.block.text {
			out.WriteString(line + "\n")
		}
		out.WriteString(separator + "\n")
		of := map[string]Output{}
		for store, outputs := range came {
			if block < len(outputs) {
				of[store] = outputs[block]
			}
		}
		out.WriteString(merge(of))
		block++
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// merge writes the output that most stores share, and sections for the others. Of two that are shared equally often, the
// one of the store whose name comes first is the plain one.
func merge(of map[string]Output) string {
	stores := make([]string, 0, len(of))
	for s := range of {
		stores = append(stores, s)
	}
	slices.Sort(stores)
	var plain Output
	most := 0
	for _, s := range stores {
		n := 0
		for _, o := range stores {
			if sameOutput(of[s], of[o]) {
				n++
			}
		}
		if n > most {
			plain, most = of[s], n
		}
	}
	var b strings.Builder
	write := func(o Output) {
		if len(o) > 0 {
			b.WriteString(o.String() + "\n")
		}
	}
	write(plain)
	sections := map[string][]string{} // stores, by what is different there
	var texts []string
	for _, s := range stores {
		if sameOutput(of[s], plain) {
			continue
		}
		text := different(plain, of[s]).String()
		if sections[text] == nil {
			texts = append(texts, text)
		}
		sections[text] = append(sections[text], s)
	}
	for _, text := range texts { // in the order of their first stores
		b.WriteString("[" + strings.Join(sections[text], " ") + "]\n" + text + "\n")
	}
	return b.String()
}

// different are the entries with which overlay makes got of plain.
func different(plain, got Output) Output {
	var out Output
	for i := range plain {
		switch e := got.find(plain[i].Key); {
		case e == nil:
			out = append(out, Entry{plain[i].Key, []string{nothing}})
		case !slices.Equal(e.Lines, plain[i].Lines):
			out = append(out, *e)
		}
	}
	for i := range got {
		if plain.find(got[i].Key) == nil {
			out = append(out, got[i])
		}
	}
	return out
}
