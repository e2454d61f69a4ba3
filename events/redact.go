package events

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Redacted stands where a secret stood.
const Redacted = "***"

// Redact removes passwords, tokens and the like from the outside text that a fact carries, and gives the fact the
// form that it has after encoding and decoding (valid UTF-8, canonical JSON documents). It is pure and idempotent.
//
// The runner applies it before the engine consumes the fact, so that the recorded input is exactly the one that was
// decided upon. Only text that is secret changes, never the structure around it, and no name that Settings or View
// read is a secret one. An executor that needs the text as it was (the configuration for PostgreSQL, or
// for a new cluster) looks it up at its source, by revision; it must not write a redacted value anywhere.
func Redact(f Fact) Fact {
	if f == nil {
		return nil
	}
	v, changed := redactValue(reflect.ValueOf(f))
	if !changed {
		return f
	}
	r, _ := reflect.TypeAssert[Fact](v) // v has the type of f
	return r
}

var (
	typeString   = reflect.TypeFor[string]()
	typeRaw      = reflect.TypeFor[json.RawMessage]()
	typeKeyValue = reflect.TypeFor[KeyValue]()
	typeTags     = reflect.TypeFor[Tags]()
	typePending  = reflect.TypeFor[PendingParam]()
)

// redactValue walks a fact by reflection, so that a field added later cannot be forgotten. A value without secrets is
// returned as it is and costs no allocation.
func redactValue(v reflect.Value) (reflect.Value, bool) {
	switch v.Type() {
	case typeRaw:
		return replaced(v, string(v.Bytes()), redactRaw)
	case typeKeyValue:
		return redactKeyValue(v)
	case typePending:
		return redactPending(v)
	case typeTags:
		return redactTags(v)
	case typeString: // named string types are enumerations of our own
		return replaced(v, v.String(), redactText)
	}
	switch v.Kind() {
	case reflect.Struct:
		return redactStruct(v)
	case reflect.Slice:
		return redactSlice(v)
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		e, changed := redactValue(v.Elem())
		if !changed {
			return v, false
		}
		p := reflect.New(e.Type())
		p.Elem().Set(e)
		return p, true
	}
	return v, false
}

func replaced(v reflect.Value, text string, redact func(string) string) (reflect.Value, bool) {
	r := redact(text)
	if r == text {
		return v, false
	}
	return reflect.ValueOf(r).Convert(v.Type()), true
}

func redactStruct(v reflect.Value) (reflect.Value, bool) {
	var c reflect.Value
	for i := range v.NumField() {
		f, changed := redactValue(v.Field(i))
		if !changed {
			continue
		}
		if !c.IsValid() {
			c = reflect.New(v.Type()).Elem()
			c.Set(v)
		}
		c.Field(i).Set(f)
	}
	if !c.IsValid() {
		return v, false
	}
	return c, true
}

func redactSlice(v reflect.Value) (reflect.Value, bool) {
	var c reflect.Value
	for i := range v.Len() {
		e, changed := redactValue(v.Index(i))
		if !changed {
			continue
		}
		if !c.IsValid() {
			c = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(c, v)
		}
		c.Index(i).Set(e)
	}
	if !c.IsValid() {
		return v, false
	}
	return c, true
}

func redactKeyValue(v reflect.Value) (reflect.Value, bool) {
	kv, _ := reflect.TypeAssert[KeyValue](v)
	r := KeyValue{redactText(kv.Key), redactKey(kv.Key, kv.Value), kv.Revision}
	return reflect.ValueOf(r), r != kv
}

// redactKey redacts the value of a DCS key. Where the names inside a value are those of members or slots, as in
// failsafe and status, a name says nothing about its value: a member may be called auth-1.
func redactKey(key, value string) string {
	switch key {
	case KeyInitialize, KeyLeader, KeyStatus, KeyOptimeLeader, KeyHistory, KeySync, KeyFailover, KeyFailsafe:
		return redactDocument(value, false)
	}
	return redactDocument(value, true)
}

func redactPending(v reflect.Value) (reflect.Value, bool) {
	p, _ := reflect.TypeAssert[PendingParam](v)
	r := PendingParam{redactText(p.Name), redactNamed(p.Name, p.Old), redactNamed(p.Name, p.New)}
	return reflect.ValueOf(r), r != p
}

func redactNamed(name, value string) string {
	if value != "" && secretName(name) != notSecret {
		return Redacted
	}
	return redactText(value)
}

func redactTags(v reflect.Value) (reflect.Value, bool) {
	t, _ := reflect.TypeAssert[Tags](v)
	from := redactText(t.ReplicateFrom)
	changed := from != t.ReplicateFrom
	t.ReplicateFrom = from
	extra := map[string]any{}
	for name, x := range t.Extra {
		n, y := redactText(name), plainValue(x)
		switch text := y.(type) {
		case string:
			y = redactNamed(name, text)
		case float64:
			if secretName(name) != notSecret {
				y = Redacted
			}
		}
		if n != name || !reflect.DeepEqual(x, y) {
			changed = true
		}
		extra[n] = y
	}
	if !changed {
		return v, false
	}
	if len(t.Extra) > 0 {
		t.Extra = extra
	}
	return reflect.ValueOf(t), true
}

// plainValue is what a value is after encoding and decoding; one that cannot be encoded becomes text.
func plainValue(x any) any {
	switch x.(type) {
	case nil, bool, string:
		return x
	}
	b, err := json.Marshal(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	y, err := decode[any](b)
	if err != nil {
		return fmt.Sprint(x)
	}
	return y
}

// redactRaw redacts a JSON document and writes it as the codec would. What is no JSON becomes a JSON text that says so:
// for whoever wants an object, both are the same mistake.
func redactRaw(doc string) string {
	if doc == "" {
		return doc
	}
	b, err := json.Marshal(json.RawMessage(redactDocument(doc, true)))
	if err != nil {
		return `"(not JSON)"`
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
