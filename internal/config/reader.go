package config

import (
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// findings collects what a reading of the tree found.
type findings struct {
	errs     Errors
	warnings []Warning
}

func (f *findings) warn(field, format string, args ...any) {
	f.warnings = append(f.warnings, Warning{Field: field, Text: fmt.Sprintf(format, args...)})
}

// section reads one mapping. Each method that reads a key makes it known; done reports the rest.
type section struct {
	*findings
	path  string
	tree  *value // nil if the section is absent
	known map[string]bool
}

func (s *section) field(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// value makes key known and gives its value, nil if it is absent or null.
func (s *section) value(key string) *value {
	s.known[key] = true
	v := s.tree.get(key)
	if v == nil || v.kind == kindNull {
		return nil
	}
	return v
}

func (s *section) has(key string) bool {
	v := s.tree.get(key)
	return v != nil && v.kind != kindNull
}

func (s *section) bad(key string, v *value, format string, args ...any) {
	e := &FieldError{Field: s.field(key), Remedy: fmt.Sprintf(format, args...)}
	if v != nil {
		e.Value, e.Where = v.show(), v.where
		if isSecretKey(key) {
			e.Value = redactedText
		}
	}
	s.errs = append(s.errs, e)
}

func (s *section) missing(key, why string) {
	s.bad(key, nil, "is not set: %s", why)
}

// section opens a mapping inside this one; it is empty if the key is absent or no mapping.
func (s *section) section(key string) *section {
	sub := &section{findings: s.findings, path: s.field(key), known: map[string]bool{}}
	v := s.value(key)
	if v == nil {
		return sub
	}
	if v.kind != kindMap {
		s.bad(key, v, "want a mapping, not %s", v.kind)
		return sub
	}
	sub.tree = v
	return sub
}

func (s *section) present() bool { return s.tree != nil }

// string reads a text. Numbers are taken as they were written; a boolean is refused, because what
// was meant is lost by then (a password that reads yes).
func (s *section) string(key string, into *string) {
	v := s.value(key)
	if v == nil {
		return
	}
	switch v.kind {
	case kindMap, kindList:
		s.bad(key, v, "want a text, not %s", v.kind)
	case kindBool:
		s.bad(key, v, "want a text: YAML reads the bare word as a boolean, put it in quotes")
	default:
		*into = v.text
	}
}

func (s *section) secret(key string, into *Secret) {
	text := string(*into)
	s.string(key, &text)
	*into = Secret(text)
}

func (s *section) boolean(key string, into *bool) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.kind == kindBool {
		*into = v.boolean
		return
	}
	if v.isScalar() {
		if b, ok := events.ParseBool(v.text); ok {
			*into = b
			return
		}
	}
	s.bad(key, v, "want on or off")
}

func (s *section) integer(key string, into *int, least, most int) {
	v := s.value(key)
	if v == nil {
		return
	}
	n, ok := v.asInteger()
	if !ok || n < int64(least) || n > int64(most) {
		s.bad(key, v, "want a whole number, %s", boundsText(least, most))
		return
	}
	*into = int(n)
}

func boundsText(least, most int) string {
	if most >= 1<<31-1 {
		return fmt.Sprintf("at least %d", least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func (v *value) asInteger() (int64, bool) {
	switch v.kind {
	case kindInt:
		return v.integer, true
	case kindString:
		if r := scalar(strings.TrimSpace(v.text)); r.kind == kindInt {
			return r.integer, true
		}
	}
	return 0, false
}

// duration reads a time: a number of unit, or a number with one of us, ms, s, min, h, d.
func (s *section) duration(key string, into *time.Duration, unit, least time.Duration) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.isScalar() && v.kind != kindBool {
		if d, err := ParseDuration(v.text, unit); err == nil && d >= least {
			*into = d
			return
		}
	}
	s.bad(key, v, "want a time of at least %v, as a number of %s or with a unit (ms, s, min, h, d)", least, unitName(unit))
}

func unitName(unit time.Duration) string {
	if unit == time.Millisecond {
		return "milliseconds"
	}
	return "seconds"
}

// size reads a number of bytes, with one of B, kB, MB, GB, TB.
func (s *section) size(key string, into *int64, least int64) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.isScalar() && v.kind != kindBool {
		if n, err := ParseSize(v.text); err == nil && n >= least {
			*into = n
			return
		}
	}
	s.bad(key, v, "want a size of at least %d bytes, for example 64MB (units B, kB, MB, GB, TB)", least)
}

// enum reads one of words; a boolean counts as on or off.
func (s *section) enum(key string, into *string, words ...string) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.isScalar() {
		text := v.parameterText()
		for _, w := range words {
			if strings.EqualFold(text, w) {
				*into = w
				return
			}
		}
	}
	s.bad(key, v, "want one of %s", strings.Join(words, ", "))
}

// strings reads a list of texts; one text with commas will do where commas is set.
func (s *section) strings(key string, into *[]string, commas bool) {
	v := s.value(key)
	if v == nil {
		return
	}
	if commas && v.kind == kindString {
		*into = splitComma(v.text)
		return
	}
	if v.kind != kindList {
		s.bad(key, v, "want a list of texts, not %s", v.kind)
		return
	}
	list := make([]string, 0, len(v.items))
	for i, item := range v.items {
		if !item.isScalar() || item.kind == kindNull {
			s.bad(fmt.Sprintf("%s[%d]", key, i), item, "want a text, not %s", item.kind)
			continue
		}
		list = append(list, item.text)
	}
	*into = list
}

func splitComma(text string) []string {
	var list []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// parameters reads a mapping of scalars as text that PostgreSQL understands.
func (s *section) parameters(key string, into *map[string]string) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.kind != kindMap {
		s.bad(key, v, "want a mapping of names to values, not %s", v.kind)
		return
	}
	m := make(map[string]string, len(v.keys))
	for _, name := range v.keys {
		p := v.fields[name]
		switch {
		case p.kind == kindNull:
		case p.isScalar():
			m[name] = p.parameterText()
		case p.kind == kindList && allScalars(p):
			m[name] = joinParameters(p)
		default:
			s.bad(key+"."+name, p, "want a value, not %s", p.kind)
		}
	}
	*into = m
}

func allScalars(v *value) bool {
	for _, item := range v.items {
		if !item.isScalar() {
			return false
		}
	}
	return true
}

func joinParameters(list *value) string {
	parts := make([]string, len(list.items))
	for i, item := range list.items {
		parts[i] = item.parameterText()
	}
	return strings.Join(parts, ",")
}

// options reads command line options as Patroni renders them: a list of words and one-pair
// mappings, or a mapping. Forbidden ones, which regent sets itself, are refused.
func (s *section) options(key string, into *[]string, forbidden ...string) {
	v := s.value(key)
	if v == nil {
		return
	}
	var list []string
	add := func(name string, v *value) {
		for _, f := range forbidden {
			if name == f {
				s.bad(key+"."+name, v, "this option is not allowed: regent sets it itself; remove it")
				return
			}
		}
		if v == nil {
			list = append(list, "--"+name)
			return
		}
		list = append(list, "--"+name+"="+strings.Trim(v.parameterText(), `"'`))
	}
	switch v.kind {
	case kindMap:
		for _, name := range v.keys {
			if p := v.fields[name]; !p.isScalar() {
				s.bad(key+"."+name, p, "want a value, not %s", p.kind)
			} else if p.parameterText() != "" && p.parameterText() != "off" {
				add(name, p)
			}
		}
	case kindList:
		for i, item := range v.items {
			switch {
			case item.isScalar() && item.kind != kindNull:
				add(item.text, nil)
			case item.kind == kindMap && len(item.keys) == 1 && item.fields[item.keys[0]].isScalar():
				add(item.keys[0], item.fields[item.keys[0]])
			default:
				s.bad(fmt.Sprintf("%s[%d]", key, i), item, "want a word or one pair (name: value)")
			}
		}
	default:
		s.bad(key, v, "want a list of options, not %s", v.kind)
	}
	*into = list
}

// address reads host:port. Several hosts before the port are allowed where many is set.
func (s *section) address(key string, into *string, many bool, defaultPort int) {
	v := s.value(key)
	if v == nil {
		return
	}
	if v.isScalar() {
		text := v.text
		if v.kind == kindInt && strings.Contains(text, ":") { // "1:30" is a number in YAML 1.1
			text = v.text
		}
		if clean, err := checkAddress(text, many, defaultPort); err == nil {
			*into = clean
			return
		}
	}
	s.bad(key, v, "want host:port, for example 10.0.0.1:%d", max(defaultPort, 1))
}

func checkAddress(text string, many bool, defaultPort int) (string, error) {
	hosts, port, err := SplitHostPort(text)
	if err != nil && defaultPort > 0 && !strings.Contains(text, ":") && text != "" {
		return net.JoinHostPort(text, strconv.Itoa(defaultPort)), nil
	}
	if err != nil {
		return "", err
	}
	if strings.Contains(hosts, ",") && !many {
		return "", fmt.Errorf("want one host")
	}
	if port < 1 || port > 65535 {
		return "", fmt.Errorf("port %d: want 1 to 65535", port)
	}
	return text, nil
}

// noEffect makes keys known that are fine in Patroni and mean nothing to regent.
func (s *section) noEffect(why string, keys ...string) {
	for _, key := range keys {
		if s.value(key) != nil {
			s.warn(s.field(key), "has no effect in regent: %s", why)
		}
	}
}

// unsupported makes keys known that Patroni has and this version of regent has not.
func (s *section) unsupported(keys ...string) {
	for _, key := range keys {
		if s.value(key) != nil {
			s.warn(s.field(key), "is a setting of Patroni's that this version of regent does not support; it is ignored")
		}
	}
}

// done reports the keys that nothing has read.
func (s *section) done() {
	if s.tree == nil {
		return
	}
	words := make([]string, 0, len(s.known))
	for k := range s.known {
		words = append(words, k)
	}
	sort.Strings(words)
	for _, key := range s.tree.keys {
		if s.known[key] {
			continue
		}
		hint := ""
		if n := nearest(key, words); n != "" {
			hint = fmt.Sprintf("; did you mean %s?", s.field(n))
		}
		s.warn(s.field(key), "unknown key, ignored%s", hint)
	}
}
