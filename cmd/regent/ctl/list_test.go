package ctl

import (
	"context"
	"strings"
	"testing"
)

const prettyList = `+ Cluster: demo (7408277255830290455) ----+----+-------------+-----+------------+-----+
| Member | Host     | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+----------+---------+-----------+----+-------------+-----+------------+-----+
| n1     | 10.0.0.1 | Leader  | running   |  3 |             |     |            |     |
| n2     | 10.0.0.2 | Replica | streaming |  3 |   0/40000A8 |   0 |  0/40000A8 |   0 |
+--------+----------+---------+-----------+----+-------------+-----+------------+-----+
`

const jsonList = `[{"Cluster": "demo", "Member": "n1", "Host": "10.0.0.1", "Role": "Leader", "State": "running", "TL": 3}, ` +
	`{"Cluster": "demo", "Member": "n2", "Host": "10.0.0.2", "Role": "Replica", "State": "streaming", "TL": 3, ` +
	`"Receive LSN": "0/40000A8", "Receive Lag": 0, "Replay LSN": "0/40000A8", "Replay Lag": 0}]
`

const tsvList = "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\n" +
	"demo\tn1\t10.0.0.1\tLeader\trunning\t3\t\t\t\t\n" +
	"demo\tn2\t10.0.0.2\tReplica\tstreaming\t3\t0/40000A8\t0\t0/40000A8\t0\n"

const yamlList = `- Cluster: demo
  Host: 10.0.0.1
  Member: n1
  Role: Leader
  State: running
  TL: 3
- Cluster: demo
  Host: 10.0.0.2
  Member: n2
  Receive LSN: 0/40000A8
  Receive Lag: 0
  Replay LSN: 0/40000A8
  Replay Lag: 0
  Role: Replica
  State: streaming
  TL: 3
`

func TestListFormats(t *testing.T) {
	for f, want := range map[Format]string{Pretty: prettyList, JSON: jsonList, TSV: tsvList, YAML: yamlList} {
		w := newWorld(t, "")
		if err := w.List(context.Background(), ListOptions{Format: f}); err != nil {
			t.Fatal(err)
		}
		if got := w.out.String(); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", f, got, want)
		}
	}
}

// crowd is a cluster with everything that a list can show.
func crowd(t *testing.T) *world {
	w := newWorld(t, "")
	w.store.set("config", `{"pause":true,"synchronous_mode":true}`)
	w.store.set("sync", `{"leader":"n1","sync_standby":"n2"}`)
	w.store.set("failover", `{"leader":"n1","member":"n2","scheduled_at":"2026-01-03T00:00:00+00:00"}`)
	w.member("n1", `{"conn_url":"postgres://h:5432/postgres","api_url":"http://n1:8008/patroni","state":"running","timeline":3,`+
		`"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"},`+
		`"shared_preload_libraries":{"old_value":"aaaaaaaaaaaaaaaaaaaa","new_value":"bbbbbbbbbbbbbbbbbbbbbbbbb"}}}`)
	w.member("n2", `{"conn_url":"postgres://h:5433/postgres","api_url":"http://n2:8008/patroni","state":"running",`+
		`"replication_state":"streaming","timeline":3,`+
		`"receive_lsn":64487592,"replay_lsn":64487592,"tags":{"clonefrom":true,"dc":"east"},`+
		`"scheduled_restart":{"schedule":"2026-01-04T00:00:00+00:00","postgres_version":"15.9"}}`)
	w.member("n3", `{"conn_url":"postgres://h:5434/postgres","api_url":"http://n3:8008/patroni","state":"running",`+
		`"replication_state":"streaming","xlog_location":67109032,"tags":{"replicatefrom":"n2"}}`)
	w.member("n4", `{"conn_url":"postgres://h:5435/postgres","api_url":"http://n4:8008/patroni","state":"starting"}`)
	return w
}

func TestListExtras(t *testing.T) {
	w := crowd(t)
	if err := w.List(context.Background(), ListOptions{Format: Pretty, Timestamp: true}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"2026-01-02 03:04:05\n+ Cluster: demo (7408277255830290455) ------",
		"| n1     | h:5432 | Leader       | running   |  3 |             |     |            |     | *               | max_connections: " +
			"100->200                     |",
		"| shared_preload_libraries: [hidden - too long] |",
		"| n2     | h:5433 | Sync Standby | streaming |  3 |   0/3D800A8 |   2 |  0/3D800A8 |   2 |                 |",
		"| 2026-01-04T00:00:00+00:00 if version < 15.9 | clonefrom: true   |",
		"| dc: east          |",
		"| n3     | h:5434 | Replica      | streaming |    |   0/40000A8 |   0 |    unknown |     |",
		"| n4     | h:5435 | Replica      | starting  |    |     unknown |     |    unknown |     |",
		" Maintenance mode: on\n Switchover scheduled at: 2026-01-03T00:00:00+00:00\n                    from: n1\n                     " +
			" to: n2\n",
	} {
		w.wantOut(t, part)
	}
	if n := strings.Count(w.out.String(), "\n+--"); n != 5 {
		t.Errorf("%d rules below the first: want one after the titles and one after each of 4 rows", n)
	}
}

func TestTopology(t *testing.T) {
	w := crowd(t)
	if err := w.List(context.Background(), ListOptions{Format: Topology}); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, l := range strings.Split(w.out.String(), "\n") {
		if cells := strings.Split(l, "|"); len(cells) > 3 && strings.Contains(l, "h:54") {
			order = append(order, strings.TrimRight(cells[1][1:], " "))
		}
	}
	if got := strings.Join(order, ";"); got != "n1;+ n2;  + n3;+ n4" {
		t.Errorf("tree: %s", got)
	}
	w.wantOut(t, "{clonefrom: true, dc: east}")
}

func TestListOfNewClusters(t *testing.T) {
	w := newWorld(t, "")
	delete(w.store.keys, "leader")
	w.store.set("initialize", "")
	if err := w.List(context.Background(), ListOptions{Format: Pretty}); err != nil {
		t.Fatal(err)
	}
	w.wantOut(t, "+ Cluster: demo (initializing) ---")
	w = newWorld(t, "")
	w.store.keys = nil
	if err := w.List(context.Background(), ListOptions{Format: Pretty}); err != nil {
		t.Fatal(err)
	}
	w.wantOut(t, "+ Cluster: demo (uninitialized) ")
}

func TestHistory(t *testing.T) {
	w := newWorld(t, "")
	w.store.set("history", `[[1,25623960,"no recovery target specified"],[2,25624344,"no recovery target specified",`+
		`"2026-01-01T00:00:00+00:00","n2"]]`)
	if err := w.History(context.Background(), Pretty); err != nil {
		t.Fatal(err)
	}
	if err := w.History(context.Background(), JSON); err != nil {
		t.Fatal(err)
	}
	want := `+----+----------+------------------------------+---------------------------+------------+
| TL |      LSN | Reason                       | Timestamp                 | New Leader |
+----+----------+------------------------------+---------------------------+------------+
|  1 | 25623960 | no recovery target specified |                           |            |
|  2 | 25624344 | no recovery target specified | 2026-01-01T00:00:00+00:00 | n2         |
+----+----------+------------------------------+---------------------------+------------+
[{"TL": 1, "LSN": 25623960, "Reason": "no recovery target specified", "Timestamp": "", "New Leader": ""}, ` +
		`{"TL": 2, "LSN": 25624344, "Reason": "no recovery target specified", "Timestamp": "2026-01-01T00:00:00+00:00", "New Leader": "n2"}]
`
	if got := w.out.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}
