package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// minimal is the least that an agent's configuration holds.
const minimal = `
name: n1
scope: demo
restapi: {listen: 10.0.0.1:8008}
etcd3: {host: 10.0.0.9}
postgresql:
  listen: 10.0.0.1:5432
  data_dir: /nonexistent/data
  authentication: {superuser: {username: postgres}, replication: {username: rep, password: r}}
`

func loadText(t *testing.T, text string, environ ...string) (*Config, []Warning, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "regent.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(file, environ, true)
}

func mustLoad(t *testing.T, text string, environ ...string) (*Config, []Warning) {
	t.Helper()
	c, w, err := loadText(t, text, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return c, w
}

func warningFor(warnings []Warning, field string) string {
	for _, w := range warnings {
		if w.Field == field {
			return w.Text
		}
	}
	return ""
}

func TestPatroniSample(t *testing.T) {
	c, warnings, err := load("testdata/patroni0.yml", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 0 {
		t.Errorf("warnings for a plain file: %v", warnings)
	}
	if c.Scope != "batman" || c.Namespace != "service" || c.Name != "postgresql0" || c.Store() != "etcd3" {
		t.Errorf("identity: %q %q %q %q", c.Scope, c.Namespace, c.Name, c.Store())
	}
	if want := []string{"http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"}; !reflect.DeepEqual(c.Etcd3.Endpoints,
		want) {
		t.Errorf("endpoints: %v", c.Etcd3.Endpoints)
	}
	wantParameters := map[string]string{
		"archive_mode": "on", "archive_command": "mkdir -p ../wal && cp %p ../wal/%f", "unix_socket_directories": "..",
		"shared_buffers": "2GB", "work_mem": "4096", "random_page_cost": "1.1", "log_file_mode": "416", "fsync": "off", "jit": "no",
	}
	if !reflect.DeepEqual(c.Postgresql.Parameters, wantParameters) {
		t.Errorf("parameters: %v", c.Postgresql.Parameters)
	}
	wantDCS := `{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":1048576,"postgresql":{"use_pg_rewind":true,` +
		`"pg_hba":["host replication replicator 127.0.0.1/32 md5","host all all 0.0.0.0/0 md5"],` +
		`"parameters":{"wal_log_hints":"on","hot_standby":true,"max_connections":100}}}`
	if string(c.Bootstrap.DCS) != wantDCS {
		t.Errorf("bootstrap.dcs:\n%s\nwant\n%s", c.Bootstrap.DCS, wantDCS)
	}
	if want := []string{"--encoding=UTF8", "--data-checksums"}; !reflect.DeepEqual(c.Bootstrap.Initdb, want) {
		t.Errorf("initdb: %v", c.Bootstrap.Initdb)
	}
	if want := []string{"--max-rate=100M", "--checkpoint=fast", "--verbose"}; !reflect.DeepEqual(c.Postgresql.Basebackup, want) {
		t.Errorf("basebackup: %v", c.Postgresql.Basebackup)
	}
	if !c.Tags.CloneFrom || c.Tags.NoLoadBalance || c.Tags.Priority() != 2 || c.Tags.Extra["dc"] != "east" || c.Tags.Extra["rack"] != 7.0 {
		t.Errorf("tags: %+v", c.Tags)
	}
	if c.Postgresql.Rewind.Username != "rewind_user" || c.Postgresql.Superuser.Password.Reveal() != "s3cret-su" {
		t.Errorf("users: %+v", c.Postgresql)
	}
	m := c.MemberConfig()
	if m.APIURL != "http://127.0.0.1:8008/patroni" || m.ConnURL != "postgres://10.0.0.7:5432/postgres" || !m.CanBootstrap ||
		m.GuardPolicy != "preferred" {
		t.Errorf("member: %+v", m)
	}
	if c.Ctl.Authentication.Username != "admin" {
		t.Errorf("ctl takes the REST API's credentials: %+v", c.Ctl)
	}
}

func TestRedactedShowsNoSecret(t *testing.T) {
	c, _ := mustLoad(t, minimal+`
nats: ~
ctl: {authentication: {username: a, password: hunter2}}
tags: {note: "primary_conninfo = host=a password=hunter2 user=x"}
`, "PATRONI_ETCD3_URL=http://root:hunter2@h:2379", "PATRONI_SUPERUSER_PASSWORD=hunter2")
	for name, text := range map[string]string{"Redacted": string(c.Redacted()), "String": c.String(),
		"password": c.Etcd3.Password.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows a secret:\n%s", name, text)
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%s hides nothing:\n%s", name, text)
		}
	}
	if c.Etcd3.Password.Reveal() != "hunter2" || c.Postgresql.Superuser.Password.Reveal() != "hunter2" || c.Etcd3.Username != "root" {
		t.Errorf("the secrets are lost: %+v", c.Etcd3)
	}
	again, _, err := loadText(t, string(c.Redacted()))
	if err != nil || again.Name != c.Name {
		t.Errorf("the redacted document cannot be read again: %v", err)
	}
}

func TestUnknownAndUnsupportedKeysAreWarnedOf(t *testing.T) {
	_, warnings := mustLoad(t, minimal+`
postgresq: {}
log: {levle: INFO, dateformat: x}
citus: {group: 0, database: x}
ttl: 30
tags: {nofailover: true, failover_priority: 1}
watchdog: {mode: auto}
thread_pool_size: 5
bootstrap:
  dcs: {ttl: 30, synchronous_mode_strick: true, failsafe_mode: on, postgresql: {paramters: {}}}
`, "PATRONI_POSTGRESQL_DATADIR=/x", "PATRONI_CONSUL_HOST=h")
	for field, part := range map[string]string{
		"postgresq":        "did you mean postgresql?",
		"log.levle":        "did you mean log.level?",
		"log.dateformat":   "does not support",
		"watchdog":         "guard process",
		"citus":            "does not support",
		"ttl":              "dynamic configuration",
		"thread_pool_size": "has no effect",
		"tags.nofailover": "Conflicting configuration between nofailover: True and failover_priority: 1. " +
			"Defaulting to nofailover: True",
		"bootstrap.dcs.failsafe_mode":           "does not support",
		"bootstrap.dcs.synchronous_mode_strick": "did you mean synchronous_mode_strict?",
		"bootstrap.dcs.postgresql.paramters":    "did you mean postgresql.parameters?",
		"PATRONI_POSTGRESQL_DATADIR":            "did you mean PATRONI_POSTGRESQL_DATA_DIR?",
		"PATRONI_CONSUL_HOST":                   "does not support",
	} {
		if got := warningFor(warnings, field); !strings.Contains(got, part) {
			t.Errorf("%s: warned %q, want %q in it", field, got, part)
		}
	}
}

func TestControlledParametersAreDroppedLoudly(t *testing.T) {
	c, warnings := mustLoad(t, minimal+"  parameters: {max_connections: 200, Port: 5433, work_mem: 8MB}\n")
	if want := map[string]string{"work_mem": "8MB"}; !reflect.DeepEqual(c.Postgresql.Parameters, want) {
		t.Errorf("parameters: %v", c.Postgresql.Parameters)
	}
	if got := warningFor(warnings, "postgresql.parameters.max_connections"); !strings.Contains(got,
		"regent edit-config -p max_connections=") {
		t.Errorf("warned %q", got)
	}
	if got := warningFor(warnings, "postgresql.parameters.Port"); !strings.Contains(got, "postgresql.listen") {
		t.Errorf("warned %q", got)
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"log: {level: LOUD}", `log.level = "LOUD"`},
		{"log: 5", `log = 5`},
		{"restapi: {listen: nowhere, allowlist_include_members: maybe}", `restapi.allowlist_include_members = "maybe"`},
		{"restapi: {listen: 'h:70000'}", `restapi.listen = "h:70000"`},
		{"restapi: {listen: 'h:1', allowlist: {a: b}}", `restapi.allowlist = {…}`},
		{"restapi: {listen: 'h:1', authentication: {username: a}}", `restapi.authentication: want both`},
		{"restapi: {listen: 'h:1', verify_client: perhaps}", `restapi.verify_client = "perhaps"`},
		{"name: on", `name = on`},
		{"name: a/b", `name = "a/b"`},
		{"watchdog: {mode: required}", `set off, and regent.guard: required`},
		{"watchdog: {mode: sometimes}", `watchdog.mode = "sometimes"`},
		{"watchdog: {safety_margin: -2}", `watchdog.safety_margin = -2`},
		{"regent: {guard: always}", `regent.guard = "always"`},
		{"regent: {event_log: {segment_size: 5 parsecs}}", `regent.event_log.segment_size = "5 parsecs"`},
		{"regent: {event_log: {segment_size: 1GB, max_size: 1GB}}", `regent.event_log.max_size = "1GB"`},
		{"tags: {nofailover: perhaps}", `tags.nofailover = "perhaps"`},
		{"tags: {failover_priority: high}", `tags.failover_priority = "high"`},
		{"tags: {dc: [a]}", `tags.dc = […]`},
		{"etcd3: {hosts: [a b c:1:x]}", `etcd3.hosts = […]`},
		{"etcd3: {url: 'ftp://x'}", `etcd3.url = "ftp://x"`},
		{"etcd3: {url: 'http://x', cert: /c}", `etcd3.cert = "/c"`},
		{"etcd: {host: x}", `rename the section to etcd3`},
		{"consul: {host: x}", `use one of the sections etcd3, embedded, nats`},
		{"nats: {servers: [a]}", `there are 2 stores (etcd3, nats)`},
		{"bootstrap: {dcs: {ttl: abc}}", `bootstrap.dcs.ttl = "abc"`},
		{"bootstrap: {dcs: {postgresql: {parameters: {max_connections: 3}}}}", `bootstrap.dcs.postgresql.parameters.max_connections = 3`},
		{"bootstrap: {initdb: [{pgdata: /x}]}", `bootstrap.initdb.pgdata`},
		{"bootstrap: {initdb: [{a: 1, b: 2}]}", `bootstrap.initdb[0]`},
		{"bootstrap: {method: wal_e}", `bootstrap.method = "wal_e"`},
	} {
		t.Run(test.yaml, func(t *testing.T) {
			key, _, _ := strings.Cut(test.yaml, ":")
			lines := strings.Split(minimal, "\n")
			for i, l := range lines {
				if strings.HasPrefix(l, key+":") {
					lines[i] = "" // the test's own line instead
				}
			}
			_, _, err := loadText(t, strings.Join(lines, "\n")+"\n"+test.yaml+"\n")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error:\n%v\nwant in it: %s", err, test.want)
			}
		})
	}
}

