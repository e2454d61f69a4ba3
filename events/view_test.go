package events

import (
	"fmt"
	"reflect"
	"testing"
)

// contents are good and broken contents of every key.
var contents = map[string][]string{
	KeyInitialize: {"", "7300000000000000000"},
	KeyConfig:     {`{"ttl":20}`, `{}`, `null`, `[]`, `{"ttl"`, ``},
	KeyLeader:     {"n1", " n2\n", ""},
	"members/n1": {`{"conn_url":"postgres://h:1/d","state":"running"}`, `{"state":5}`, `nonsense`, ``,
		`postgres://u:p@h:1/d?application_name=http://h:8008/patroni`},
	"members/n2":    {`{"state":"running","tags":{"nofailover":true}}`, `null`},
	KeyStatus:       {`{"optime":5,"slots":{"a":3}}`, `77`, `{"optime":"x","slots":{"a":3}}`, `[]`, ``},
	KeyOptimeLeader: {"55", "66", "x", ""},
	KeyHistory:      {`[]`, `[[1,2,"r"],[2,3,"s","t","n"]]`, `[[1,2,"r"],[2]]`, `{}`, ``},
	KeyFailover:     {`{}`, `{"leader":"n1","member":"n2"}`, `n1:n2`, `n1`, `{"leader":5,"member":"n2"}`, ``},
	KeySync: {`{"leader":"n1","sync_standby":"n2,n3"}`,
		`{"leader":"n1","quorum":1,"sync_standby":null}`, `{"leader":"n1","quorum":"x"}`, `[]`, ``},
	KeyFailsafe: {`{"n1":"http://a"}`, `{"n1":"http://a","n2":5}`, `x`, ``},
	"unknown":   {"x"},
}

func put(key, value string, rev uint64) DCSChange {
	return DCSChange{KeyValue: KeyValue{key, value, rev}}
}

func TestParseView(t *testing.T) {
	v := ParseView(DCSSnapshot{Revision: 9, Term: 3, Keys: []KeyValue{
		{KeyConfig, `{"ttl":20}`, 2}, {KeyFailover, `{"leader":"n1","member":"n2","scheduled_at":"2026-01-01T00:00:00Z"}`, 4},
		{KeyFailsafe, `{"n1":"http://a"}`, 5},
		{KeyHistory, `[[1,2,"r"]]`, 6}, {KeyInitialize, "73", 1}, {KeyLeader, "n1", 7},
		{"members/n2", `{"state":"running","xlog_location":12,"tags":{"nosync":true}}`, 8}, {"members/n1", `{"role":"primary"}`, 9},
		{KeyStatus, `{"optime":10,"slots":{"n2":4},"retain_slots":["n3"]}`, 9}, {KeySync, `{"leader":"n1","quorum":0,"sync_standby":"n2"}`, 3},
	}})
	init := "73"
	want := View{Revision: 9, Term: 3, Initialize: &init, InitializeRevision: 1, Leader: "n1", LeaderRevision: 7, Config: []byte(`{"ttl":20}`), ConfigRevision: 2,
		Members: []MemberRecord{{Name: "n1", Revision: 9, Role: "primary"},
			{Name: "n2", Revision: 8, State: "running", XlogLocation: 12, Tags: &Tags{NoSync: true}}},
		Status: StatusRecord{10, map[string]LSN{"n2": 4}, []string{"n3"}}, History: []HistoryRow{{Timeline: 1, LSN: 2, Reason: "r"}}, HasHistory: true,
		Failover: FailoverRecord{"n1", "n2", "2026-01-01T00:00:00Z", 4}, Sync: SyncRecord{"n1", number(0), "n2"}, SyncRevision: 3,
		Failsafe: map[string]string{"n1": "http://a"}, statusOptime: 10}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got  %+v\nwant %+v", v, want)
	}
	if !v.Initialized() || v.ClusterTimeline() != 2 || v.Member("n2") == nil || v.Member("n3") != nil || !v.Failover.Pending() {
		t.Errorf("wrong answers about %+v", v)
	}
}

