package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

func sample(t *testing.T, records ...Record) []Record {
	t.Helper()
	dir := t.TempDir()
	w, _ := start(t, dir, Options{})
	for _, r := range records {
		w.Append(r)
	}
	w.end()
	b := readAll(dir)
	if len(b.errs) > 0 {
		t.Fatal(b.errs)
	}
	return b.records
}

func TestShowAndCat(t *testing.T) {
	d := testDecision(2)
	d.Fired = []events.Fired{{Rule: "FO-20", Why: "the lease is free"}, {Rule: "PU-10", Why: "the member\nrecord is old"}}
	broken := &events.Decision{Input: 3, From: "leading", To: "leading", Rule: "LE-10", Broken: []string{"I3"}}
	records := sample(t,
		OfInput(events.Input{Seq: 2, At: 5, Wall: 1700000000e9, Fact: events.TimerFired{}}),
		OfDecision(d, 1700000000e9+1000), OfDecision(broken, 1700000001e9),
		OfNote(Note{Text: "records are missing here", Missing: 3, From: 4, To: 6, Lasted: 1500 * time.Millisecond}, 6, 1700000002e9))
	var shown, cat bytes.Buffer
	for _, r := range records {
		if err := errors.Join(Show(&shown, r), Cat(&cat, r)); err != nil {
			t.Fatal(err)
		}
	}
	want := `2023-11-14T22:13:20.000001Z        2  following→campaigning       FO-20    the lease is free; PU-10 the member record is old [acquire_lease#2]
2023-11-14T22:13:21.000000Z        3  leading                     LE-10    INVARIANT BROKEN: I3
2023-11-14T22:13:22.000000Z        6  note                                 records are missing here (3 missing, inputs 4 to 6) (lasted 1.5s)
`
	if shown.String() != want {
		t.Errorf("shown:\n%swant:\n%s", &shown, want)
	}
	wantCat := `{"number":1,"kind":"input","seq":2,"time":"2023-11-14T22:13:20.000000Z",` +
		`"input":{"seq":2,"at":5,"wall":1700000000000000000,"kind":"timer","fact":{}}}`
	lines := bytes.Split(bytes.TrimSpace(cat.Bytes()), []byte("\n"))
	if len(lines) != 4 || string(lines[0]) != wantCat {
		t.Errorf("cat: %d lines\n%s", len(lines), lines[0])
	}
	for _, l := range lines {
		if !json.Valid(l) {
			t.Errorf("no JSON: %s", l)
		}
	}
}

func TestPairs(t *testing.T) {
	gap := OfNote(Note{Text: "x", Missing: 2, From: 3, To: 4}, 4, 0)
	records := sample(t, OfInput(testInput(1)), OfDecision(testDecision(1), 0), OfNote(Note{Text: "hello"}, 1, 0), OfInput(testInput(2)),
		gap, OfDecision(testDecision(4), 0), OfInput(testInput(5)), OfDecision(testDecision(5), 0), OfInput(testInput(6)))
	boom := errors.New("boom")
	for _, tail := range []error{nil, boom} {
		var got []string
		all := func(yield func(Record, error) bool) {
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if tail != nil {
				yield(Record{}, tail)
			}
		}
		for p, err := range Pairs(all) {
			s := ""
			switch {
			case err != nil:
				s = err.Error()
			case p.Gap != nil:
				s = "gap"
			}
			if p.Input != nil {
				s += string(rune('0' + p.Input.Seq))
			}
			if p.Decision != nil {
				s += "d" + string(rune('0'+p.Decision.Input))
			}
			got = append(got, s)
		}
		want := []string{"1d1", "2", "gap", "d4", "5d5", "6"}
		if tail != nil {
			want = append(want, "boom")
		}
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	n := 0
	for range Pairs(Read(t.TempDir()).All()) {
		n++
	}
	if n != 0 {
		t.Errorf("%d pairs in an empty log", n)
	}
}
