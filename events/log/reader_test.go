package log

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

func onlySegment(t *testing.T, dir string) (path string, data []byte) {
	t.Helper()
	segments, err := Segments(dir)
	if err != nil || len(segments) != 1 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	data, err = os.ReadFile(segments[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	return segments[0].Path, data
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A crash may cut the file anywhere: what is whole is read, Open cuts the rest, and the log goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 3, Options{})
	path, data := onlySegment(t, dir)
	whole := map[int]bool{} // lengths that end with a record
	_, off, err := parseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	for whole[off] = true; off < len(data); whole[off] = true {
		f, err := parseFrame(data[off:])
		if err != nil {
			t.Fatal(err)
		}
		off += f.size
	}
	for n := range len(data) {
		for _, junk := range [][]byte{nil, make([]byte, 100)} {
			overwrite(t, path, append(bytes.Clone(data[:n]), junk...))
			b := readAll(dir)
			if len(b.errs) > 0 || (b.torn == nil) != (whole[n] && junk == nil) {
				t.Fatalf("cut at %d: errors %v, torn %+v", n, b.errs, b.torn)
			}
			kept := uint64(len(b.records))
			w, report := start(t, dir, Options{Disk: &quickDisk{}})
			if (report.Torn != nil) != (b.torn != nil) || report.Damage != nil || report.Next != kept+1 {
				t.Fatalf("cut at %d: report %+v", n, report)
			}
			if report.Torn != nil && *report.Torn != *b.torn {
				t.Fatalf("cut at %d: %+v reported, %+v read", n, report.Torn, b.torn)
			}
			w.Append(OfInput(testInput(kept + 1)))
			w.sync()
			w.end()
			checkComplete(t, dir, kept+1)
		}
	}
}

// Whichever byte changes, it is noticed, and every record that is returned is one that was written.
func TestEveryByteCounts(t *testing.T) {
	src := t.TempDir()
	fill(t, src, 1, 60, Options{SegmentBytes: 2 << 10})
	want := readAll(src)
	segments, err := Segments(src)
	if err != nil || len(segments) < 3 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	for i, s := range segments {
		data, err := os.ReadFile(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		for off := 0; off < len(data); off += 3 {
			bad := bytes.Clone(data)
			bad[off] ^= 0x41
			overwrite(t, s.Path, bad)
			b := readAll(src)
			if len(b.errs) == 0 && b.torn == nil {
				t.Fatalf("segment %d, byte %d: not noticed", i, off)
			}
			for _, err := range b.errs {
				var d *DamageError
				if !errors.As(err, &d) {
					t.Fatalf("segment %d, byte %d: %v", i, off, err)
				}
			}
			if b.torn != nil && i != len(segments)-1 {
				t.Fatalf("segment %d, byte %d: taken for a torn tail", i, off)
			}
			if lost := len(want.records) - len(b.records); lost < 0 || lost > 1 && !(off >= 8 && off < 12) {
				t.Fatalf("segment %d, byte %d: %d records lost", i, off, lost)
			}
			for _, r := range b.records {
				if w := want.records[r.Number-1]; !bytes.Equal(w.Payload, r.Payload) || w.Seq != r.Seq || w.Wall != r.Wall {
					t.Fatalf("segment %d, byte %d: record %d is not what was written", i, off, r.Number)
				}
			}
		}
		overwrite(t, s.Path, data)
	}
}

// Damage is not cut: the segment stays as it is and the log goes on in a new one.
func TestDamageIsKept(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 10, Options{})
	path, data := onlySegment(t, dir)
	data[len(data)/2] ^= 1
	overwrite(t, path, data)
	w, report := start(t, dir, Options{})
	if report.Damage == nil || report.Torn != nil || report.Next != 11 {
		t.Errorf("report %+v", report)
	}
	w.Append(OfInput(testInput(11)))
	w.end()
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(after, data) {
		t.Errorf("the damaged segment was modified (%v)", err)
	}
	b := readAll(dir)
	if len(b.errs) != 1 || len(b.records) != 10 || b.records[9].Seq != 11 {
		t.Errorf("%d records, errors %v", len(b.records), b.errs)
	}
	var d *DamageError
	if !errors.As(b.errs[0], &d) || d.Segment != path || d.Record == 0 || d.Offset == 0 || d.Offset != report.Damage.Offset {
		t.Errorf("error %+v", d)
	}
	t.Log(b.errs[0])
}

func TestMissingAndForeignSegments(t *testing.T) {
	src, other := t.TempDir(), t.TempDir()
	fill(t, src, 1, 80, Options{SegmentBytes: 2 << 10})
	fill(t, other, 2, 1, Options{SegmentBytes: 2 << 10}) // as long as src, but other from the first record on
	fill(t, other, 2, 79, Options{SegmentBytes: 2 << 10})
	segments, err := Segments(src)
	if err != nil || len(segments) < 4 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	tests := []struct {
		name   string
		do     func(s []Segment) error
		errors int
	}{
		{"whole", func([]Segment) error { return nil }, 0},
		{"oldest removed", func(s []Segment) error { return os.Remove(s[0].Path) }, 0},
		{"middle removed", func(s []Segment) error { return os.Remove(s[1].Path) }, 1},
		{"newest removed", func(s []Segment) error { return os.Remove(s[len(s)-1].Path) }, 0},
		{"renamed", func(s []Segment) error { return os.Rename(s[2].Path, s[1].Path) }, 1},
		{"from another log", func(s []Segment) error {
			b, err := os.ReadFile(other + "/" + segmentName(s[1].First))
			if err != nil {
				return err
			}
			return os.WriteFile(s[1].Path, b, 0o600)
		}, 2},
		{"record removed", func(s []Segment) error {
			b, err := os.ReadFile(s[1].Path)
			if err != nil {
				return err
			}
			_, at, err := parseHeader(b)
			if err != nil {
				return err
			}
			f, err := parseFrame(b[at:])
			if err != nil {
				return err
			}
			return os.WriteFile(s[1].Path, append(bytes.Clone(b[:at]), b[at+f.size:]...), 0o600)
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyDir(t, src)
			s, err := Segments(dir)
			if err == nil {
				err = tt.do(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			b := readAll(dir)
			for _, err := range b.errs {
				t.Log(err)
			}
			if len(b.errs) != tt.errors {
				t.Errorf("%d errors, want %d", len(b.errs), tt.errors)
			}
		})
	}
}

func TestReadingStopsWhenAsked(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 10, Options{})
	n := 0
	for _, err := range Read(dir).All() {
		if n++; n == 3 || err != nil {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d records", n)
	}
}

func FuzzSegment(f *testing.F) {
	h := Header{Format: format, First: 1}
	head, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	body, sum := appendFrame(nil, &Record{Kind: KindNote, Number: 1}, []byte(`{"text":"a"}`), 0)
	body, _ = appendFrame(body, &Record{Kind: KindInput, Number: 2}, []byte(`{}`), sum)
	f.Add(append(bytes.Clone(head), body...), uint16(0), byte(0))
	f.Add(append(bytes.Clone(head), body[:len(body)-3]...), uint16(70), byte(9))
	f.Add(body, uint16(3), byte(1))
	f.Add(head[:9], uint16(0), byte(0))
	f.Add(append(append(bytes.Clone(head), marker...), 0xff, 0xff, 0xff, 0xff), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte) {
		if len(data) > 0 {
			data[int(at)%len(data)] ^= flip
		}
		dir := t.TempDir()
		overwrite(t, dir+"/"+segmentName(1), data)
		b := readAll(dir)
		next := uint64(1)
		for _, r := range b.records {
			if len(b.errs) == 0 && r.Number != next {
				t.Fatalf("record %d where %d must be, and no error", r.Number, next)
			}
			next++
		}
		w, report, err := Open(dir, Options{})
		if err != nil {
			return // another format
		}
		if report.Damage == nil && report.Next != next {
			t.Fatalf("%d records, then Open goes on with %d", len(b.records), report.Next)
		}
		if err := errors.Join(w.out.close(), w.lock.Close()); err != nil {
			t.Fatal(err)
		}
	})
}
