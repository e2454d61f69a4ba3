package scenario

import (
	"regexp"
	"slices"
	"strings"
)

// Comparison is what a member went through in a block, beside what the file tells of it.
type Comparison struct {
	Member     string
	Want, Came []string // steps, each as "→ leading (ON-10)"
}

// Same tells that it went through the same states by the same rules, in the same order.
func (c *Comparison) Same() bool { return slices.Equal(c.Want, c.Came) }

// Compare puts the steps of all members in an output beside those of the file, for a play that cannot be the same each time: what was refused in
// between, the reasons, and how often something came again and again are no part of it.
func (b *Block) Compare(store string, came Output) []Comparison {
	want := b.of(store)
	var out []Comparison
	for _, o := range []Output{want, came} {
		for i := range o {
			m := o[i].Key
			if !memberName.MatchString(m) || slices.ContainsFunc(out, func(c Comparison) bool { return c.Member == m }) {
				continue
			}
			c := Comparison{m, want.find(m).steps(), came.find(m).steps()}
			if len(c.Want)+len(c.Came) > 0 {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b Comparison) int { return strings.Compare(a.Member, b.Member) })
	return out
}

var stepText = regexp.MustCompile(`→ [a-z]+( \([A-Z]{2}-[0-9]+\))?`)

// steps are those of an entry, told once if they come again and again.
func (e *Entry) steps() []string {
	if e == nil {
		return nil
	}
	var all []string
	for i, line := range e.Lines {
		switch {
		case i == 0: // the state at the beginning; in short, all steps too
			all = append(all, stepText.FindAllString(line, -1)...)
		case strings.HasPrefix(line, "  → "):
			all = append(all, stepText.FindString(line))
		}
	}
	return slices.DeleteFunc(again(all), func(s string) bool { return !strings.HasPrefix(s, "→") })
}
