package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/config"
)

func configDoc(secret string) string {
	return fmt.Sprintf(`{"postgresql":{"parameters":{"work_mem":"4MB"},"pg_hba":["host all all all ldap ldapbindpasswd=%s"]},"ttl":30}`, secret)
}

func configKey(revision uint64, secret string) events.KeyValue {
	return events.KeyValue{Key: events.KeyConfig, Value: configDoc(secret), Revision: revision}
}

func cleanDoc(t *testing.T) string {
	t.Helper()
	f, ok := events.Redact(events.DCSChange{KeyValue: configKey(1, "x")}).(events.DCSChange)
	if !ok || strings.Contains(f.Value, "=x") || !strings.Contains(f.Value, events.Redacted) {
		t.Fatalf("not redacted: %+v", f)
	}
	return f.Value
}

func (d *documents) mustReal(t *testing.T, text string) string {
	t.Helper()
	got, err := d.real(text)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A change that alters only a secret leaves the redacted text as it was: the newest revision counts.
func TestNewestSecretCounts(t *testing.T) {
	clean := cleanDoc(t)
	change := func(r uint64, secret string) events.Fact { return events.DCSChange{KeyValue: configKey(r, secret)} }
	look := func(r, key uint64, secret string) events.Fact {
		return events.DCSSnapshot{Revision: r, Keys: []events.KeyValue{{Key: "leader", Value: "n1", Revision: 2}, configKey(key, secret)}}
	}
	started := events.Started{Member: events.MemberConfig{Bootstrap: json.RawMessage(configDoc("local"))}}
	reload := events.OperatorAsked{Request: events.OperatorRequest{Verb: events.AskReload, Member: &events.MemberConfig{Bootstrap: json.RawMessage(configDoc("local2"))}}}
	for name, c := range map[string]struct {
		facts []events.Fact
		want  string
	}{
		"bootstrap.dcs":                       {[]events.Fact{started}, "local"},
		"the store rules":                     {[]events.Fact{started, look(10, 5, "one")}, "one"},
		"a change":                            {[]events.Fact{look(10, 5, "one"), change(11, "two")}, "two"},
		"a look that began before":            {[]events.Fact{change(11, "two"), look(10, 5, "one")}, "two"},
		"a reload changes the local one":      {[]events.Fact{started, reload}, "local2"},
		"a reload does not touch the store's": {[]events.Fact{started, look(10, 5, "one"), reload}, "one"},
		"deleted: the one in force":           {[]events.Fact{started, look(10, 5, "one"), events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyConfig, Revision: 12}, Deleted: true}}, "one"},
		"one older look is of a lagging member": {
			[]events.Fact{look(10, 9, "two"), look(7, 5, "one")}, "two"},
		"the store was restored": {
			[]events.Fact{look(10, 9, "two"), look(7, 5, "one"), look(7, 5, "one"), look(8, 5, "one")}, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocuments()
			for _, f := range c.facts {
				b, err := json.Marshal(events.Input{Seq: 1, Fact: d.redact(f)})
				if err != nil || strings.Contains(string(b), "passwd="+c.want) {
					t.Fatalf("a secret is in the fact: %s, %v", b, err)
				}
			}
			if got := d.mustReal(t, clean); got != configDoc(c.want) {
				t.Fatalf("got %s, want the secret %q", got, c.want)
			}
		})
	}
}

func TestRedactedTextIsNeverWritten(t *testing.T) {
	d := newDocuments()
	if got, err := d.real(`{"password":"***"}`); err == nil {
		t.Fatalf("a text whose secret is not known became %s", got)
	}
	// Who really wrote three asterisks gets three asterisks.
	literal := `{"postgresql":{"parameters":{"archive_command":"cp *** x"}}}`
	d.redact(events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyConfig, Value: literal, Revision: 3}})
	if got := d.mustReal(t, literal); got != literal {
		t.Fatalf("got %s", got)
	}
	if got := d.mustReal(t, `{"ttl":30}`); got != `{"ttl":30}` {
		t.Fatalf("got %s", got)
	}
}

// Effects under way keep their text while others come; what is kept is bounded.
func TestVaultKeepsTheLastFew(t *testing.T) {
	d := newDocuments()
	var clean []string
	for i := range 100 {
		doc := fmt.Sprintf(`{"postgresql":{"recovery_conf":{"primary_conninfo":"password=p%d"},"n":%d}}`, i, i)
		f, ok := d.redact(events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyConfig, Value: doc, Revision: uint64(i + 1)}}).(events.DCSChange)
		if !ok {
			t.Fatal("not a change any more")
		}
		clean = append(clean, f.Value)
		for j := range 50 { // other keys take no room
			d.redact(events.DCSChange{KeyValue: events.KeyValue{Key: fmt.Sprintf("members/n%d", j), Value: `{"conn_url":"postgres://u:p@h/"}`, Revision: uint64(i + 1)}})
		}
	}
	for i := 100 - vaultMax; i < 100; i++ {
		if got := d.mustReal(t, clean[i]); !strings.Contains(got, fmt.Sprintf("p%d", i)) {
			t.Fatalf("%d: %s", i, got)
		}
	}
	if n := len(d.store.list); n != vaultMax {
		t.Fatalf("%d documents are kept", n)
	}
	if _, err := d.real(clean[0]); err == nil {
		t.Fatal("the oldest is still there")
	}
}

