package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseSettings(t *testing.T) {
	def := DefaultSettings()
	with := func(change func(*Settings)) Settings {
		s := def
		change(&s)
		return s
	}
	tests := []struct {
		doc  string
		want Settings
	}{
		{"", def},
		{"null", def},
		{"{}", def},
		{`{"ttl":60,"unknown":{"x":1},"pause":null}`, with(func(s *Settings) { s.TTL = time.Minute })},
		{`{"ttl":"1min","loop_wait":"5 s","retry_timeout":"2500ms"}`, with(func(s *Settings) {
			s.TTL, s.LoopWait, s.RetryTimeout = time.Minute, 5*time.Second, 2500*time.Millisecond
		})},
		{`{"member_slots_ttl":"1d","primary_start_timeout":0,"primary_stop_timeout":"1h"}`, with(func(s *Settings) {
			s.MemberSlotsTTL, s.PrimaryStartTimeout, s.PrimaryStopTimeout = 24*time.Hour, 0, time.Hour
		})},
		{`{"master_start_timeout":7,"master_stop_timeout":8}`, with(func(s *Settings) {
			s.PrimaryStartTimeout, s.PrimaryStopTimeout = 7*time.Second, 8*time.Second
		})},
		{`{"master_start_timeout":7,"primary_start_timeout":9}`, with(func(s *Settings) { s.PrimaryStartTimeout = 9 * time.Second })},
		{`{"maximum_lag_on_failover":"2048","max_timelines_history":3}`, with(func(s *Settings) {
			s.MaximumLagOnFailover, s.MaxTimelinesHistory = 2048, 3
		})},
		{`{"pause":"on","check_timeline":1,"postgresql":{"use_slots":"no","use_pg_rewind":true,"parameters":{"x":1},
			"remove_data_directory_on_rewind_failure":"yes","remove_data_directory_on_diverged_timelines":"TRUE"}}`, with(func(s *Settings) {
			s.Pause, s.CheckTimeline, s.UseSlots, s.UsePgRewind = true, true, false, true
			s.RemoveDataDirectoryOnRewindFailure, s.RemoveDataDirectoryOnDivergence = true, true
		})},
		{`{"postgresql":null}`, def},
		// loop_wait and retry_timeout give way to the ttl
		{`{"ttl":20}`, with(func(s *Settings) {
			s.TTL, s.LoopWait, s.RetryTimeout = 20*time.Second, time.Second, 9500*time.Millisecond
		})},
		{`{"ttl":25}`, with(func(s *Settings) { s.TTL, s.LoopWait = 25*time.Second, 5*time.Second })},
		{`{"ttl":3}`, with(func(s *Settings) { s.TTL, s.LoopWait, s.RetryTimeout = 3*time.Second, time.Second, time.Second })},
	}
	for _, tt := range tests {
		got, errs := ParseSettings(json.RawMessage(tt.doc), def)
		if len(errs) > 0 || got != tt.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v\nerrors %v", tt.doc, got, tt.want, errs)
		}
		if got.LoopWait+2*got.RetryTimeout > got.TTL {
			t.Errorf("%s: %v + 2×%v > %v", tt.doc, got.LoopWait, got.RetryTimeout, got.TTL)
		}
	}
}

func wantSeconds(least string) string {
	return "a number of seconds, at least " + least + ", or text with a unit as in 30s, 5min"
}

// settingNames are all that ParseSettings reads, with what it wants there.
var settingNames = map[string]string{
	"ttl": wantSeconds("3"), "loop_wait": wantSeconds("1"), "retry_timeout": wantSeconds("1"),
	"master_start_timeout": wantSeconds("0"), "primary_start_timeout": wantSeconds("0"),
	"master_stop_timeout": wantSeconds("0"), "primary_stop_timeout": wantSeconds("0"), "member_slots_ttl": wantSeconds("0"),
	"maximum_lag_on_failover": "a number of bytes, 0 or more", "max_timelines_history": "a number of rows, 0 (all) or more",
	"pause": "on or off", "check_timeline": "on or off",
	"postgresql.use_slots": "on or off", "postgresql.use_pg_rewind": "on or off",
	"postgresql.remove_data_directory_on_rewind_failure":     "on or off",
	"postgresql.remove_data_directory_on_diverged_timelines": "on or off",
}

