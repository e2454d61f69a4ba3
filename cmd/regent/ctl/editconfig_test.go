package ctl

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestEditConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "change.yaml")
	if err := os.WriteFile(file, []byte("loop_wait: ~\nttl: '30'\npostgresql:\n  use_pg_rewind: on\n  parameters: {work_mem: "+
		"8MB}\nmaster_start_timeout: ~\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		answers string
		o       EditOptions
		want    string // the document afterwards, empty if unchanged
		code    int
		message string
		out     string
	}{
		"set": {
			answers: "y\n", o: EditOptions{Set: []string{"ttl=40", "postgresql.parameters.pg_stat_statements.max=null", "tags.a=[1, on]"}},
			want: `{"loop_wait":1,"postgresql":{"parameters":{"work_mem":"4MB"}},"tags":{"a":[1,true]},"ttl":40}`,
			out: `--- 
+++ 
@@ -1,6 +1,9 @@
 loop_wait: 1
 postgresql:
   parameters:
-    pg_stat_statements.max: 100
     work_mem: 4MB
-ttl: 30
+tags:
+  a:
+  - 1
+  - true
+ttl: 40

Apply these changes? [y/N]: Configuration changed
`,
		},
		"empty parents go": {
			o: EditOptions{Force: true, Quiet: true, Set: []string{"postgresql.parameters.pg_stat_statements.max=null",
				"postgresql.parameters.work_mem=null"}},
			want: `{"loop_wait":1,"ttl":30}`, out: "Configuration changed\n",
		},
		"pg": {
			o: EditOptions{Force: true, Quiet: true, Pg: []string{"max_connections=200", "archive_command=test && cp %p <x>",
				"work_mem = null"}},
			want: `{"loop_wait":1,"postgresql":{"parameters":{"archive_command":"test && cp %p <x>","max_connections":200,` +
				`"pg_stat_statements.max":100}},"ttl":30}`,
		},
		"apply": {
			o:    EditOptions{Force: true, Quiet: true, Apply: file},
			want: `{"postgresql":{"parameters":{"pg_stat_statements.max":100,"work_mem":"8MB"},"use_pg_rewind":true},"ttl":30}`,
		},
		"replace then apply then set": {
			answers: `{"ttl": 50, "loop_wait": 5}`,
			o:       EditOptions{Force: true, Quiet: true, Replace: "-", Apply: file, Set: []string{"retry_timeout=7"}},
			want:    `{"postgresql":{"parameters":{"work_mem":"8MB"},"use_pg_rewind":true},"retry_timeout":7,"ttl":"30"}`,
		},
		"standard input wants force": {answers: "ttl: 60", o: EditOptions{Apply: "-"}, code: ExitFailed,
			out: "Use --force option to apply changes\n"},
		"unchanged": {o: EditOptions{Set: []string{"ttl=30"}}, out: "Not changed\n"},
		"declined": {answers: "n\n", o: EditOptions{Quiet: true, Set: []string{"ttl=60"}},
			out: "Apply these changes? [y/N]: "},
		"no equals sign": {o: EditOptions{Set: []string{"ttl"}}, code: 1, message: "Invalid parameter setting ttl"},
		"refused":        {o: EditOptions{Force: true, Quiet: true, Set: []string{"ttl=abc"}}, code: 1, message: `ttl = "abc"`},
		"refused parameter": {o: EditOptions{Force: true, Quiet: true, Pg: []string{"max_connections=1"}}, code: 1,
			message: "at least 25"},
		"missing file": {o: EditOptions{Apply: filepath.Join(dir, "none")}, code: 1, message: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.answers)
			w.In = strings.NewReader(test.answers)
			before := w.store.keys["config"].Value
			w.wantOutcome(t, w.EditConfig(ctx, test.o), test.code, test.message)
			want := test.want
			if want == "" {
				want = before
			}
			if got := w.store.keys["config"].Value; got != want {
				t.Errorf("document:\n%s\nwant:\n%s", got, want)
			}
			if !strings.HasSuffix(w.out.String(), test.out) {
				t.Errorf("printed:\n%q\nwant:\n%q", w.out.String(), test.out)
			}
		})
	}
}

func TestEditConfigInEditor(t *testing.T) {
	script := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsed -i 's/^ttl: 30/ttl: 60/' \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDITOR", script)
	w := newWorld(t, "y\n")
	w.In = nil
	w.wantOutcome(t, w.EditConfig(ctx, EditOptions{}), 0, "")
	if got := w.store.keys["config"].Value; !strings.Contains(got, `"ttl":60`) {
		t.Errorf("document: %s", got)
	}
}