func TestEffectsGetTheRealText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var applied any
		b.onServer = func(_ context.Context, call string, arg any) (events.Result, error) {
			if call == "apply config" {
				applied = arg
			}
			return events.Result{}, nil
		}
		clean := cleanDoc(t)
		b.snapshot = events.DCSSnapshot{Revision: 10, Keys: []events.KeyValue{configKey(5, "one")}}
		b.Do(b.effect(1, events.ReadDCS{}, time.Second))
		synctest.Wait()
		b.post(events.DCSChange{KeyValue: configKey(11, "two")})
		b.Do(b.effect(2, events.ApplyConfig{Document: json.RawMessage(clean)}, time.Second))
		b.Do(b.effect(3, events.PutKey{Key: events.KeyConfig, Value: clean}, time.Second))
		b.Do(b.effect(4, events.PutKey{Key: events.KeyStatus, Value: `{"note":"***"}`}, time.Second))
		b.Do(b.effect(5, events.ApplyConfig{Document: json.RawMessage(`{"password":"***","of":"nobody"}`)}, time.Second))
		b.Do(b.effect(6, events.PutKey{Key: events.KeyConfig, Value: `{"password":"***","of":"nobody"}`}, time.Second))
		synctest.Wait()
		if applied != configDoc("two") || b.written[events.KeyConfig] != configDoc("two") || b.written[events.KeyStatus] != `{"note":"***"}` {
			t.Errorf("applied %v, written %v", applied, b.written)
		}
		for id, want := range map[uint64]events.Outcome{2: events.Done, 3: events.Done, 4: events.Done, 5: events.Failed, 6: events.Failed} {
			if outcome, text, _ := b.only(id); outcome != want {
				t.Errorf("effect %d: %s (%s)", id, outcome, text)
			}
		}
	})
}

const secretsYAML = `
scope: demo
name: n1
restapi:
  listen: 127.0.0.1:8008
  connect_address: 127.0.0.1:8008
  authentication: {username: admin, password: SECRET-rest}
ctl: {authentication: {username: admin, password: SECRET-ctl}}
etcd3: {hosts: [127.0.0.1:2379], username: root, password: SECRET-etcd}
bootstrap:
  dcs:
    ttl: 30
    postgresql:
      parameters: {archive_command: "push --password SECRET-archive"}
      pg_hba: ["host all all all radius radiussecrets=SECRET-radius", "host all all all ldap ldapbindpasswd=SECRET-ldap"]
      recovery_conf: {primary_conninfo: "host=x password=SECRET-conninfo"}
postgresql:
  listen: 127.0.0.1:5432
  connect_address: 127.0.0.1:5432
  data_dir: /srv/regent/data
  authentication:
    superuser: {username: postgres, password: SECRET-super}
    replication: {username: replicator, password: SECRET-replication}
    rewind: {username: rewinder, password: SECRET-rewind}
  parameters: {archive_cleanup_command: "tool token=SECRET-local"}
tags: {zone: a, api_token: SECRET-tag}
`

// From the configuration file to what the engine, and so the event log, is given: not one password on the way.
func TestNoSecretReachesTheEngine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regent.yml")
	if err := os.WriteFile(path, []byte(secretsYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	m := memberConfig(c, backends.Limits{})
	if !strings.Contains(string(m.Bootstrap), "SECRET-ldap") {
		t.Fatalf("the test shows nothing: bootstrap.dcs is %s", m.Bootstrap)
	}
	document := string(m.Bootstrap)
	failure := fmt.Errorf("connect to postgres://postgres:SECRET-super@h:5432/ (password='SECRET-super'): refused")
	b := newBench(t)
	b.onServer = func(context.Context, string, any) (events.Result, error) { return events.Result{}, failure }
	b.onStore = func(context.Context, string) error { return failure }
	b.onPeer = func(_ context.Context, p events.Peer) events.PeerStatus {
		return events.PeerStatus{Name: p.Name, Error: "get http://admin:SECRET-rest@h/: refused"}
	}
	b.post(events.Started{Member: m, Version: "test"})
	b.post(events.OperatorAsked{Request: events.OperatorRequest{Verb: events.AskReload, Member: &m}})
	b.post(events.DCSSnapshot{Revision: 9, Keys: []events.KeyValue{
		{Key: events.KeyConfig, Value: document, Revision: 3},
		{Key: "members/n2", Value: `{"conn_url":"postgres://replicator:SECRET-replication@h:5432/postgres","api_url":"http://h:8008"}`, Revision: 4},
	}})
	b.post(events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyConfig, Value: document, Revision: 10}})
	for i, a := range []events.Action{
		events.Follow{}, events.ApplyConfig{Document: []byte(`{}`)}, events.RenewLease{}, events.PutKey{Key: "status"},
		events.AskPeers{Peers: []events.Peer{{Name: "n2"}}},
	} {
		b.Do(b.effect(uint64(i+1), a, time.Minute))
	}
	b.stop()
	b.wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.posted) < 9 {
		t.Fatalf("only %d facts: %+v", len(b.posted), b.posted)
	}
	for _, p := range b.posted {
		text, err := json.Marshal(events.Input{Seq: 1, Fact: p.fact})
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(text), "SECRET"); i >= 0 {
			t.Errorf("%s holds %s", p.fact.FactKind(), text[i:min(i+30, len(text))])
		}
		if f, ok := p.fact.(events.Started); ok { // and what was taken out comes back
			if got := b.docs.mustReal(t, string(f.Member.Bootstrap)); got != document {
				t.Errorf("bootstrap.dcs came back as %s", got)
			}
		}
	}
}
