package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

// regent runs a command line.
func regent(t *testing.T, answers string, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	code = execute(ctx, args, strings.NewReader(answers), &o, &e)
	return code, o.String(), e.String()
}

// isolate keeps the person's own configuration out of the test.
func isolate(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, name := range []string{"PATRONICTL_CONFIG_FILE", "DCS_URL"} {
		t.Setenv(name, "")
	}
}

func TestCommandLines(t *testing.T) {
	isolate(t)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"version"}, 0, "regent " + version},
		{[]string{"restart"}, 2, "requires at least 1 arg"},
		{[]string{"list", "--bad"}, 2, "unknown flag"},
		{[]string{"lst"}, 2, "Did you mean this?\n\tlist"},
		{[]string{"list"}, 2, "name of the cluster is not known"},
		{[]string{"list", "demo"}, 1, "no store is configured"},
		{[]string{"list", "-f", "csv"}, 2, "Invalid value for '-f'"},
		{[]string{"-c", "/none.yml", "list"}, 1, "Check the -c/--config-file parameter"},
		{[]string{"-d", "consul://x", "list", "demo"}, 1, "Unknown dcs scheme: consul"},
		{[]string{"validate", "/none.yml"}, 1, "no such file"},
		{[]string{"--help"}, 0, "Available Commands"},
		{[]string{}, 0, "Available Commands"},
	} {
		code, out, errOut := regent(t, "", test.args...)
		if code != test.code || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: code %d, want %d with %q:\n%s%s", test.args, code, test.code, test.want, out, errOut)
		}
	}
}

// liveCluster is a real etcd with the keys of a cluster whose only reachable member is a small server.
func liveCluster(t *testing.T) (file string, store *etcd.Store) {
	t.Helper()
	isolate(t)
	ensemble := etcdtest.Start(t, 1, etcdtest.Debian)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /switchover":
			_, _ = fmt.Fprint(w, `Successfully switched over to "n2"`)
		case "POST /restart":
			http.Error(w, "restart failed", http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(api.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	store, err := etcd.Open(ctx, etcd.Config{Config: backends.Config{Namespace: "service", Scope: "demo", Member: "test",
		Now: bootclock.Now}, Endpoints: ensemble.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	for key, value := range map[string]string{
		"initialize": "7408277255830290455", "leader": "n1", "config": `{"ttl":30}`, "status": `{"optime":67109032}`,
		"members/n1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"` + api.URL +
			`/patroni","state":"running","role":"primary","timeline":3}`,
		"members/n2": `{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://127.0.0.1:1/patroni","state":"running",` +
			`"replication_state":"streaming","role":"replica","timeline":3,"receive_lsn":67109032,"replay_lsn":67109032}`,
	} {
		if _, err := store.Put(ctx, key, value, events.Any); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(t.TempDir(), "regent.yml")
	text := fmt.Sprintf("scope: demo\netcd3: {url: %s}\n", ensemble.Endpoints()[0])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, store
}

func TestVerbsOnARealStore(t *testing.T) {
	file, store := liveCluster(t)
	for _, test := range []struct {
		answers string
		args    []string
		code    int
		want    string
	}{
		{"", []string{"list"}, 0, "| n2     | 10.0.0.2 | Replica | streaming |  3 |   0/40000A8 |   0 |  0/40000A8 |   0 |"},
		{"", []string{"topology", "demo"}, 0, "| + n2   | 10.0.0.2 | Replica |"},
		{"", []string{"list", "other"}, 0, "+ Cluster: other (uninitialized) "},
		{"\n\n\ny\n", []string{"switchover"}, 0, `Successfully switched over to "n2"`},
		{"", []string{"restart", "demo", "n1", "--force"}, 0, "Failed: restart for member n1, status code=503, (restart failed)"},
		{"", []string{"restart", "demo", "n1", "--force", "--strict"}, 3, "Failed: restart for member n1"},
		{"y\n", []string{"edit-config", "-s", "ttl=40", "-p", "work_mem=8MB"}, 0, "+    work_mem: 8MB"},
		{"", []string{"show-config"}, 0, "postgresql:\n  parameters:\n    work_mem: 8MB\nttl: 40\n"},
		{"", []string{"edit-config", "-s", "ttl=never", "--force"}, 1, "want a number of seconds"},
		{"", []string{"failover", "--candidate", "n2", "--force", "--strict"}, 3, "Failover failed, details: 404"},
		{"", []string{"history", "-f", "tsv"}, 0, "TL\tLSN\tReason"},
		{"", []string{"why"}, 0, "n1 holds the lease; it was not asked, or does not say for how long"},
	} {
		code, out, errOut := regent(t, test.answers, append([]string{"-c", file}, test.args...)...)
		if code != test.code || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: code %d, want %d with %q:\n%s%s", test.args, code, test.code, test.want, out, errOut)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	snapshot, err := store.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	view := events.ParseView(snapshot)
	if got := string(view.Config); got != `{"postgresql":{"parameters":{"work_mem":"8MB"}},"ttl":40}` {
		t.Errorf("config: %s", got)
	}
}
