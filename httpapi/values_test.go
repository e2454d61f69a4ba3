package httpapi

import (
	"encoding/json"
	"testing"
	"time"
)

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]uint64{
		"0": 0, "16kB": 16384, "10MB": 10 << 20, "1GB": 1 << 30, "1.5MB": 3 << 19, " 7 ": 7, "2 TB": 2 << 40,
	} {
		if got, ok := parseBytes(in); !ok || got != want {
			t.Errorf("%q: %d %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "x", "-1", "1XB", "kB", "1e400", "99999999999TB", "NaN", "--1"} {
		if got, ok := parseBytes(in); ok {
			t.Errorf("%q is %d", in, got)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	for in, want := range map[string]int{`30`: 30, `"30"`: 30, `"5min"`: 300, `"2 h"`: 7200, `"1500ms"`: 2, `-5`: -5} {
		if got, ok := parseSeconds(json.RawMessage(in)); !ok || got != want {
			t.Errorf("%s: %d %v", in, got, ok)
		}
	}
	for _, in := range []string{`"x"`, `null`, `true`, `{}`, `[1]`, `"1 week"`, `1e12`} {
		if got, ok := parseSeconds(json.RawMessage(in)); ok {
			t.Errorf("%s is %d", in, got)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]int{"9.5.2": 90502, "10.1": 100001, "16.4": 160004, "9.6.24": 90624} {
		if got, err := parseVersion(in); err != nil || got != want {
			t.Errorf("%s: %d %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"x":       "Invalid PostgreSQL version: x",
		"16.b":    "Invalid PostgreSQL version: 16.b",
		"16":      "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 16",
		"9.6":     "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6",
		"9.6.1.2": "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6.1.2",
	} {
		if _, err := parseVersion(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, in := range []string{
		"2026-01-02T03:04:00Z", "2026-01-02T03:04:00+00:00", "2026-01-02T04:04+01:00", "2026-01-02 03:04:00 UTC",
		"2026-01-02 03:04+00", "2026-01-01T21:34:00-0530", "20260102T030400Z", "2026-01-02 03:04:00.000+00",
	} {
		if got, zoned, err := parseTime(in); err != nil || !zoned || !got.Equal(want) {
			t.Errorf("%s: %v %v %v", in, got, zoned, err)
		}
	}
	for _, in := range []string{"2026-01-02T03:04:00", "2026-01-02 03:04", "2026-01-02"} {
		if _, zoned, err := parseTime(in); err != nil || zoned {
			t.Errorf("%s: zoned %v, %v", in, zoned, err)
		}
	}
	for _, in := range []string{"", "now", "tomorrow", "12", "2026-13-01T00:00:00Z"} {
		if _, _, err := parseTime(in); err == nil {
			t.Errorf("%q is a time", in)
		}
	}
	if got := isoTime(want); got != "2026-01-02T03:04:00+00:00" {
		t.Error(got)
	}
	if got := sqlTime("2026-01-02 03:04:05.6789+00"); got != "2026-01-02 03:04:05.678900+00:00" {
		t.Error(got)
	}
}

func TestMergeKeepsOrderAndDigits(t *testing.T) {
	for _, c := range []struct {
		base, change, want string
		changed            bool
	}{
		{`{"b":1,"a":2}`, `{"a":3}`, `{"b":1,"a":3}`, true},
		{`{"b":1,"a":2}`, `{"b":null}`, `{"a":2}`, true},
		{`{"a":2}`, `{"x":null}`, `{"a":2}`, false},
		{`{"ttl":30}`, `{"ttl":"30"}`, `{"ttl":30}`, false},
		{`{"on":true}`, `{"on":"True"}`, `{"on":true}`, false},
		{`{"n":12345678901234567890}`, `{"m":1.50}`, `{"n":12345678901234567890,"m":1.50}`, true},
		{`{"p":{"z":1,"q":{"a":1}}}`, `{"p":{"q":{"a":2}}}`, `{"p":{"z":1,"q":{"a":2}}}`, true},
		{`{"p":{"z":1}}`, `{"p":{"z":1}}`, `{"p":{"z":1}}`, false},
		{`{"p":5}`, `{"p":{"x":null}}`, `{"p":{"x":null}}`, true},
		{`{}`, `{"p":{"x":null, "y":[1, 2]}}`, `{"p":{"x":null,"y":[1,2]}}`, true},
		{`{"p":{"x":1}}`, `{"p":7}`, `{"p":7}`, true},
		{`{"p":[1, 2]}`, `{"p":[1,2]}`, `{"p":[1,2]}`, false},
	} {
		base, err := parseOrdered([]byte(c.base))
		if err != nil {
			t.Fatal(err)
		}
		change, err := parseOrdered([]byte(c.change))
		if err != nil {
			t.Fatal(err)
		}
		changed, err := base.merge(change)
		if err != nil {
			t.Fatal(err)
		}
		got, err := base.MarshalJSON()
		if err != nil || string(got) != c.want || changed != c.changed {
			t.Errorf("%s + %s = %s, changed %v (%v), want %s, %v", c.base, c.change, got, changed, err, c.want, c.changed)
		}
	}
}

func TestParseOrderedRefuses(t *testing.T) {
	for _, in := range []string{
		``, `[]`, `1`, `"x"`, `null`, `{`, `{"a":}`, `{"a":1}{`, `{"a":1} x`, `{a:1}`, "{\"a\":\"\xff\"}", `{"a":1,}`,
	} {
		if o, err := parseOrdered([]byte(in)); err == nil {
			t.Errorf("%q is %v", in, o)
		}
	}
	o, err := parseOrdered([]byte(` {"a":1,"b":2,"a":3} `))
	if err != nil || len(o.fields) != 2 || string(o.get("a")) != "3" {
		t.Errorf("%v %v", o, err)
	}
}

func FuzzParseOrdered(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"x\""]},"c":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := parseOrdered(raw)
		if err != nil {
			return
		}
		b, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) || !json.Valid(spaced(b)) || !sameText(b, spaced(b)) {
			t.Fatalf("%q became %q", raw, b)
		}
	})
}

func TestSpaced(t *testing.T) {
	in := `{"a":"x,y:\"z,","b":[1,2]}`
	if got := string(spaced([]byte(in))); got != `{"a": "x,y:\"z,", "b": [1, 2]}` {
		t.Error(got)
	}
}
