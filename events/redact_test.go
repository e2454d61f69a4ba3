package events

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestRedactText(t *testing.T) {
	same := []string{
		"", "no secrets here", "postgres://n1:5432/postgres", "postgres://rep@n1/x", "http://n1:8008/patroni", "a@b.example",
		`FATAL: password authentication failed for user "rep"`, "etcdserver: invalid auth token", "password_encryption = scram-sha-256",
		"host all all 0.0.0.0/0 scram-sha-256", "the author = me",
	}
	for _, s := range same {
		if got := redactText(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	for s, want := range map[string]string{
		"postgres://rep:hunter2@n1/x":                         "postgres://rep:***@n1/x",
		"postgres://rep:hu@nter2@n1:5/x?a=b":                  "postgres://rep:***@n1:5/x?a=b",
		"https://hunter2@n1/x":                                "https://***@n1/x",
		"dial http://u:hunter2@n1:8008: refused":              "dial http://u:***@n1:8008: refused",
		"host=n1 password=hunter2 user=rep":                   "host=n1 password=*** user=rep",
		"host=n1 password = 'hunter\\'2 x' user=rep":          "host=n1 password = *** user=rep",
		"sslpassword=hunter2":                                 "sslpassword=***",
		`host all all all ldap ldapbindpasswd="hunter 2" x=1`: `host all all all ldap ldapbindpasswd=*** x=1`,
		"AWS_SECRET_ACCESS_KEY=hunter2 wal-g push %p":         "AWS_SECRET_ACCESS_KEY=*** wal-g push %p",
		"PGPASSWORD='hunter2' pg_basebackup":                  "PGPASSWORD=*** pg_basebackup",
		"tool --password hunter2 -h n1":                       "tool --password *** -h n1",
		`want object, got {"password": "hunter2", "a": 1`:     `want object, got {"password": "***", "a": 1`,
		`{'password': 'hunter2'}`:                             `{'password': '***'}`,
		"password: hunter2":                                   "password: ***",
		"Authorization: Basic aHVudGVyMg==":                   "Authorization: Basic ***",
		"Bearer hunter2hunter2":                               "Bearer ***",
		"bad \xff byte":                                       "bad \uFFFD byte",
	} {
		if got := redactText(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}

func TestRedactKeys(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{KeyConfig, `{ "ttl" : 30,"postgresql":{"parameters":{"ssl_passphrase_command":"echo hunter2","password_encryption":"md5"}}}`,
			`{ "ttl" : 30,"postgresql":{"parameters":{"ssl_passphrase_command":"***","password_encryption":"md5"}}}`},
		{KeyConfig, `{"standby_cluster":{"primary_conninfo":"host=a password=hunter2"},"big":12345678901234567890.10}`,
			`{"standby_cluster":{"primary_conninfo":"host=a password=***"},"big":12345678901234567890.10}`},
		{KeyConfig, `{"postgresql":{"authentication":{"superuser":{"username":"postgres","password":"hunter2"}}}}`,
			`{"postgresql":{"authentication":{"superuser":{"username":"postgres","password":"***"}}}}`},
		{KeyConfig, `{"tokens":["hunter2",17,true,null,{"a":"hunter2","b":[["hunter2"]]}],"x":["a"]}`,
			`{"tokens":["***","***",true,null,{"a":"***","b":[["***"]]}],"x":["a"]}`},
		{KeyConfig, `{"slots":{"auth_token":{"type":"physical","password":"hunter2"}},"token":""}`,
			`{"slots":{"auth_token":{"type":"physical","password":"***"}},"token":""}`},
		{KeyConfig, `{"p\u0061ssword":"hunter2"}`, `{"p\u0061ssword":"***"}`},
		{KeyConfig, `{"pg_hba":["host all all all radius radiussecrets=hunter2"]}`, `{"pg_hba":["host all all all radius radiussecrets=***"]}`},
		{KeyConfig, `{"password":"hunter2"`, `{"password":"***"`},
		{"members/n1", `{"pending_restart_reason":{"ssl_passphrase_command":{"old_value":"hunter2","new_value":"hunter2x"}}}`,
			`{"pending_restart_reason":{"ssl_passphrase_command":{"old_value":"***","new_value":"***"}}}`},
		{"members/n1", `{"conn_url":"postgres://u:hunter2@n1/x"}`, `{"conn_url":"postgres://u:***@n1/x"}`},
		{"members/n1", `postgres://u:hunter2@n1:5/x?application_name=http://n1:8008/patroni`,
			`postgres://u:***@n1:5/x?application_name=http://n1:8008/patroni`},
		// names of members and slots are no names of secrets
		{KeyFailsafe, `{"auth-1":"http://a:8008/x","secret":"http://u:hunter2@b"}`, `{"auth-1":"http://a:8008/x","secret":"http://u:***@b"}`},
		{KeyStatus, `{"optime":5,"slots":{"token_db":77,"secret":78},"retain_slots":["auth"]}`,
			`{"optime":5,"slots":{"token_db":77,"secret":78},"retain_slots":["auth"]}`},
		{KeyLeader, "auth-1", "auth-1"},
		{KeySync, `{"leader":"token","sync_standby":"auth,secret"}`, `{"leader":"token","sync_standby":"auth,secret"}`},
	} {
		got := Redact(DCSChange{KeyValue: KeyValue{tt.key, tt.value, 4}}).(DCSChange)
		if got.Value != tt.want || got.Revision != 4 {
			t.Errorf("%s = %s\nbecame %s\nwant   %s", tt.key, tt.value, got.Value, tt.want)
		}
	}
}

func TestRedactFacts(t *testing.T) {
	before := DCSSnapshot{Revision: 3, Keys: []KeyValue{{KeyConfig, `{"password":"hunter2"}`, 1}, {KeyLeader, "n1", 2}}}
	after := Redact(before).(DCSSnapshot)
	if before.Keys[0].Value != `{"password":"hunter2"}` || after.Keys[0].Value != `{"password":"***"}` || after.Keys[1] != before.Keys[1] {
		t.Errorf("%+v became %+v", before, after)
	}
	p := PostgresObserved{Observation{Server: Server{PendingRestart: []PendingParam{
		{"ssl_passphrase_command", "", "hunter2"}, {"primary_conninfo", "password=hunter2", "host=a"}, {"work_mem", "1", "2"}}}}}
	want := []PendingParam{{"ssl_passphrase_command", "", "***"}, {"primary_conninfo", "password=***", "host=a"}, {"work_mem", "1", "2"}}
	if got := Redact(p).(PostgresObserved).Observation.Server.PendingRestart; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	o := OperatorAsked{OperatorRequest{Verb: AskReload, Local: json.RawMessage(` { "password" : "hunter2", "x":"<" } `),
		Member: &MemberConfig{Bootstrap: json.RawMessage(`{"ttl"`), Tags: Tags{Extra: map[string]any{"api_token": "hunter2", "n": 5, "pin_secret": 5.0}}}}}
	got := Redact(o).(OperatorAsked).Request
	if string(got.Local) != `{"password":"***","x":"\u003c"}` || string(got.Member.Bootstrap) != `"(not JSON)"` ||
		!reflect.DeepEqual(got.Member.Tags.Extra, map[string]any{"api_token": "***", "n": 5.0, "pin_secret": "***"}) {
		t.Errorf("got %+v %+v", got, got.Member)
	}
	if string(o.Request.Member.Bootstrap) != `{"ttl"` || o.Request.Member.Tags.Extra["n"] != 5 {
		t.Error("the fact that was given was modified")
	}
	if Redact(nil) != nil {
		t.Error("Redact(nil) is something")
	}
}

// No text of any fact reaches the log with a secret in it, and the engine consumes exactly what is recorded.
func TestRedactedFactsRoundTrip(t *testing.T) {
	texts := map[string]func(int) string{
		"conninfo": func(int) string { return "host=n1 password=hunter2" },
		"url":      func(int) string { return "postgres://u:hunter2@n1/x" },
		"json":     func(int) string { return `{"password":"hunter2","ok":[1,{"secret":["hunter2"]}]}` },
		"bytes":    func(int) string { return "a\xff\xfe\u2028<\x00>" },
	}
	for name, text := range texts {
		for _, fact := range facts(t, text) {
			r := Redact(fact)
			b, err := json.Marshal(Input{Fact: r})
			if err != nil {
				t.Errorf("%s, %s: %v", name, fact.FactKind(), err)
				continue
			}
			// named string types are enumerations of ours; the filler does not know
			var back Input
			if err := json.Unmarshal(b, &back); err != nil {
				t.Errorf("%s, %s: %v", name, fact.FactKind(), err)
			}
			if name != "bytes" && strings.Contains(dropEnums(t, r), "hunter2") {
				t.Errorf("%s, %s: %s", name, fact.FactKind(), b)
			}
			if name == "bytes" && !reflect.DeepEqual(withoutEnums(back.Fact), withoutEnums(r)) {
				t.Errorf("%s, %s:\n%+v came back as\n%+v", name, fact.FactKind(), r, back.Fact)
			}
			if again := Redact(r); !reflect.DeepEqual(again, r) {
				t.Errorf("%s, %s: redacted again\n%+v became\n%+v", name, fact.FactKind(), r, again)
			}
		}
	}
}

func dropEnums(t *testing.T, f Fact) string {
	t.Helper()
	b, err := json.Marshal(withoutEnums(f))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// withoutEnums is a copy of the fact in which all values of named string types are empty.
func withoutEnums(f Fact) any {
	c := reflect.New(reflect.TypeOf(f)).Elem()
	c.Set(reflect.ValueOf(f))
	var empty func(v reflect.Value)
	empty = func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.String && v.Type() != typeString:
			v.SetString("")
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				empty(v.Field(i))
			}
		case v.Kind() == reflect.Pointer && !v.IsNil():
			empty(v.Elem())
		case v.Kind() == reflect.Slice && v.Type() != typeRaw:
			for i := range v.Len() {
				empty(v.Index(i))
			}
		}
	}
	empty(c)
	return c.Interface()
}

// What the engine reads of a configuration or a view is not secret by name: redaction cannot change a decision.
func TestRedactionChangesNoDecision(t *testing.T) {
	for field := range settingNames {
		if secretName(field) != notSecret {
			t.Errorf("%s counts as a secret", field)
		}
	}
	types := []reflect.Type{reflect.TypeFor[MemberRecord](), typeTags, reflect.TypeFor[StatusRecord](), reflect.TypeFor[ScheduledRestart]()}
	for _, typ := range types {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if secretName(name) != notSecret {
				t.Errorf("%s counts as a secret", name)
			}
		}
	}
	doc := json.RawMessage(`{"ttl":44,"pause":true,"password":"a@b","postgresql":{"use_slots":false,"parameters":{"primary_conninfo":"password=x"}}}`)
	s, _ := ParseSettings(doc, DefaultSettings())
	r, _ := ParseSettings(json.RawMessage(redactRaw(string(doc))), DefaultSettings())
	if s != r {
		t.Errorf("%+v became %+v", s, r)
	}
}

