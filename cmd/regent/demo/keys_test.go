package demo

import (
	"reflect"
	"testing"
)

func TestParseKeys(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []Key
		rest     string
	}{
		{"orders", "pafmtsoz", []Key{{Verb: KillPostgres}, {Verb: KillAgent}, {Verb: Freeze}, {Verb: KillMember}, {Verb: Thaw}, {Verb: StartMember},
			{Verb: Switchover}, {Verb: TogglePause}}, ""},
		{"digits", "20", []Key{{Choose: 2, Choice: true}, {Choice: true}}, ""},
		{"the end", "q\x03\x04", []Key{{Quit: true}, {Quit: true}, {Quit: true}}, ""},
		{"redraw", "\x0c", []Key{{Redraw: true}}, ""},
		{"arrows", "\x1b[A\x1bOB", []Key{{Move: -1}, {Move: 1}}, ""},
		{"a function key is not its letters", "\x1b[15~\x1bOP\x1b[1;5C", nil, ""},
		{"with alt", "\x1bpq", []Key{{Quit: true}}, ""},
		{"a sequence that has not ended", "p\x1b[1", []Key{{Verb: KillPostgres}}, "\x1b[1"},
		{"escape alone may be a beginning", "\x1b", nil, "\x1b"},
		{"unknown keys", "xyä!", nil, ""},
		{"half a character", "q\xc3", []Key{{Quit: true}}, "\xc3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, rest := ParseKeys([]byte(c.in))
			if !reflect.DeepEqual(keys, c.want) || string(rest) != c.rest {
				t.Errorf("got %+v, rest %q; want %+v, rest %q", keys, rest, c.want, c.rest)
			}
		})
	}
}

// No input makes the parser hold back without bound: what is pending stays short.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("\x1b[1;5A"))
	f.Add([]byte("\x1b\x1b[\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, rest := ParseKeys(in)
		if len(rest) > 33 {
			t.Errorf("%d bytes are held back", len(rest))
		}
	})
}
