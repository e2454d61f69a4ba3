package demo

import (
	"strconv"
	"unicode/utf8"
)

// keyHelp is what the last lines of the view say.
var keyHelp = []string{
	"[p]kill PostgreSQL", "[a]kill agent", "[f]freeze agent", "[t]thaw", "[m]kill member", "[s]start again", "[o]switch over",
	"[z]pause/resume", "[0-9]choose member, 0: leader", "[q]quit",
}

// Key is what a key means: an order, a choice of the target, or the end.
type Key struct {
	Verb   Verb // empty if the key is no order
	Choose int  // number of a member, 0 for the leader; valid if Choice
	Choice bool
	Move   int // with the arrows: -1 or 1
	Quit   bool
	Redraw bool
}

var orderKeys = map[rune]Verb{
	'p': KillPostgres, 'a': KillAgent, 'f': Freeze, 't': Thaw, 'm': KillMember, 's': StartMember, 'o': Switchover, 'z': TogglePause,
}

// ParseKeys reads what the terminal sent. What it does not know it leaves out: a stray sequence of a
// function key is not taken for the letters in it. rest is the beginning of a sequence whose end has not come yet.
func ParseKeys(in []byte) (keys []Key, rest []byte) {
	for len(in) > 0 {
		if in[0] == 0x1b {
			n, key := sequence(in)
			if n == 0 {
				return keys, in
			}
			in = in[n:]
			if key != (Key{}) {
				keys = append(keys, key)
			}
			continue
		}
		if !utf8.FullRune(in) {
			return keys, in
		}
		r, n := utf8.DecodeRune(in)
		in = in[n:]
		if key := plainKey(r); key != (Key{}) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func plainKey(r rune) Key {
	switch {
	case r == 'q' || r == 0x03 || r == 0x04: // control-C and control-D reach a raw terminal as characters
		return Key{Quit: true}
	case r == 0x0c: // control-L
		return Key{Redraw: true}
	case r >= '0' && r <= '9':
		n, err := strconv.Atoi(string(r))
		return Key{Choose: n, Choice: err == nil}
	}
	return Key{Verb: orderKeys[r]}
}

// sequence reads one escape sequence and tells its length, zero if it is not complete.
func sequence(in []byte) (int, Key) {
	if len(in) < 2 {
		return 0, Key{}
	}
	if in[1] == 'O' { // a key of the application mode: one more letter
		if len(in) < 3 {
			return 0, Key{}
		}
		return 3, arrow(in[2])
	}
	if in[1] != '[' {
		return 2, Key{} // with the alt key
	}
	for i := 2; i < len(in); i++ {
		if in[i] >= 0x40 && in[i] <= 0x7e { // the final character
			return i + 1, arrow(in[i])
		}
	}
	if len(in) > 32 {
		return len(in), Key{} // no sequence is that long
	}
	return 0, Key{}
}

func arrow(final byte) Key {
	switch final {
	case 'A':
		return Key{Move: -1}
	case 'B':
		return Key{Move: 1}
	}
	return Key{}
}
