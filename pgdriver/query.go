package pgdriver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
)

// monitoringQuery asks for everything in events.Server but the parameters that wait for a restart. A server
// leaves recovery but never enters it, so the branches for a primary are safe while it is promoted; those for a
// replica may fail once, and are then asked again.
func monitoringQuery(version int) string {
	received, sender := "r.received_lsn", "NULL, NULL"
	if version >= 13 {
		received = "r.written_lsn"
	}
	if version >= 11 {
		sender = "r.sender_host, r.sender_port"
	}
	restore, replaying := "NULL", "0"
	if version >= 12 {
		restore = "current_setting('restore_command')"
	}
	if version >= 10 {
		replaying = replayingTimeline
	}
	var fixed []string
	for _, name := range fixedNames() {
		fixed = append(fixed, fmt.Sprintf("'%s', current_setting('%s')", name, name))
	}
	return `SELECT pg_is_in_recovery()::int,
 CASE WHEN pg_is_in_recovery() THEN greatest(coalesce(r.received_tli, 0),
   (SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
   CASE WHEN r.received_tli IS NULL THEN ` + replaying + ` END)
  ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
 CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END,
 greatest(pg_last_wal_receive_lsn(), ` + received + `), pg_last_wal_replay_lsn(),
 to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00',
 CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused()::int ELSE 0 END,
 r.status, ` + sender + `, r.latest_end_lsn, ` + restore + `, current_setting('server_version_num'),
 to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00',
 (SELECT json_agg(json_build_object('user', usename, 'application_name', application_name, 'client_addr', host(client_addr),
   'state', state, 'sync_state', sync_state, 'sync_priority', sync_priority, 'lsn', flush_lsn) ORDER BY application_name, pid)
   FROM pg_stat_replication),
 (SELECT json_agg(json_build_object('name', slot_name, 'physical', slot_type = 'physical', 'active', active, 'lsn', restart_lsn)
   ORDER BY slot_name) FROM pg_replication_slots),
 json_build_object(` + strings.Join(fixed, ", ") + `)
FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver AS r ON true`
}

// replayingTimeline is the newest timeline of the WAL files that hold the last replayed position. A replica whose
// receiver is gone tells its timeline nowhere else: pg_control follows only with the next restart point, and by then the
// cluster may have waited long for a replica that takes itself to be on a timeline of the past.
const replayingTimeline = `(SELECT max(('x' || substr(w.name, 1, 8))::bit(32)::int) FROM pg_ls_waldir() AS w,
     (SELECT greatest(pg_last_wal_replay_lsn() - '0/0'::pg_lsn - 1, 0)::bigint AS at,
       pg_size_bytes(current_setting('wal_segment_size')) AS size) AS l
    WHERE w.name ~ '^[0-9A-F]{24}$' AND substr(w.name, 9) =
      upper(lpad(to_hex(l.at / 4294967296), 8, '0') || lpad(to_hex(l.at % 4294967296 / l.size), 8, '0')))`

// pendingQuery lists the parameters of the file that wait for a restart.
const pendingQuery = `SELECT s.name, s.setting, coalesce(f.setting, s.boot_val) FROM pg_settings AS s
 LEFT JOIN LATERAL (SELECT setting FROM pg_file_settings WHERE name = s.name ORDER BY seqno DESC LIMIT 1) AS f ON true
 WHERE s.pending_restart ORDER BY s.name`

func fixedNames() []string {
	names := []string{"listen_addresses", "port", "cluster_name"}
	for _, f := range fixedParameters {
		names = append(names, f.name)
	}
	return names
}

type walsenderRow struct {
	User            string `json:"user"`
	ApplicationName string `json:"application_name"`
	ClientAddr      string `json:"client_addr"`
	State           string `json:"state"`
	SyncState       string `json:"sync_state"`
	SyncPriority    int    `json:"sync_priority"`
	LSN             string `json:"lsn"`
}

type slotRow struct {
	Name     string `json:"name"`
	Physical bool   `json:"physical"`
	Active   bool   `json:"active"`
	LSN      string `json:"lsn"`
}

const monitorStatement = "regent_monitor"

// prepareMonitor makes the monitoring query known on a connection: to parse and plan it takes several times what its execution does.
func prepareMonitor(ctx context.Context, conn *pgconn.PgConn, query string) error {
	if _, err := conn.Prepare(ctx, monitorStatement, query, nil); err != nil {
		return fmt.Errorf("prepare the monitoring query: %w", err)
	}
	return nil
}

