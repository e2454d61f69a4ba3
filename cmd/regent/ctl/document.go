package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/regent-ha/regent/internal/config"
)

// decodeDocument reads a configuration document into maps, keeping numbers as they are written.
func decodeDocument(doc json.RawMessage) (map[string]any, error) {
	m := map[string]any{}
	if len(doc) == 0 {
		return m, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("read dynamic configuration: %w", err)
	}
	return m, nil
}

// patch lays change over doc as Patroni does: mappings are merged, null deletes a key that is there,
// a value that reads the same stays as it is, everything else replaces.
func patch(doc, change map[string]any) {
	for key, v := range change {
		old, has := doc[key]
		if v == nil {
			delete(doc, key)
			continue
		}
		oldMap, wasMap := old.(map[string]any)
		newMap, isMap := v.(map[string]any)
		switch {
		case wasMap && isMap:
			patch(oldMap, newMap)
		case has && !wasMap && !isMap && fmt.Sprint(old) == fmt.Sprint(v):
		default:
			doc[key] = v
		}
	}
}

// difference is the change that makes before into after.
func difference(before, after map[string]any) map[string]any {
	d := map[string]any{}
	for key := range before {
		if _, kept := after[key]; !kept {
			d[key] = nil
		}
	}
	for key, v := range after {
		old, had := before[key]
		oldMap, wasMap := old.(map[string]any)
		newMap, isMap := v.(map[string]any)
		switch {
		case had && wasMap && isMap:
			if sub := difference(oldMap, newMap); len(sub) > 0 {
				d[key] = sub
			}
		case !had || fmt.Sprint(old) != fmt.Sprint(v) || wasMap != isMap:
			d[key] = v
		}
	}
	return d
}

// assign carries out one name=value: a dotted path, below postgresql.parameters the rest is one name.
func assign(doc map[string]any, pair string) error {
	name, text, ok := strings.Cut(pair, "=")
	if !ok {
		return fail("Invalid parameter setting %s", pair)
	}
	raw, err := config.ParseValue(text)
	if err != nil {
		return fail("Invalid parameter setting %s: %v", pair, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fail("Invalid parameter setting %s: %v", pair, err)
	}
	path := strings.Split(strings.TrimSpace(name), ".")
	if len(path) > 2 && path[0] == "postgresql" && path[1] == "parameters" {
		path = append(path[:2:2], strings.Join(path[2:], "."))
	}
	for _, key := range path {
		if key == "" {
			return fail("Invalid parameter setting %s", pair)
		}
	}
	setPath(doc, path, v)
	return nil
}

// setPath sets or with nil deletes what is at path, and deletes mappings that this left empty.
func setPath(doc map[string]any, path []string, v any) {
	key := path[0]
	if len(path) == 1 {
		if v == nil {
			delete(doc, key)
		} else {
			doc[key] = v
		}
		return
	}
	sub, ok := doc[key].(map[string]any)
	if !ok {
		sub = map[string]any{}
		doc[key] = sub
	}
	setPath(sub, path[1:], v)
	if len(sub) == 0 {
		delete(doc, key)
	}
}

// plainNumbers turns the numbers of a document into what a YAML writer takes for numbers.
func plainNumbers(v any) any {
	switch x := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, e := range x {
			m[k] = plainNumbers(e)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, e := range x {
			list[i] = plainNumbers(e)
		}
		return list
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		if f, err := x.Float64(); err == nil {
			return f
		}
		return x.String()
	}
	return v
}

// documentYAML is a document as people edit it: sorted keys, a line each.
func documentYAML(m map[string]any) (string, error) {
	if len(m) == 0 {
		return "{}", nil
	}
	return blockYAML(plainNumbers(m))
}
