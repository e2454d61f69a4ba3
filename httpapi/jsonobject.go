package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ordered is a JSON object that keeps the order of its keys and the text of its values: messages
// about a body come in the order of the body, and a document is written back with its digits and order.
type ordered struct {
	fields []field
	index  map[string]int // into fields, without those that were deleted
}

type field struct {
	key   string
	value json.RawMessage // nil: deleted
}

// maxDepth bounds bodies, because comparing and merging read each level again.
const maxDepth = 64

// tooDeep tells that brackets nest deeper than a configuration has reason to.
func tooDeep(raw []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// parseOrdered reads one JSON object and nothing after it. Of a repeated key the last value counts.
func parseOrdered(raw []byte) (*ordered, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("want UTF-8")
	}
	if tooDeep(raw) {
		return nil, fmt.Errorf("want at most %d levels of objects and arrays", maxDepth)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if t != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object, not %v", t)
	}
	o := &ordered{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON object: %w", err)
		}
		key, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("read JSON object: want a key, not %v", t)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("read JSON object: %w", err)
		}
		o.set(key, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object and nothing after it")
	}
	return o, nil
}

func (o *ordered) find(key string) int {
	if i, ok := o.index[key]; ok {
		return i
	}
	return -1
}

func (o *ordered) remove(key string) {
	o.fields[o.index[key]].value = nil
	delete(o.index, key)
}

// get returns nil for an absent key.
func (o *ordered) get(key string) json.RawMessage {
	if i := o.find(key); i >= 0 {
		return o.fields[i].value
	}
	return nil
}

func (o *ordered) has(key string) bool { return o.find(key) >= 0 }

func (o *ordered) set(key string, v json.RawMessage) {
	if i := o.find(key); i >= 0 {
		o.fields[i].value = v
		return
	}
	if o.index == nil {
		o.index = map[string]int{}
	}
	o.index[key] = len(o.fields)
	o.fields = append(o.fields, field{key, v})
}

// stringOf reads a string; absent and null are empty.
func (o *ordered) stringOf(key string) (string, error) {
	raw := o.get(key)
	if raw == nil {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s should be a string", key)
	}
	if s == nil {
		return "", nil
	}
	return *s, nil
}

// MarshalJSON writes the object compactly, in its order.
func (o *ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, f := range o.fields {
		if f.value == nil {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, err := encode(f.key)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		if err := json.Compact(&b, f.value); err != nil {
			return nil, fmt.Errorf("write %q: %w", f.key, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{'
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// textOf is a value as Patroni compares it: without its type, so that "30" is 30.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && !isNull(raw) {
		return s
	}
	switch v := string(bytes.TrimSpace(raw)); v {
	case "true":
		return "True"
	case "false":
		return "False"
	case "null":
		return "None"
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// merge applies a change to o as PATCH /config does: null deletes, objects merge, scalars are
// compared as text, and what is new is taken verbatim. It tells whether anything changed.
func (o *ordered) merge(change *ordered) (bool, error) {
	changed := false
	for _, f := range change.fields {
		i := o.find(f.key)
		switch {
		case isNull(f.value):
			if i >= 0 {
				o.remove(f.key)
				changed = true
			}
		case i >= 0 && isObject(f.value) && isObject(o.fields[i].value):
			c, err := mergeRaw(&o.fields[i].value, f.value)
			if err != nil {
				return false, fmt.Errorf("%s: %w", f.key, err)
			}
			changed = changed || c
		case i >= 0 && !isObject(f.value) && textOf(o.fields[i].value) == textOf(f.value):
		default:
			o.set(f.key, f.value)
			changed = true
		}
	}
	return changed, nil
}

func mergeRaw(into *json.RawMessage, change json.RawMessage) (bool, error) {
	base, err := parseOrdered(*into)
	if err != nil {
		return false, err
	}
	sub, err := parseOrdered(change)
	if err != nil {
		return false, err
	}
	changed, err := base.merge(sub)
	if err != nil || !changed {
		return false, err
	}
	*into, err = base.MarshalJSON()
	return true, err
}

// sameText tells that two values are equal as Patroni compares them: keys in any order, scalars as text.
func sameText(a, b json.RawMessage) bool {
	if isObject(a) != isObject(b) {
		return false
	}
	if !isObject(a) {
		return textOf(a) == textOf(b)
	}
	x, err := parseOrdered(a)
	if err != nil {
		return false
	}
	y, err := parseOrdered(b)
	if err != nil || len(x.index) != len(y.index) {
		return false
	}
	for _, f := range x.fields {
		if v := y.get(f.key); v == nil || !sameText(f.value, v) {
			return false
		}
	}
	return true
}
