package events

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

// filler sets every field of a value to something that is not zero, and differs from field to field.
type filler struct {
	n    int
	text func(n int) string
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch v.Type() {
	case typeRaw:
		v.SetBytes(fmt.Appendf(nil, `{"k%d":[1,"<&>"]}`, f.n))
		var err error
		b, err := json.Marshal(json.RawMessage(v.Bytes()))
		if err != nil {
			panic(err)
		}
		v.SetBytes(b)
		return
	case typeTags:
		prio := f.n
		v.Set(reflect.ValueOf(Tags{NoFailover: true, FailoverPriority: &prio, SyncPriority: &prio, ReplicateFrom: f.text(f.n),
			Extra: map[string]any{"zone": f.text(f.n + 1), "size": 2.5, "big": true}}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text(f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n) << 33)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1<<31 + uint64(f.n))
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	default:
		panic("the filler does not know " + v.Type().String())
	}
}

func filled[T any](zero T, text func(int) string) T {
	v := reflect.New(reflect.TypeOf(zero)).Elem()
	(&filler{text: text}).fill(v)
	return v.Interface().(T)
}

func plainText(n int) string { return fmt.Sprintf("text %d é <&>", n) }

// facts are a filled and an empty one of every kind that the codec knows.
func facts(t *testing.T, text func(int) string) (all []Fact) {
	t.Helper()
	for kind, decoder := range factDecoders {
		zero, err := decoder([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if zero.FactKind() != kind {
			t.Errorf("the decoder of %q makes a %q", kind, zero.FactKind())
		}
		all = append(all, zero, filled(zero, text))
	}
	return all
}

func TestInputsRoundTrip(t *testing.T) {
	for _, fact := range facts(t, plainText) {
		in := Input{Seq: 1<<63 + 1, At: 1<<62 + 1, Wall: 1<<62 + 3, Fact: fact}
		roundTrip(t, in)
	}
}

func TestDecisionsRoundTrip(t *testing.T) {
	d := Decision{Input: 1<<63 + 1, From: "a", To: "b", Rule: "FO-20", Why: "w <&>", Fired: []Fired{{"FO-20", "w"}},
		Refusals: []Refusal{{"FO-30", "n2", "too far behind"}}, Broken: []string{"I1"}, WakeAt: 1 << 60, StateHash: 1<<63 + 5}
	for kind, decoder := range actionDecoders {
		zero, err := decoder([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if zero.ActionKind() != kind {
			t.Errorf("the decoder of %q makes a %q", kind, zero.ActionKind())
		}
		if _, isConfig := zero.(ApplyConfig); !isConfig { // its document must be one
			d.Effects = append(d.Effects, Effect{Action: zero})
		}
		d.Effects = append(d.Effects, Effect{ID: 1<<63 + 9, Epoch: 2, Revision: 3, Deadline: 4, Action: filled(zero, plainText)})
	}
	roundTrip(t, d)
	roundTrip(t, Decision{})
}

func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Errorf("%+v: %v", v, err)
		return
	}
	var back T
	if err := json.Unmarshal(b, &back); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	if !reflect.DeepEqual(v, back) {
		t.Errorf("%+v\ncame back as\n%+v", v, back)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != string(b) {
		t.Errorf("%s\nwas encoded again as\n%s (%v)", b, again, err)
	}
}

// A fact or an action that the codec does not know would be written and never read again.
func TestTheCodecKnowsEveryKind(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	decoded := map[string]bool{}
	for _, d := range factDecoders {
		f, err := d([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		decoded["FactKind "+reflect.TypeOf(f).Name()] = true
	}
	for _, d := range actionDecoders {
		a, err := d([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		decoded["ActionKind "+reflect.TypeOf(a).Name()] = true
	}
	found := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != "FactKind" && fn.Name.Name != "ActionKind" {
				continue
			}
			found++
			name, ok := fn.Recv.List[0].Type.(*ast.Ident)
			if !ok || !decoded[fn.Name.Name+" "+name.Name] {
				t.Errorf("%s.%s: no decoder makes it", name, fn.Name.Name)
			}
		}
	}
	if found != len(decoded) || found < 40 {
		t.Errorf("%d kinds declared, %d decoded", found, len(decoded))
	}
}

func TestCodecErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"seq":7,"kind":"from_the_future","fact":{}}`, `decode input 7: unknown kind of input "from_the_future": written by a newer version?`},
		{`{"seq":7,"kind":"timer","fact":[]}`, "decode input 7: "},
		{`{"seq":"x"}`, "decode input: "},
	} {
		var in Input
		if err := json.Unmarshal([]byte(tt.text), &in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{`{"id":7,"kind":"reboot","action":{}}`, `decode effect 7: unknown action "reboot"`},
		{`{"id":7,"kind":"promote","action":1}`, "decode effect 7: "},
		{`[]`, "decode effect: "},
	} {
		var e Effect
		if err := json.Unmarshal([]byte(tt.text), &e); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
	if _, err := json.Marshal(Input{Seq: 3}); err == nil || !strings.Contains(err.Error(), "encode input 3") {
		t.Errorf("an input without a fact: %v", err)
	}
	if _, err := json.Marshal(Effect{ID: 3}); err == nil || !strings.Contains(err.Error(), "encode effect 3") {
		t.Errorf("an effect without an action: %v", err)
	}
}
