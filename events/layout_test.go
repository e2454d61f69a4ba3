package events

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func number(n int) *int { return &n }

func TestTags(t *testing.T) {
	tests := []struct {
		text  string
		want  Tags
		again string // what is written, if it differs
	}{
		{`{}`, Tags{}, ""},
		{`null`, Tags{}, `{}`},
		{`{"nofailover":true,"failover_priority":0,"nosync":true,"sync_priority":5,"noloadbalance":true,"clonefrom":true,"replicatefrom":"n2","nostream":true}`,
			Tags{NoFailover: true, FailoverPriority: number(0), NoSync: true, SyncPriority: number(5), NoLoadBalance: true, CloneFrom: true,
				ReplicateFrom: "n2", NoStream: true}, ""},
		{`{"nofailover":"true","nosync":1,"clonefrom":"on","failover_priority":"2"}`,
			Tags{NoFailover: true, NoSync: true, CloneFrom: true, FailoverPriority: number(2)},
			`{"nofailover":true,"failover_priority":2,"nosync":true,"clonefrom":true}`},
		{`{"failover_priority":null,"nofailover":false}`, Tags{}, `{}`},
		{`{"clonefrom":true,"zone":"eu","size":2.5,"x":null}`,
			Tags{CloneFrom: true, Extra: map[string]any{"zone": "eu", "size": 2.5, "x": nil}}, `{"clonefrom":true,"size":2.5,"x":null,"zone":"eu"}`},
		{`{"nofailover":"perhaps","replicatefrom":{"a":1}}`,
			Tags{Extra: map[string]any{"nofailover": "perhaps", "replicatefrom": map[string]any{"a": 1.0}}}, ""},
	}
	for _, tt := range tests {
		var got Tags
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", tt.text, got, err)
		}
		want := tt.again
		if want == "" {
			want = tt.text
		}
		if b, err := json.Marshal(got); err != nil || string(b) != want {
			t.Errorf("%s: written as %s, %v", tt.text, b, err)
		}
	}
	var x Tags
	if err := json.Unmarshal([]byte(`[]`), &x); err == nil || !strings.Contains(err.Error(), "read tags: want an object") {
		t.Errorf("an array: %v", err)
	}
	for _, tt := range []struct {
		tags     Tags
		mayLead  bool
		priority int
	}{{Tags{}, true, 1}, {Tags{NoFailover: true}, false, 1}, {Tags{FailoverPriority: number(0)}, false, 0}, {Tags{FailoverPriority: number(7)}, true, 7},
		{Tags{FailoverPriority: number(-1)}, false, -1}} {
		if tt.tags.MayLead() != tt.mayLead || tt.tags.Priority() != tt.priority {
			t.Errorf("%+v: may lead %v, priority %d", tt.tags, tt.tags.MayLead(), tt.tags.Priority())
		}
	}
}

func TestHistoryRow(t *testing.T) {
	tests := []struct {
		text string
		want HistoryRow
	}{
		{`[1,25623960,"no recovery target specified"]`, HistoryRow{1, 25623960, "no recovery target specified", "", ""}},
		{`[2,7,"r","2026-01-02T03:04:05+00:00"]`, HistoryRow{2, 7, "r", "2026-01-02T03:04:05+00:00", ""}},
		{`[2,7,"r","2026-01-02T03:04:05+00:00","n2"]`, HistoryRow{2, 7, "r", "2026-01-02T03:04:05+00:00", "n2"}},
		{`[2,7,"r","","n2"]`, HistoryRow{2, 7, "r", "", "n2"}},
	}
	for _, tt := range tests {
		var got HistoryRow
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.text, got, err)
		}
		if b, err := json.Marshal(got); err != nil || string(b) != tt.text {
			t.Errorf("%s: written as %s, %v", tt.text, b, err)
		}
	}
	for text, want := range map[string]string{`{}`: "want an array", `[1,2]`: "not 2", `[1,2,"a","b","c","d"]`: "not 6", `[1,"x","r"]`: "element 2"} {
		var got HistoryRow
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestHostPort(t *testing.T) {
	for _, tt := range []struct {
		url, host string
		port      int
	}{{"postgres://10.0.0.1:5433/postgres", "10.0.0.1", 5433}, {"postgres://n1/x", "n1", 5432}, {"postgres://[::1]:6000/x", "::1", 6000},
		{"", "", 5432}, {"postgres://%zz", "", 0}} {
		m := MemberRecord{ConnURL: tt.url}
		if host, port := m.HostPort(); host != tt.host || port != tt.port {
			t.Errorf("%s: %s %d", tt.url, host, port)
		}
	}
}