func TestEditConfigConflictsAndOldMistakes(t *testing.T) {
	w := newWorld(t, "")
	w.Source = &racing{w.Source.(*StoreSource), w.store}
	w.wantOutcome(t, w.EditConfig(ctx, EditOptions{Force: true, Set: []string{"ttl=60"}}), 1,
		"Config modification aborted due to concurrent changes")

	w = newWorld(t, "")
	w.store.set("config", `{"loop_wait":"never"}`)
	w.wantOutcome(t, w.EditConfig(ctx, EditOptions{Force: true, Quiet: true, Set: []string{"ttl=60", "slotz={a: {type: physical}}"}}), 0,
		"")
	if !strings.Contains(w.err.String(), "Warning: slotz: unknown key; it is kept and has no effect; did you mean slots?") {
		t.Errorf("warned: %s", w.err.String())
	}

	w = newWorld(t, "")
	delete(w.store.keys, "config")
	w.wantOutcome(t, w.EditConfig(ctx, EditOptions{}), 1, "The config key does not exist in the cluster demo")
	w.wantOutcome(t, w.ShowConfig(ctx), 0, "")
	if w.out.Len() != 0 {
		t.Errorf("printed %q", w.out.String())
	}
}

// racing is a source in which somebody else is always faster.
type racing struct {
	*StoreSource
	store *fakeStore
}

func (r *racing) Config(c context.Context) (Document, error) {
	doc, err := r.StoreSource.Config(c)
	r.store.set("config", `{"ttl":31}`)
	return doc, err
}

func TestShowConfig(t *testing.T) {
	w := newWorld(t, "")
	w.store.set("config", `{"ttl":30,"maximum_lag_on_failover":1048576,"postgresql":{"parameters":{"wal_level":"on","x":1.5},`+
		`"pg_hba":["host all all all md5"],"use_slots":true}}`)
	w.wantOutcome(t, w.ShowConfig(ctx), 0, "")
	want := "maximum_lag_on_failover: 1048576\npostgresql:\n  parameters:\n    wal_level: \"on\"\n    x: 1.5\n  pg_hba:\n  - host all " +
		"all all md5\n  use_slots: true\nttl: 30\n"
	if got := w.out.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}

func TestPatchAndDifference(t *testing.T) {
	decode := func(text string) map[string]any {
		m, err := decodeDocument([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, test := range []struct{ doc, change, want string }{
		{`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"c":null,"e":4},"x":null}`, `{"a":1,"b":{"d":3,"e":4}}`},
		{`{"a":101}`, `{"a":"101"}`, `{"a":101}`},
		{`{"a":{"b":1}}`, `{"a":5}`, `{"a":5}`},
		{`{"a":5}`, `{"a":{"b":null}}`, `{"a":{"b":null}}`},
		{`{}`, `{"slots":{"s":null}}`, `{"slots":{"s":null}}`},
		{`{"l":[1,2]}`, `{"l":[2]}`, `{"l":[2]}`},
	} {
		doc, want := decode(test.doc), decode(test.want)
		patch(doc, decode(test.change))
		if !reflect.DeepEqual(doc, want) {
			t.Errorf("%s with %s is %v, want %v", test.doc, test.change, doc, want)
		}
		again := decode(test.doc)
		patch(again, difference(decode(test.doc), want))
		if test.doc != `{"a":5}` && !reflect.DeepEqual(again, want) {
			t.Errorf("difference of %s and %s does not lead there: %v", test.doc, test.want, again)
		}
	}
}

func TestUnifiedDiff(t *testing.T) {
	lines := func(n int) []string {
		var l []string
		for i := range n {
			l = append(l, strings.Repeat("x", i%3)+string(rune('a'+i)))
		}
		return l
	}
	before := lines(20)
	after := append([]string(nil), before...)
	after[2], after[17] = "changed", "also"
	got := unifiedDiff(strings.Join(before, "\n"), strings.Join(after, "\n"))
	var heads []string
	for _, l := range got {
		if strings.HasPrefix(l, "@@") {
			heads = append(heads, l)
		}
	}
	if strings.Join(heads, ";") != "@@ -1,6 +1,6 @@;@@ -15,6 +15,6 @@" {
		t.Errorf("hunks: %v", heads)
	}
	if unifiedDiff("a", "a") != nil {
		t.Error("equal texts differ")
	}
	if got := strings.Join(unifiedDiff("a", "a\nb"), "|"); got != "--- |+++ |@@ -1 +1,2 @@| a|+b" {
		t.Errorf("%s", got)
	}
}
