package events

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

const plainRecord = `{"conn_url":"postgres://n1:5432/postgres","api_url":"http://n1:8008/patroni","state":"running","role":"replica",` +
	`"version":"4.1.4","proxy_url":"x","xlog_location":67108864,"receive_lsn":18446744073709551615,"replay_lsn":0,` +
	`"replication_state":"streaming","timeline":4294967295}`

const plainRare = `{"state":"running","tags":{"nofailover":true},"timeline":1,"pause":true}`

const plainHistory = `[[1,25623960,"no recovery target specified"],[2,25624000,"x","2026-01-01T00:00:00.000000+00:00"],` +
	`[4294967295,18446744073709551615,"x","2026-01-01T00:00:00.000000+00:00","n2"]]`

const plainStatus = `{"optime":67108864,"slots":{"n1":67108864,"n2":18446744073709551615,"n3":0}}`

// What is read as a plain record is what encoding/json reads, and what it refuses is never read as plain.
func TestPlainFormIsWhatJSONReads(t *testing.T) {
	if _, ok := readPlainMember(plainRecord); !ok {
		t.Fatal("a member at work does not write the plain form")
	}
	if _, ok := readPlainMember(plainRare); !ok {
		t.Fatal("a member in a pause, or that may not lead, does not write the plain form")
	}
	if _, ok := readPlainStatus(plainStatus); !ok {
		t.Fatal("a leader at work does not write the plain form")
	}
	if _, ok := readPlainHistory(plainHistory); !ok {
		t.Fatal("a new leader does not write the plain form")
	}
	r := rand.New(rand.NewPCG(1, 1))
	pieces := []string{`"`, `\`, `,`, `{`, `}`, `:`, ` `, `0`, `00`, `9`, `.5`, `e1`, `-`, `null`, `true`, "\x00", "\x7f", "é", "\xff", `"state":5`,
		`,"state":"x"`, `,"State":"x"`, `{"timeline":4294967296}`, `,"optime":7`, `,"n1":7`, `,"slots":{"a":1}`, `,"tags":{}`, `,"pause":true`, `,"tags":{"nofailover":false}`,
		`false`, `,"nofailover":false`, `"on"`, `:}`, `,"other":1`, `{}`, `[`, `]`, `[]`, `[[]]`, `,""`, `,[1,2,"r"]`, ``}
	plain := 0
	for _, whole := range []string{plainRecord, plainRare, plainStatus, plainHistory} {
		for range 200_000 {
			text := whole
			for range r.IntN(3) { // something is put in the place of something
				from := r.IntN(len(text) + 1)
				to := min(from+r.IntN(3), len(text))
				text = text[:from] + pieces[r.IntN(len(pieces))] + text[to:]
			}
			if m, ok := readPlainMember(text); ok {
				plain++
				sameAsJSON(t, text, m)
			}
			if s, ok := readPlainStatus(text); ok {
				plain++
				sameAsJSON(t, text, s)
			}
			if h, ok := readPlainHistory(text); ok {
				plain++
				sameAsJSON(t, text, h)
			}
		}
	}
	if plain < 100_000 {
		t.Errorf("only %d of the texts were plain: the test compares little", plain)
	}
}

func sameAsJSON[T any](t *testing.T, text string, got T) {
	t.Helper()
	want, err := decode[T]([]byte(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q\ngot  %+v\nwant %+v, %v", text, got, want, err)
	}
}

// What is written in the plain form is what encoding/json writes.
func TestPlainFormIsWhatJSONWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	texts := []string{"", "", "running", "http://n1:8008/patroni", "a b~!", `"`, `\`, "<", ">", "&", "é", "\x7f", "\x00", "\xff"}
	text := func() string { return texts[r.IntN(len(texts))] }
	number := func() uint64 { return r.Uint64() >> (r.IntN(65)) }
	rare := func() bool { return r.IntN(20) == 0 }
	plain := 0
	for range 100_000 {
		texts = texts[:5]
		if rare() {
			texts = texts[:cap(texts)]
		}
		m := MemberRecord{ConnURL: text(), APIURL: text(), State: text(), Role: text(), Version: text(), ProxyURL: text(), XlogLocation: LSN(number()),
			ReceiveLSN: LSN(number()), ReplayLSN: LSN(number()), ReplicationState: text(), Timeline: Timeline(number()), Pause: rare(), PendingRestart: rare()}
		if rare() {
			m.Tags = &Tags{NoFailover: r.IntN(3) > 0, NoSync: rare(), CloneFrom: rare()}
		}
		if rare() {
			m.CheckpointAfterPromo = new(bool)
		}
		if rare() {
			m.ScheduledRestart = &ScheduledRestart{Role: "primary"}
		}
		if rare() {
			m.PendingRestartReason = map[string]OldNew{"port": {Old: 1, New: 2}}
		}
		got, ok := m.AppendPlain([]byte("before"))
		if !ok {
			continue
		}
		plain++
		want, err := json.Marshal(&m)
		if err != nil || string(got) != "before"+string(want) {
			t.Fatalf("%+v\ngot  %s\nwant %s, %v", m, got, want, err)
		}
	}
	if plain < 50_000 {
		t.Errorf("only %d of the records were plain: the test compares little", plain)
	}
}