func TestLegacyForms(t *testing.T) {
	var v View
	if v.ClusterTimeline() != 0 {
		t.Error("without history the timeline is known")
	}
	v.Apply(put(KeyHistory, `[]`, 1))
	if v.ClusterTimeline() != 1 {
		t.Error("an empty history is not timeline 1")
	}
	// the position: status wins over optime/leader, whichever comes first, and both go on
	v.Apply(put(KeyOptimeLeader, "50", 1))
	v.Apply(put(KeyOptimeLeader, "60", 2))
	if v.Status.Optime != 60 {
		t.Errorf("optime/leader stays at %d", v.Status.Optime)
	}
	v.Apply(put(KeyStatus, "70", 3))
	v.Apply(put(KeyOptimeLeader, "65", 4))
	if v.Status.Optime != 70 {
		t.Errorf("status does not win: %d", v.Status.Optime)
	}
	v.Apply(DCSChange{KeyValue{Key: KeyStatus, Revision: 5}, true})
	if v.Status.Optime != 65 {
		t.Errorf("without status: %d", v.Status.Optime)
	}
	v.Apply(put(KeyFailover, "n1:n2", 6))
	if v.Failover != (FailoverRecord{Leader: "n1", Candidate: "n2", Revision: 6}) {
		t.Errorf("failover %+v", v.Failover)
	}
	v.Apply(put("members/n1", "postgres://rep:secret@h:5433/postgres?application_name=http%3A%2F%2Fh%3A8008%2Fpatroni", 7))
	if m := v.Member("n1"); m.ConnURL != "postgres://h:5433/postgres" || m.APIURL != "http://h:8008/patroni" {
		t.Errorf("member %+v", m)
	}
	if len(v.Problems) > 0 {
		t.Errorf("problems %v", v.Problems)
	}
}

func TestBrokenContents(t *testing.T) {
	broken := map[string][]string{
		KeyConfig: {`null`, `[]`, `{"ttl"`, ``}, "members/n1": {`{"state":5}`, `nonsense`, ``, "postgres://h:x y/\x7f"},
		KeyStatus: {`{"optime":"x","slots":{"a":3}}`, `[]`}, KeyOptimeLeader: {"x", "-1"}, KeyHistory: {`[[1,2,"r"],[2]]`, `{}`, ``},
		KeyFailover: {`n1`, `{"leader":5,"member":"n2"}`, `{`},
		KeySync:     {`{"leader":"n1","quorum":"x"}`, `[]`}, KeyFailsafe: {`{"n1":"http://a","n2":5}`, `x`},
	}
	for key, values := range broken {
		for _, value := range values {
			v := ParseView(DCSSnapshot{Keys: []KeyValue{{key, value, 5}}})
			if len(v.Problems) != 1 || v.Problems[0].Key != key || v.Problems[0].Text == "" {
				t.Errorf("%s = %q: problems %v", key, value, v.Problems)
			}
			// nothing of it is believed, but that it is there, and at which revision
			want := View{Revision: 5, Problems: v.Problems}
			switch key {
			case KeyConfig:
				want.ConfigRevision = 5
			case KeySync:
				want.SyncRevision = 5
			case KeyFailover:
				want.Failover.Revision = 5
			case "members/n1":
				want.Members = []MemberRecord{{Name: "n1", Revision: 5}}
			}
			if !reflect.DeepEqual(v, want) {
				t.Errorf("%s = %q:\ngot  %+v\nwant %+v", key, value, v, want)
			}
			good := put(key, contents[key][0], 6)
			if v.Apply(good); len(v.Problems) > 0 {
				t.Errorf("%s: the problem stays after %q: %v", key, good.Value, v.Problems)
			}
		}
	}
}

// beside are the keys that are there before the changes.
var beside = []KeyValue{{"members/n0", "broken", 1}, {"members/n1", `{}`, 1}, {"members/n5", `{"state":"x"}`, 1}, {"sync", "broken", 1}}

// Whatever the order of changes, the view is what a snapshot of the same keys gives, and no earlier copy of it changes.
func TestChangesAmountToSnapshot(t *testing.T) {
	for key, values := range contents {
		for _, first := range values {
			for _, second := range values {
				v := ParseView(DCSSnapshot{Keys: beside})
				v.Apply(put(key, first, 2))
				before, text := v, fmt.Sprintf("%+v", v)
				v.Apply(put(key, second, 3))
				same(t, key+" changed", v, snapshotWith(key, second, 3))
				v.Apply(DCSChange{KeyValue{key, "", 4}, true})
				same(t, key+" deleted", v, snapshotWith(key, "", 0))
				if after := fmt.Sprintf("%+v", before); after != text {
					t.Errorf("%s: an earlier copy changed from\n%s to\n%s", key, text, after)
				}
			}
		}
	}
}

func snapshotWith(key, value string, rev uint64) View {
	s := DCSSnapshot{}
	for _, kv := range beside {
		if kv.Key != key {
			s.Keys = append(s.Keys, kv)
		}
	}
	if rev > 0 {
		s.Keys = append(s.Keys, KeyValue{key, value, rev})
	}
	return ParseView(s)
}

func same(t *testing.T, what string, got, want View) {
	t.Helper()
	got.Revision, want.Revision = 0, 0
	for _, v := range []*View{&got, &want} {
		if len(v.Members) == 0 {
			v.Members = nil
		}
		if len(v.Problems) == 0 {
			v.Problems = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}
