package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// words are the words of a command behind its name. Articles and the like are no words.
type words struct {
	all  []string
	next int
}

var fillers = map[string]bool{"the": true, "of": true, "a": true, "an": true, "and": true, "its": true, "is": true, "are": true}

// split takes a line apart. What stands in double quotes is one word, as it stands; a word that begins with a brace takes the rest of the line, up to the last
// brace.
func split(line string) (*words, error) {
	w := &words{}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word := ""
		switch end := strings.LastIndexByte(line, '}'); {
		case line[0] == '"':
			var closed bool
			if word, line, closed = strings.Cut(line[1:], `"`); !closed {
				return nil, errors.New("a quote is not closed")
			}
			w.all = append(w.all, word)
			continue
		case line[0] == '{' && end < 0:
			return nil, errors.New("a brace is not closed")
		case line[0] == '{':
			w.all = append(w.all, line[:end+1])
			line = line[end+1:]
			continue
		}
		word, line, _ = strings.Cut(line, " ")
		if word = strings.TrimRight(word, ",:"); word != "" && !fillers[word] {
			w.all = append(w.all, word)
		}
	}
	return w, nil
}

// peek is the next word, empty at the end.
func (w *words) peek() string {
	if w.next < len(w.all) {
		return w.all[w.next]
	}
	return ""
}

func (w *words) take() string {
	word := w.peek()
	if word != "" || w.next < len(w.all) {
		w.next++
	}
	return word
}

// is takes the next word if it is this one.
func (w *words) is(word string) bool {
	if w.next < len(w.all) && w.all[w.next] == word {
		w.next++
		return true
	}
	return false
}

func (w *words) atEnd() bool { return w.next >= len(w.all) }

// rest are the words that are left.
func (w *words) rest() []string {
	out := w.all[w.next:]
	w.next = len(w.all)
	return out
}

func (w *words) duration() (time.Duration, error) {
	text := w.take()
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time: want one as 40s, 300ms or 2m", text)
	}
	return d, nil
}

var memberName = regexp.MustCompile(`^n[1-9][0-9]*$`)

// who are members, named or described; whom they are is known only when the command is played.
type who []string

// members takes one name or more: n1 n2, all, leader, replicas, others.
func (w *words) members() (who, error) {
	var out who
	for isWho(w.peek()) {
		out = append(out, w.take())
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q is no member: want names as n1, or all, the leader, the replicas", w.peek())
	}
	return out, nil
}

func isWho(word string) bool {
	switch word {
	case "all", "leader", "replicas":
		return true
	}
	return memberName.MatchString(word)
}

// find tells who they are now, in order.
func (x who) find(r *run) ([]string, error) {
	chosen := map[string]bool{}
	for _, word := range x {
		switch word {
		case "all":
			for _, m := range r.members {
				chosen[m] = true
			}
		case "leader", "replicas":
			leader, err := r.stage.Leader()
			if err != nil {
				return nil, err
			}
			if leader == "" {
				return nil, errors.New("there is no leader now")
			}
			for _, m := range r.members {
				if (m == leader) == (word == "leader") {
					chosen[m] = true
				}
			}
		default:
			if !r.has(word) {
				return nil, fmt.Errorf("there is no member %s, but %s", word, strings.Join(r.members, ", "))
			}
			chosen[word] = true
		}
	}
	var out []string
	for _, m := range r.members {
		if chosen[m] {
			out = append(out, m)
		}
	}
	return out, nil
}

// each does something to each of them.
func (x who) each(do func(r *run, member string) error) action {
	return func(r *run) error {
		names, err := x.find(r)
		if err != nil {
			return err
		}
		for _, m := range names {
			if err := do(r, m); err != nil {
				return err
			}
		}
		return nil
	}
}