func TestAllErrorsAreCollected(t *testing.T) {
	_, _, err := loadText(t, "log: {level: LOUD}\nregent: {guard: x}\npostgresql: {pg_ctl_timeout: soon, authentication: {superuser: "+
		"{password: [hunter2]}}}\n")
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("%T %v", err, err)
	}
	for _, want := range []string{"log.level", "regent.guard", "postgresql.pg_ctl_timeout", "name: is not set", "scope: is not set",
		"restapi.listen: is not set", "postgresql.data_dir: is not set", "no store is configured", "superuser.password = ***"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
	var field *FieldError
	if !errors.As(err, &field) || field.Field == "" || field.Remedy == "" {
		t.Errorf("no field error: %#v", field)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an error shows a secret: %v", err)
	}
}

func TestDirectoryIsMergedInOrder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"00-base.yml": minimal, "10-more.yaml": "name: n2\nlog: {level: debug}\ntags: {dc: a}\n",
		"20-less.yml": "tags: ~\npostgresql: {listen: '*:5433'}\n", "ignored.conf": "name: wrong\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := load(dir, []string{"PATRONI_SCOPE=fromenv", "PATRONI_NAME="}, true)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "n2" || c.Scope != "fromenv" || c.Log.Level != "DEBUG" || c.Tags.Extra != nil ||
		c.Postgresql.Listen != "*:5433" || c.Postgresql.ConnectAddress != "localhost:5433" || c.Postgresql.DataDir == "" {
		t.Errorf("merged: %s", c)
	}
	if len(c.Sources) != 4 || c.Sources[3] != "environment" {
		t.Errorf("sources: %v", c.Sources)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	environ := []string{"PATRONI_NAME=n1", "PATRONI_SCOPE=demo", "PATRONI_RESTAPI_LISTEN=h:8008", "PATRONI_ETCD3_HOSTS='a:1','b:2'",
		"PATRONI_POSTGRESQL_LISTEN=h:5432", "PATRONI_POSTGRESQL_DATA_DIR=/d", "PATRONI_SUPERUSER_USERNAME=su",
		"PATRONI_REPLICATION_USERNAME=re",
		"PATRONI_RESTAPI_HTTP_EXTRA_HEADERS=X-A: b", "HOME=/root"}
	c, warnings, err := load("", environ, true)
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v %v", err, warnings)
	}
	if want := []string{"http://a:1", "http://b:2"}; !reflect.DeepEqual(c.Etcd3.Endpoints, want) ||
		c.RestAPI.HTTPExtraHeaders["X-A"] != "b" {
		t.Errorf("%+v %+v", c.Etcd3, c.RestAPI)
	}
	if kept := WithoutSecrets(environ); !reflect.DeepEqual(kept, []string{"HOME=/root"}) {
		t.Errorf("kept %v", kept)
	}
	if _, _, err := load("", []string{"PATRONI_CONFIGURATION=" + minimal, "PATRONI_NAME=other"}, true); err != nil {
		t.Error(err)
	}
	if _, _, err := load("", nil, true); err == nil || !strings.Contains(err.Error(), "no configuration") {
		t.Errorf("nothing at all: %v", err)
	}
	if _, _, err := load("/nonexistent.yml", environ, true); err == nil {
		t.Error("a mistyped path must be an error")
	}
}

