package pgdriver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/regent-ha/regent/events"
)

// effective is what PostgreSQL is to run with: the local and the dynamic configuration, merged.
type effective struct {
	params   map[string]string // for postgresql.conf, names in lower case
	fixed    map[string]string // for the command line: must agree on all members, or with pg_control
	recovery map[string]string // extra recovery parameters
	hba      []string
	ident    []string
	useSlots bool
	warnings []string
}

// fixedParameter is a parameter that only the dynamic configuration may set.
type fixedParameter struct {
	name, def string
	atLeast   int // zero: not a number
	boolean   bool
	since     int // major version
	// floor tells that a standby must not start with less than the primary had.
	floor func(*controlFile) int
}

var fixedParameters = []fixedParameter{
	{name: "hot_standby", def: "on", boolean: true},
	{name: "wal_level", def: "replica"},
	{name: "max_connections", def: "100", atLeast: 25, floor: func(c *controlFile) int { return c.MaxConnections }},
	{name: "max_wal_senders", def: "10", atLeast: 3, floor: func(c *controlFile) int { return c.MaxWALSenders }},
	{name: "max_prepared_transactions", def: "0", floor: func(c *controlFile) int { return c.MaxPreparedXacts }},
	{name: "max_locks_per_transaction", def: "64", atLeast: 32, floor: func(c *controlFile) int { return c.MaxLocksPerXact }},
	{name: "max_replication_slots", def: "10", atLeast: 4},
	{name: "max_worker_processes", def: "8", atLeast: 2, floor: func(c *controlFile) int { return c.MaxWorkerProcesses }},
	{name: "wal_log_hints", def: "on", boolean: true},
	{name: "track_commit_timestamp", def: "off", boolean: true},
}

// neverFromParameters are set from elsewhere, or by nobody.
var neverFromParameters = map[string]bool{"listen_addresses": true, "port": true, "cluster_name": true,
	"data_directory": true, "config_file": true, "external_pid_file": true}

// recoveryParameters are written with the recovery settings, or are ours alone.
var recoveryParameters = map[string]bool{"restore_command": true, "archive_cleanup_command": true, "recovery_end_command": true,
	"recovery_min_apply_delay": true, "promote_trigger_file": true}

func ownRecoveryParameter(name string) bool {
	return name == "primary_conninfo" || name == "primary_slot_name" || name == "standby_mode" || strings.HasPrefix(name, "recovery_target")
}

// dynamicDocument is the part of the dynamic configuration that PostgreSQL is configured by.
type dynamicDocument struct {
	Postgresql struct {
		Parameters   map[string]any `json:"parameters"`
		RecoveryConf map[string]any `json:"recovery_conf"`
		PgHBA        []string       `json:"pg_hba"`
		PgIdent      []string       `json:"pg_ident"`
		UseSlots     any            `json:"use_slots"`
	} `json:"postgresql"`
	StandbyCluster map[string]any `json:"standby_cluster"`
}

// effective merges the dynamic document with the local configuration. An error names what is wrong and
// means that nothing of the document is to be used.
func (d *Driver) effective(cfg Config, document json.RawMessage) (effective, error) {
	var doc dynamicDocument
	if len(document) > 0 {
		dec := json.NewDecoder(bytes.NewReader(document))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			return effective{}, hinted("read the dynamic configuration", err, "repair it with `regent edit-config`")
		}
	}
	dynamic, err := renderAll("postgresql.parameters", doc.Postgresql.Parameters)
	if err != nil {
		return effective{}, err
	}
	recovery, err := renderAll("postgresql.recovery_conf", doc.Postgresql.RecoveryConf)
	if err != nil {
		return effective{}, err
	}
	e := effective{params: map[string]string{}, fixed: map[string]string{}, recovery: recovery,
		hba: doc.Postgresql.PgHBA, ident: doc.Postgresql.PgIdent, useSlots: true}
	if on, ok := events.ParseBool(doc.Postgresql.UseSlots); ok {
		e.useSlots = on
	}
	if len(cfg.RecoveryConf) > 0 {
		e.recovery = lowerKeys(cfg.RecoveryConf)
	}
	if len(cfg.PgHBA) > 0 {
		e.hba = cfg.PgHBA
	}
	if len(cfg.PgIdent) > 0 {
		e.ident = cfg.PgIdent
	}
	e.fix(dynamic, cfg, d.version)
	e.setDefaults(d.version)
	e.add(dynamic)
	e.add(lowerKeys(cfg.Parameters))
	e.keepSize(d.version)
	if cfg.SocketDir != "" && e.params["unix_socket_directories"] == "" {
		e.params["unix_socket_directories"] = cfg.SocketDir
	}
	standby, err := renderAll("standby_cluster", onlyKeys(doc.StandbyCluster, "restore_command", "archive_cleanup_command"))
	if err != nil {
		return effective{}, err
	}
	maps.Copy(e.recovery, standby)
	maps.DeleteFunc(e.recovery, func(name, _ string) bool { return ownRecoveryParameter(name) })
	return e, errors.Join(checkLines("postgresql.pg_hba", e.hba), checkLines("postgresql.pg_ident", e.ident),
		checkParameters("postgresql.recovery_conf", e.recovery))
}