// serverOf reads the answer to the monitoring query, with the fixed parameters in force.
func serverOf(r *pgconn.Result) (events.Server, map[string]string, error) {
	if r.Err != nil {
		return events.Server{}, nil, fmt.Errorf("monitoring query: %w", r.Err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 17 {
		return events.Server{}, nil, fmt.Errorf("monitoring query: an answer of unexpected shape")
	}
	row := rowReader{row: r.Rows[0]}
	s := events.Server{InRecovery: row.text() == "1", Timeline: events.Timeline(row.number()), FlushLSN: row.lsn(),
		ReceivedLSN: row.lsn(), ReplayedLSN: row.lsn(), ReplayedAt: row.text(), ReplayPaused: row.text() == "1"}
	status, host, port := row.text(), row.text(), row.text()
	s.LatestEndLSN = row.lsn()
	restore := row.text()
	s.Version, s.StartedAt = int(row.number()), row.text()
	var walsenders []walsenderRow
	var slots []slotRow
	var fixed map[string]string
	row.json(&walsenders)
	row.json(&slots)
	row.json(&fixed)
	if !s.InRecovery {
		s.ReceivedLSN, s.ReplayedLSN, s.ReplayedAt, s.LatestEndLSN = 0, 0, "", 0
	}
	switch {
	case !s.InRecovery:
	case status == "streaming":
		s.ReplicationState = "streaming"
	case restore != "":
		s.ReplicationState = "in archive recovery"
	}
	if s.InRecovery && status != "" && host != "" {
		s.Upstream = net.JoinHostPort(host, port)
	}
	for _, w := range walsenders {
		s.Walsenders = append(s.Walsenders, events.Walsender{User: w.User, ApplicationName: w.ApplicationName, ClientAddr: w.ClientAddr,
			State: w.State, SyncState: w.SyncState, SyncPriority: w.SyncPriority, FlushLSN: row.parseLSN(w.LSN)})
	}
	for _, l := range slots {
		s.Slots = append(s.Slots, events.Slot{Name: l.Name, Physical: l.Physical, Active: l.Active, RestartLSN: row.parseLSN(l.LSN)})
	}
	if row.err != nil {
		return events.Server{}, nil, fmt.Errorf("monitoring query: %w", row.err)
	}
	return s, fixed, nil
}

// rowReader reads the columns of a row in turn and keeps the first error.
type rowReader struct {
	row [][]byte
	err error
}

func (r *rowReader) text() string {
	v := r.row[0]
	r.row = r.row[1:]
	return string(v)
}

func (r *rowReader) number() int64 {
	v := r.text()
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	r.keep(err)
	return n
}

func (r *rowReader) lsn() events.LSN { return r.parseLSN(r.text()) }

func (r *rowReader) parseLSN(v string) events.LSN {
	if v == "" {
		return 0
	}
	l, err := events.ParseLSN(v)
	r.keep(err)
	return l
}

func (r *rowReader) json(into any) {
	if v := r.text(); v != "" {
		r.keep(json.Unmarshal([]byte(v), into))
	}
}

func (r *rowReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

// askPending asks which parameters of the file wait for a restart.
func askPending(ctx context.Context, conn *pgconn.PgConn) ([]events.PendingParam, error) {
	rs, err := ask(ctx, conn, pendingQuery)
	if err != nil || len(rs) != 1 {
		return nil, fmt.Errorf("ask for pending restarts: %w", err)
	}
	var pending []events.PendingParam
	for _, row := range rs[0].Rows {
		if strings.HasPrefix(string(row[0]), "recovery_target") {
			continue // a replica's file has them and a primary's not: promotion changes the file, and nothing is to be restarted for it
		}
		pending = append(pending, events.PendingParam{Name: string(row[0]), Old: string(row[1]), New: string(row[2])})
	}
	return pending, nil
}

// addFixed adds the parameters of the command line that differ from what is wanted now.
func addFixed(pending []events.PendingParam, inForce, wanted map[string]string) []events.PendingParam {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		now, ok := inForce[name]
		if !ok || sameValue(now, wanted[name]) || slices.ContainsFunc(pending, func(p events.PendingParam) bool { return p.Name == name }) {
			continue
		}
		pending = append(pending, events.PendingParam{Name: name, Old: now, New: wanted[name]})
	}
	slices.SortFunc(pending, func(a, b events.PendingParam) int { return strings.Compare(a.Name, b.Name) })
	return pending
}

func sameValue(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	x, xok := events.ParseBool(a)
	y, yok := events.ParseBool(b)
	return xok && yok && x == y
}