// Every wrong field is named with its value and what would be right, and leaves everything as it was.
func TestParseSettingsErrors(t *testing.T) {
	values := []string{`"soon"`, `[1]`, `{"a":1}`, `-1`, `"-1"`, `"null"`, `1e30`, `"1e30"`, `"NaN"`, `"Inf"`, `""`}
	for field, want := range settingNames {
		more := values
		switch field {
		case "ttl":
			more = append(more, `2`, `"2s"`, `"2999ms"`, `"1e300d"`, `true`)
		case "loop_wait", "retry_timeout":
			more = append(more, `0`, `0.5`, `"-5s"`)
		case "pause", "check_timeline":
			more = append(more, `2`, `"ja"`)
		}
		for _, value := range more {
			doc := fmt.Sprintf(`{"%s":%s}`, field, value)
			if name, ok := strings.CutPrefix(field, "postgresql."); ok {
				doc = fmt.Sprintf(`{"postgresql":{"%s":%s}}`, name, value)
			}
			got, errs := ParseSettings(json.RawMessage(doc), DefaultSettings())
			shown, err := json.Marshal(json.RawMessage(value))
			if err != nil {
				t.Fatal(err)
			}
			if value == "1e30" {
				shown = []byte("1e+30")
			}
			text := fmt.Sprintf("%s = %s: want %s", field, shown, want)
			if len(errs) != 1 || errs[0].Error() != text {
				t.Errorf("%s: errors %v, want %s", doc, errs, text)
			}
			if got != DefaultSettings() {
				t.Errorf("%s: changed to %+v", doc, got)
			}
		}
	}
	for doc, want := range map[string]string{
		`[]`:                   "dynamic configuration: want a JSON object",
		`{`:                    "dynamic configuration: want a JSON object",
		`{"postgresql":"x"}`:   `postgresql = "x": want an object`,
		`{"postgresql":false}`: `postgresql = false: want an object`,
	} {
		if _, errs := ParseSettings(json.RawMessage(doc), DefaultSettings()); len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%s: errors %v, want %s", doc, errs, want)
		}
	}
	_, errs := ParseSettings(json.RawMessage(`{"ttl":1,"pause":"x","loop_wait":0,"postgresql":{"use_slots":3}}`), DefaultSettings())
	if len(errs) != 4 || !strings.HasPrefix(errs[0].Error(), "loop_wait") || !strings.HasPrefix(errs[3].Error(), "ttl") {
		t.Errorf("not sorted: %v", errs)
	}
}

// What this version cannot keep is refused, and remembered while it is set.
func TestUnsupportedSettings(t *testing.T) {
	for doc, want := range map[string]string{
		`{"synchronous_mode":true}`: "synchronous_mode", `{"synchronous_mode":"quorum"}`: "synchronous_mode",
		`{"standby_cluster":{"host":"a"}}`: "standby_cluster", `{"standby_cluster":{"restore_command":"x"}}`: "standby_cluster",
		`{"synchronous_mode":"off"}`: "", `{"synchronous_mode":null}`: "", `{"standby_cluster":{"host":null}}`: "", `{}`: "",
	} {
		s, errs := ParseSettings(json.RawMessage(doc), Settings{TTL: time.Hour, Unsupported: "before"})
		if s.Unsupported != want || len(errs) != min(len(want), 1) {
			t.Errorf("%s: %q, errors %v", doc, s.Unsupported, errs)
		}
		for _, err := range errs {
			if !strings.HasPrefix(err.Error(), want+" = ") || !strings.HasSuffix(err.Error(), "cannot keep what it promises") {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

func TestParseBool(t *testing.T) {
	for _, v := range []any{true, 1.0, "on", "True", "YES", "1"} {
		if b, ok := ParseBool(v); !b || !ok {
			t.Errorf("%v: %v, %v", v, b, ok)
		}
	}
	for _, v := range []any{false, 0.0, "off", "False", "NO", "0"} {
		if b, ok := ParseBool(v); b || !ok {
			t.Errorf("%v: %v, %v", v, b, ok)
		}
	}
	for _, v := range []any{nil, 2.0, "", "maybe", []any{}} {
		if _, ok := ParseBool(v); ok {
			t.Errorf("%v was read", v)
		}
	}
}

func TestLSN(t *testing.T) {
	for text, want := range map[string]LSN{"0/0": 0, "16/B374D848": 0x16_B374D848, "FFFFFFFF/ffffffff": 1<<64 - 1} {
		got, err := ParseLSN(text)
		if err != nil || got != want || !strings.EqualFold(got.String(), text) {
			t.Errorf("%s: %d %s, %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "0", "/", "1/", "/1", "1/2/3", "x/1", "-1/1", "100000000/0", " 0/0", "+1/0", "0x1/0"} {
		if got, err := ParseLSN(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