// retrieveRetry is wal_retrieve_retry_interval where nobody says otherwise. PostgreSQL's 5 s are what a
// replica waits when its slot or its upstream is not there yet, and what a promotion waits that
// meets the death of the WAL receiver (Promote wakes that one, but only as fast as it looks).
const retrieveRetry = "500ms"

func (e *effective) setDefaults(version int) {
	e.params["wal_retrieve_retry_interval"] = retrieveRetry
	if version >= 13 {
		e.params["wal_keep_size"] = "128MB"
		return
	}
	e.params["wal_keep_segments"] = "8"
}

// keepSize turns the setting of the other side of version 13 into the one that this version knows.
func (e *effective) keepSize(version int) {
	if n, ok := e.params["wal_keep_segments"]; ok && version >= 13 {
		if segments, err := strconv.Atoi(n); err == nil && e.params["wal_keep_size"] == "128MB" {
			e.params["wal_keep_size"] = strconv.Itoa(segments*16) + "MB"
		}
		delete(e.params, "wal_keep_segments")
	}
	if version < 13 {
		delete(e.params, "wal_keep_size")
	}
}

func (e *effective) add(params map[string]string) {
	for name, value := range params {
		switch {
		case neverFromParameters[name], ownRecoveryParameter(name), isFixed(name):
		case recoveryParameters[name]:
			e.recovery[name] = value
		default:
			e.params[name] = value
		}
	}
}

func isFixed(name string) bool {
	return slices.ContainsFunc(fixedParameters, func(f fixedParameter) bool { return f.name == name })
}

// fix chooses the command line. A value that would not do is replaced by the default, with a warning.
func (e *effective) fix(dynamic map[string]string, cfg Config, version int) {
	e.fixed["listen_addresses"] = cfg.ListenAddresses
	e.fixed["port"] = strconv.Itoa(cfg.Port)
	e.fixed["cluster_name"] = cfg.Scope
	for _, f := range fixedParameters {
		if version < f.since {
			continue
		}
		value, ok := dynamic[f.name]
		if ok && !f.accepts(value) {
			e.warnings = append(e.warnings, fmt.Sprintf("postgresql parameter %s=%s failed validation, defaulting to %s", f.name, value, f.def))
			ok = false
		}
		if !ok {
			value = f.def
		}
		if f.name == "wal_level" && value == "hot_standby" {
			value = "replica"
		}
		e.fixed[f.name] = value
	}
}

func (f *fixedParameter) accepts(value string) bool {
	switch {
	case f.name == "wal_level":
		return slices.Contains([]string{"hot_standby", "replica", "logical"}, strings.ToLower(value))
	case f.boolean:
		on, ok := events.ParseBool(value)
		return ok && (on || f.name != "hot_standby")
	}
	n, err := strconv.Atoi(value)
	return err == nil && n >= f.atLeast
}

// raiseToFloor makes a standby's settings at least what pg_control says that its primary had:
// PostgreSQL refuses to start otherwise.
func (e *effective) raiseToFloor(c *controlFile) {
	for _, f := range fixedParameters {
		if f.floor == nil {
			continue
		}
		if n, err := strconv.Atoi(e.fixed[f.name]); err == nil && n < f.floor(c) {
			e.fixed[f.name] = strconv.Itoa(f.floor(c))
		}
	}
}

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

// checkParameters refuses what could break a configuration file: a name that is none, a value with
// control characters.
func checkParameters(section string, params map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !parameterName.MatchString(name) {
			errs = append(errs, hinted("check "+section, fmt.Errorf("%q: want the name of a parameter", name), "remove %q from %s", name, section))
		}
		if hasControl(params[name]) {
			errs = append(errs, hinted("check "+section, fmt.Errorf("%s = %q: want no control characters", name, params[name]),
				"correct %s in %s", name, section))
		}
	}
	return errors.Join(errs...)
}

func checkLines(section string, lines []string) error {
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\r\x00") {
			return hinted("check "+section, fmt.Errorf("%q: want one line", line), "split it into one entry for each line")
		}
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func lowerKeys(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out[strings.ToLower(k)] = m[k]
	}
	return out
}

func onlyKeys(m map[string]any, keys ...string) map[string]any {
	out := map[string]any{}
	for _, k := range keys {
		if v, ok := m[k]; ok && v != nil && v != "" {
			out[k] = v
		}
	}
	return out
}

// renderAll turns JSON values into PostgreSQL's text. A null is no setting.
func renderAll(section string, params map[string]any) (map[string]string, error) {
	out := make(map[string]string, len(params))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(params)) {
		switch v := params[name].(type) {
		case nil:
		case bool:
			out[strings.ToLower(name)] = map[bool]string{true: "on", false: "off"}[v]
		case json.Number:
			out[strings.ToLower(name)] = v.String()
		case string:
			out[strings.ToLower(name)] = v
		default:
			errs = append(errs, hinted("check "+section, fmt.Errorf("%s: want a text, a number or a boolean", name), "correct %s in %s", name, section))
		}
	}
	return out, errors.Join(append(errs, checkParameters(section, out))...)
}