func TestEmbeddedStore(t *testing.T) {
	text := strings.Replace(minimal, "etcd3: {host: 10.0.0.9}", `embedded:
  data_dir: /d
  listen_client: 10.0.0.1:2379
  members: {n3: 10.0.0.3, n1: 10.0.0.1:2380, n2: {peer: 10.0.0.2:2380, client: 10.0.0.2:4379}}`, 1)
	c, _ := mustLoad(t, text)
	if got := strings.Join(c.Embedded.ClientURLs(), " "); got != "http://10.0.0.1:2379 http://10.0.0.2:4379 http://10.0.0.3:2379" {
		t.Errorf("client URLs: %s", got)
	}
	if c.Embedded.ListenPeer != "10.0.0.1:2380" || c.Embedded.PeerURLs()["n3"] != "http://10.0.0.3:2380" || c.Store() != "embedded" {
		t.Errorf("%+v", c.Embedded)
	}
	_, _, err := loadText(t, strings.Replace(text, "n1: 10.0.0.1:2380, ", "", 1))
	if err == nil || !strings.Contains(err.Error(), "this member (n1) is not among them") {
		t.Errorf("error: %v", err)
	}
	c, _ = mustLoad(t, strings.Replace(minimal, "etcd3: {host: 10.0.0.9}",
		"embedded: {data_dir: /d, initial_cluster: 'n1=http://a:1,n2=http://b:2'}", 1))
	if len(c.Embedded.Members) != 2 || c.Embedded.Members[1].Peer != "b:2" {
		t.Errorf("%+v", c.Embedded)
	}
}

