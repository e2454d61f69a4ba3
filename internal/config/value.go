package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindString
	kindMap
	kindList
)

func (k kind) String() string {
	return [...]string{"nothing", "a boolean", "a number", "a number", "a text", "a mapping", "a list"}[k]
}

// value is a node of the configuration before it is given types. It keeps scalars as they were
// written and maps in the order in which they were written.
type value struct {
	kind    kind
	text    string // of a scalar, as written
	boolean bool
	integer int64
	keys    []string // of a mapping, in order
	fields  map[string]*value
	items   []*value
	where   string // file:line, or the name of an environment variable
}

func newMap(where string) *value {
	return &value{kind: kindMap, fields: map[string]*value{}, where: where}
}

func (v *value) isScalar() bool { return v.kind != kindMap && v.kind != kindList }

func (v *value) get(key string) *value {
	if v == nil || v.kind != kindMap {
		return nil
	}
	return v.fields[key]
}

func (v *value) set(key string, to *value) {
	if _, has := v.fields[key]; !has {
		v.keys = append(v.keys, key)
	}
	v.fields[key] = to
}

func (v *value) remove(key string) {
	if _, has := v.fields[key]; !has {
		return
	}
	delete(v.fields, key)
	for i, k := range v.keys {
		if k == key {
			v.keys = append(v.keys[:i:i], v.keys[i+1:]...)
			return
		}
	}
}

// at finds or makes the mapping at path; nil if something else is in the way.
func (v *value) at(path ...string) *value {
	for _, key := range path {
		next := v.get(key)
		if next == nil || next.kind == kindNull {
			next = newMap(v.where)
			v.set(key, next)
		}
		if next.kind != kindMap {
			return nil
		}
		v = next
	}
	return v
}

// show renders the value for an error message.
func (v *value) show() string {
	switch v.kind {
	case kindNull:
		return "null"
	case kindMap:
		return "{…}"
	case kindList:
		return "[…]"
	case kindString:
		return strconv.Quote(v.text)
	}
	return v.text
}

// patch lays over upon v as Patroni does: mappings are merged, null deletes a key that is there,
// everything else replaces.
func (v *value) patch(over *value) {
	for _, key := range over.keys {
		with, old := over.fields[key], v.fields[key]
		switch {
		case old != nil && with.kind == kindNull:
			v.remove(key)
		case old != nil && old.kind == kindMap && with.kind == kindMap:
			old.patch(with)
		default:
			v.set(key, with)
		}
	}
}

// yamlReader turns documents into values.
type yamlReader struct {
	file     string
	warnings []Warning
	depth    int
}

const maxDepth = 64 // deeper than any configuration, and a stop for aliases that contain themselves

func (r *yamlReader) document(text []byte) (*value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.file, err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return newMap(r.file), nil
	}
	v, err := r.node(doc.Content[0])
	if err != nil {
		return nil, err
	}
	if v.kind == kindNull {
		return newMap(r.file), nil
	}
	if v.kind != kindMap {
		return nil, fmt.Errorf("read %s: want a mapping of sections, not %s", r.file, v.kind)
	}
	return v, nil
}

func (r *yamlReader) node(n *yaml.Node) (*value, error) {
	where := fmt.Sprintf("%s:%d", r.file, n.Line)
	if r.depth++; r.depth > maxDepth {
		return nil, fmt.Errorf("read %s: nested more than %d levels deep", where, maxDepth)
	}
	defer func() { r.depth-- }()
	switch n.Kind {
	case yaml.AliasNode:
		return r.node(n.Alias)
	case yaml.SequenceNode:
		list := &value{kind: kindList, where: where}
		for _, c := range n.Content {
			item, err := r.node(c)
			if err != nil {
				return nil, err
			}
			list.items = append(list.items, item)
		}
		return list, nil
	case yaml.MappingNode:
		return r.mapping(n, where)
	}
	v := scalar(n.Value)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Style&yaml.TaggedStyle != 0 &&
		n.Tag == "!!str" {
		v = &value{kind: kindString, text: n.Value}
	}
	v.where = where
	return v, nil
}

func (r *yamlReader) mapping(n *yaml.Node, where string) (*value, error) {
	m, merged := newMap(where), newMap(where)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], (*value)(nil)
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("read %s:%d: a key must be a plain word", r.file, key.Line)
		}
		v, err := r.node(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		if key.Tag == "!!merge" {
			if err := merged.include(v); err != nil {
				return nil, err
			}
			continue
		}
		if _, twice := m.fields[key.Value]; twice {
			r.warnings = append(r.warnings, Warning{Field: key.Value,
				Text: fmt.Sprintf("given twice in the same mapping (%s:%d): the last one counts", r.file, key.Line)})
		}
		m.set(key.Value, v)
	}
	for _, k := range merged.keys {
		if _, own := m.fields[k]; !own {
			m.set(k, merged.fields[k])
		}
	}
	return m, nil
}

// include takes over the keys of a merge (<<): a mapping, or a list of them of which the first wins.
func (v *value) include(from *value) error {
	switch from.kind {
	case kindMap:
		for _, k := range from.keys {
			if _, has := v.fields[k]; !has {
				v.set(k, from.fields[k])
			}
		}
		return nil
	case kindList:
		for _, item := range from.items {
			if err := v.include(item); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("read %s: << wants a mapping", from.where)
}

// clone copies the tree, so that patching one place never changes another that shares an anchor.
func (v *value) clone() *value {
	c := *v
	if v.kind == kindMap {
		c.keys = append([]string(nil), v.keys...)
		c.fields = make(map[string]*value, len(v.fields))
		for k, f := range v.fields {
			c.fields[k] = f.clone()
		}
	}
	if v.kind == kindList {
		c.items = make([]*value, len(v.items))
		for i, item := range v.items {
			c.items[i] = item.clone()
		}
	}
	return &c
}
