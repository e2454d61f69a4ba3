package pgdriver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regent-ha/regent/events"
)

func TestControlMatchesControldata(t *testing.T) {
	s := primary(t, "one")
	s.stop(events.StopFast)
	native, err := readControl(s.dataDir)
	must(t, err)
	out, err := s.run(deadline(t), tool{op: "test", name: "pg_controldata", args: []string{"-D", s.dataDir}})
	must(t, err)
	printed, err := parseControldata(out)
	must(t, err)
	if native != printed {
		t.Fatalf("native  %+v\nprinted %+v", native, printed)
	}
	b, err := os.ReadFile(filepath.Join(s.dataDir, "global", "pg_control"))
	must(t, err)
	b[100] ^= 1
	if _, err := parseControl(b); err == nil {
		t.Fatal("a damaged pg_control was believed")
	}
}

func TestRecordEndMatchesNextRecord(t *testing.T) {
	s := primary(t, "one")
	s.stop(events.StopFast)
	c, err := readControl(s.dataDir)
	must(t, err)
	end, err := recordEnd(s.dataDir, &c)
	must(t, err)
	out, err := s.runPath(deadline(t), testBinDir+"/pg_waldump", tool{op: "test",
		args: []string{"-p", s.dataDir + "/pg_wal", "-s", c.Checkpoint.String(), "-n", "2"}})
	if err == nil || !strings.Contains(out, "at "+end.String()) {
		t.Fatalf("end %v, pg_waldump says %v %s", end, err, out)
	}
}

func TestApplyConfig(t *testing.T) {
	s := primary(t, "one")
	doc := json.RawMessage(`{"ttl": 30, "postgresql": {"parameters": {"work_mem": "7MB", "max_connections": 55, "log_line_prefix": "it's \\ 'so' %m ",
 "no_such_parameter": 1, "autovacuum_naptime": "blah", "max_wal_senders": 1, "my.own": "x", "wal_log_hints": "off", "shared_buffers": "32MB",
 "superuser_reserved_connections": 4}}}`)
	_, err := s.ApplyConfig(deadline(t), doc, nil)
	must(t, err)
	s.awaitSQL("SHOW work_mem", "7MB")
	if got := s.sql("SHOW log_line_prefix"); got != `it's \ 'so' %m ` {
		t.Errorf("quoting: %q", got)
	}
	if got := s.sql("SHOW my.own"); got != "x" {
		t.Errorf("my.own = %q", got)
	}
	o := s.await("pending restarts", func(o events.Observation) bool { return len(o.Server.PendingRestart) == 3 })
	t.Logf("pending: %+v", o.Server.PendingRestart)
	for _, bad := range []string{`{"postgresql": {"parameters": {"bad name": 1}}}`, `{"postgresql": {"parameters": {"work_mem": "1\n2"}}}`,
		`{"postgresql": {"parameters": {"work_mem": [1]}}}`, `[]`, `{`} {
		if _, err := s.ApplyConfig(deadline(t), json.RawMessage(bad), nil); err == nil || Hint(err) == "" {
			t.Errorf("%s: error %v, hint %q", bad, err, Hint(err))
		}
	}
	local := s.cfg
	local.Parameters = map[string]string{"work_mem": "9MB", "shared_buffers": "16MB"}
	must(t, s.SetLocal(local))
	_, err = s.ApplyConfig(deadline(t), doc, nil)
	must(t, err)
	s.awaitSQL("SHOW work_mem", "9MB")
	_, err = s.Restart(deadline(t), events.RestartPostgres{AsPrimary: true}, nil)
	must(t, err)
	if got := s.sql("SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings" +
		" WHERE name IN ('max_connections', 'max_wal_senders', 'wal_log_hints')"); got != "55 10 off" {
		t.Errorf("after the restart: %s", got)
	}
	s.await("nothing pending", func(o events.Observation) bool { return o.Answering && len(o.Server.PendingRestart) == 0 })
	// A new agent knows the configuration from its cache, and a server that is down learns of bad names as it starts.
	s.stop(events.StopFast)
	s.end()
	again := newServer(t, s.cfg).observe()
	if got := again.inForce().params["work_mem"]; got != "7MB" {
		t.Errorf("cached work_mem %q", got)
	}
	again.start(true, nil)
	if got := again.sql("SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem %q", got)
	}
	if again.logs.FilterMessageSnippet("refuses").Len() < 2 {
		t.Error("no warning about what was left out")
	}
}

func TestSlotName(t *testing.T) {
	for in, want := range map[string]string{"Node-1.a": "node_1_a", "a b": "au0032b", "pg_1": "pg_1", strings.Repeat("x", 70): strings.Repeat("x", 63)} {
		if got := SlotName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCopiesGiveUpADeadHost(t *testing.T) {
	for version, want := range map[int]string{
		11: "connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=4",
		15: "connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=4 tcp_user_timeout=30000",
	} {
		d := &Driver{version: version}
		if got := conninfoText(d.givesUp()); got != want {
			t.Errorf("version %d: %s, want %s", version, got, want)
		}
	}
}

func TestConninfoQuoting(t *testing.T) {
	got := conninfoText([]kv{{"user", "a b"}, {"host", "h"}, {"application_name", `it's \`}, {"x", ""}})
	if want := `user='a b' host=h application_name='it\'s \\' x=''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDiverged(t *testing.T) {
	history := []events.TimelineSwitch{{Parent: 1, Switch: 100}, {Parent: 3, Switch: 300}}
	for name, c := range map[string]struct {
		end  localEnd
		want bool
	}{
		"replica before the switch":            {localEnd{timeline: 1, at: 99}, false},
		"replica at the switch":                {localEnd{timeline: 1, at: 100}, false},
		"replica after the switch":             {localEnd{timeline: 1, at: 101}, true},
		"primary whose last record was taken":  {localEnd{timeline: 1, at: 80, recordEnd: 100, primary: true}, false},
		"primary whose last record was not":    {localEnd{timeline: 1, at: 80, recordEnd: 120, primary: true}, true},
		"primary stopped at the switch":        {localEnd{timeline: 1, at: 100, recordEnd: 120, primary: true}, true},
		"a timeline that the leader never saw": {localEnd{timeline: 2, at: 50}, true},
		"the last timeline before":             {localEnd{timeline: 3, at: 299}, false},
		"no row":                               {localEnd{timeline: 4, at: 1}, true},
	} {
		if got := diverged(c.end, history); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