func TestRedactCostsNothingWithoutSecrets(t *testing.T) {
	var f Fact = PostgresObserved{Observation{Data: DataPresent, Server: Server{Walsenders: []Walsender{{User: "rep", ApplicationName: "n2"}}},
		Control: Control{State: "in production"}}}
	if n := testing.AllocsPerRun(100, func() { f = Redact(f) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRedact(b *testing.B) {
	walsenders := []Walsender{{User: "rep", ApplicationName: "n2", State: "streaming"}}
	member := `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni",` +
		`"state":"running","role":"replica","version":"4.1.4","xlog_location":123456789}`
	for name, f := range map[string]Fact{
		"observed": PostgresObserved{Observation{Data: DataPresent, Server: Server{Walsenders: walsenders}}},
		"member":   DCSChange{KeyValue: KeyValue{"members/n1", member, 7}},
		"config":   DCSChange{KeyValue: KeyValue{"config", `{"ttl":30,"postgresql":{"parameters":{"primary_conninfo":"host=a password=x"}}}`, 7}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Redact(f)
			}
		})
	}
}

func FuzzRedactKey(f *testing.F) {
	seeds := []string{
		`{"password":"hunter2"}`, "host=a password='x\\' y", `{"a":["postgres://u:p@h"]}`, "--token x --password=y", "\xff", `"\ud800"`,
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := redactKey(KeyConfig, s)
		if json.Valid([]byte(s)) && !json.Valid([]byte(once)) {
			t.Errorf("%q became %q, which is no JSON", s, once)
		}
		in := Redact(DCSChange{KeyValue: KeyValue{KeyConfig, s, 1}})
		b, err := json.Marshal(Input{Fact: in})
		if err != nil {
			t.Fatal(err)
		}
		var back Input
		if err := json.Unmarshal(b, &back); err != nil || back.Fact != in {
			t.Errorf("%+v came back as %+v (%v)", in, back.Fact, err)
		}
	})
}