func TestScalarsOfYAML11(t *testing.T) {
	for text, want := range map[string]string{
		"on": "on", "Yes": "on", "TRUE": "on", "no": "off", "Off": "off", "0640": "416", "0x10": "16", "1_000": "1000", "1:30": "90",
		"1.50": "1.50", "08": "08", "2GB": "2GB", "-1": "-1", "1e3": "1e3", "+5": "5", "y": "y", "0": "0", "0b11": "3",
	} {
		if got := scalar(text).parameterText(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if scalar("~").kind != kindNull || scalar("").kind != kindNull {
		t.Error("null")
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "300 ms": 300 * time.Millisecond, "5min": 5 * time.Minute,
		"1h": time.Hour, "2d": 48 * time.Hour, "0x10": 16 * time.Second, "7us": 7 * time.Microsecond,
	} {
		if got, err := ParseDuration(text, time.Second); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]int64{"1024": 1024, "64MB": 64 << 20, "1.5GB": 3 << 29, "8 kB": 8 << 10, "1TB": 1 << 40, "5B": 5,
		"010": 8} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "5 parsecs", "5mb", "inf", "nan", "1e300d", "--5"} {
		if d, err := ParseDuration(text, time.Second); err == nil {
			t.Errorf("time %q: %v", text, d)
		}
		if n, err := ParseSize(text); err == nil {
			t.Errorf("size %q: %v", text, n)
		}
	}
	for _, test := range []struct {
		text, hosts string
		port        int
	}{{"a:1", "a", 1}, {"[::1]:5432", "::1", 5432}, {"a, b:7", "a,b", 7}, {"::1:5432", "::1", 5432}} {
		if hosts, port, err := SplitHostPort(test.text); err != nil || hosts != test.hosts || port != test.port {
			t.Errorf("%s: %q %d %v", test.text, hosts, port, err)
		}
	}
}

func TestYAMLAnchorsAndDuplicates(t *testing.T) {
	c, warnings := mustLoad(t, strings.Replace(minimal, "superuser: {username: postgres}",
		"superuser: &u {username: postgres, sslmode: require}, rewind: {<<: *u, username: rw}", 1)+
		"log: {level: INFO, level: ERROR}\n")
	if c.Postgresql.Rewind.Username != "rw" || c.Postgresql.Rewind.SSLMode != "require" || c.Log.Level != "ERROR" {
		t.Errorf("%+v %+v", c.Postgresql.Rewind, c.Log)
	}
	if got := warningFor(warnings, "level"); !strings.Contains(got, "given twice") {
		t.Errorf("warned %q", got)
	}
	for _, text := range []string{"- a\n- b\n", "a: [\n", "? {a: b}\n: c\n"} {
		if _, _, err := loadText(t, text); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func TestCheckDynamic(t *testing.T) {
	warnings, errs := CheckDynamic([]byte(`{"ttl":"abc","slots":{"a":null},"loop_wiat":5,"postgresql":{"listen":"x",` +
		`"parameters":{"wal_level":"minimal","max_wal_senders":2,"port":1,"work_mem":[1]}}}`))
	var text []string
	for _, e := range errs {
		text = append(text, e.Error())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"ttl", "wal_level", "max_wal_senders", "work_mem"} {
		if !strings.Contains(all, want) {
			t.Errorf("no error for %s in:\n%s", want, all)
		}
	}
	for field, part := range map[string]string{"slots": "does not support", "loop_wiat": "did you mean loop_wait?",
		"postgresql.listen": "each member's own file", "postgresql.parameters.port": "postgresql.listen"} {
		if got := warningFor(warnings, field); !strings.Contains(got, part) {
			t.Errorf("%s: warned %q", field, got)
		}
	}
}

func TestValidateLooksAtTheHost(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(minimal, "/nonexistent/data", dir, 1)
	c, _ := mustLoad(t, text)
	if err := c.Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ = mustLoad(t, strings.Replace(text, "10.0.0.1:8008", "localhost:8008, certfile: /no/cert", 1)+"  bin_dir: /nowhere\n")
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"restapi.connect_address", "restapi.certfile = /no/cert", "postgresql.data_dir", "initdb is not there"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestNewestBinDir(t *testing.T) {
	root := t.TempDir()
	for _, v := range []string{"9.6", "13", "15", "17", "doc"} {
		bin := filepath.Join(root, v, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if v == "17" { // a client package: no server
			continue
		}
		if err := os.WriteFile(filepath.Join(bin, "postgres"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := newestBinDirBelow(root); got != filepath.Join(root, "15", "bin") {
		t.Errorf("%s", got)
	}
}
