package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The forms of YAML 1.1's plain scalars, as PyYAML resolves them.
var (
	yamlInt   = regexp.MustCompile(`^[-+]?(0b[0-1_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*|[1-9][0-9_]*(:[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?` +
		`|\.(inf|Inf|INF)|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)$|^\.(nan|NaN|NAN)$`)
)

// scalar resolves an unquoted scalar.
func scalar(text string) *value {
	v := &value{kind: kindString, text: text}
	switch text {
	case "", "~", "null", "Null", "NULL":
		v.kind = kindNull
		return v
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		v.kind, v.boolean = kindBool, true
		return v
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		v.kind = kindBool
		return v
	}
	if yamlInt.MatchString(text) {
		if n, err := yamlInteger(text); err == nil {
			v.kind, v.integer = kindInt, n
		}
		return v
	}
	if yamlFloat.MatchString(text) {
		v.kind = kindFloat
	}
	return v
}

func yamlInteger(text string) (int64, error) {
	digits := strings.ReplaceAll(text, "_", "")
	sign := int64(1)
	if rest, minus := strings.CutPrefix(digits, "-"); minus {
		sign, digits = -1, rest
	}
	digits = strings.TrimPrefix(digits, "+")
	if strings.Contains(digits, ":") {
		total := int64(0)
		for _, part := range strings.Split(digits, ":") {
			n, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				return 0, err
			}
			total = total*60 + n
		}
		return sign * total, nil
	}
	n, err := strconv.ParseInt(digits, 0, 64)
	return sign * n, err
}

// parameterText renders a scalar as the value of a server parameter.
func (v *value) parameterText() string {
	switch v.kind {
	case kindBool:
		if v.boolean {
			return "on"
		}
		return "off"
	case kindInt:
		return strconv.FormatInt(v.integer, 10)
	case kindFloat:
		return strings.ReplaceAll(v.text, "_", "")
	}
	return v.text
}

// json writes the value as compact JSON, mappings in their own order.
func (v *value) json() (json.RawMessage, error) {
	var b bytes.Buffer
	if err := v.writeJSON(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (v *value) writeJSON(b *bytes.Buffer) error {
	switch v.kind {
	case kindNull:
		b.WriteString("null")
	case kindBool:
		b.WriteString(strconv.FormatBool(v.boolean))
	case kindInt:
		b.WriteString(strconv.FormatInt(v.integer, 10))
	case kindFloat:
		f, err := strconv.ParseFloat(strings.ReplaceAll(v.text, "_", ""), 64)
		text, jsonErr := json.Marshal(f)
		if err != nil || jsonErr != nil { // infinity and its like have no JSON
			text = quoteJSON(v.text)
		}
		b.Write(text)
	case kindString:
		b.Write(quoteJSON(v.text))
	case kindList:
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := item.writeJSON(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case kindMap:
		b.WriteByte('{')
		for i, key := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quoteJSON(key))
			b.WriteByte(':')
			if err := v.fields[key].writeJSON(b); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	default:
		return fmt.Errorf("write JSON: unknown kind %d", v.kind)
	}
	return nil
}

// quoteJSON writes a text as JSON without escaping <, > and &.
func quoteJSON(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return []byte(`""`) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
