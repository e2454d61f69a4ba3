package config

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regent-ha/regent/events"
)

// The keys of the dynamic configuration that Patroni knows and that regent, in this version, acts on.
var (
	dynamicKeys = []string{"ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover", "primary_start_timeout", "master_start_timeout",
		"primary_stop_timeout", "master_stop_timeout", "member_slots_ttl", "pause", "check_timeline", "max_timelines_history", "postgresql"}
	dynamicPatroniKeys = []string{"synchronous_mode", "synchronous_mode_strict", "synchronous_node_count", "maximum_lag_on_syncnode",
		"primary_race_backoff", "failsafe_mode", "slots", "permanent_replication_slots", "permanent_slots", "ignore_slots",
		"standby_cluster"}
	dynamicPostgresqlKeys = []string{"parameters", "pg_hba", "pg_ident", "use_slots", "use_pg_rewind", "use_unix_socket",
		"use_unix_socket_repl",
		"remove_data_directory_on_rewind_failure", "remove_data_directory_on_diverged_timelines", "recovery_conf", "pg_ctl_timeout",
		"callbacks", "pre_promote", "before_stop", "basebackup", "create_replica_methods", "create_replica_method", "bin_name",
		"custom_conf", "krbsrvname"}
	dynamicPostgresqlPatroniKeys = []string{"rewind", "parameters_primary", "parameters_replica", "parameters_standby_leader",
		"pg_hba_primary", "pg_hba_replica", "pg_hba_standby_leader", "pg_ident_primary", "pg_ident_replica", "pg_ident_standby_leader"}
	localPostgresqlKeys = []string{"connect_address", "proxy_address", "listen", "config_dir", "data_dir", "pgpass", "authentication",
		"bin_dir", "database"}
)

// CheckDynamic looks at a dynamic configuration document: what is wrong with it, and what in it is
// unknown or without effect. The agents keep the value that they had for a field that is wrong.
func CheckDynamic(doc json.RawMessage) ([]Warning, []error) {
	_, errs := events.ParseSettings(doc, events.DefaultSettings())
	if len(doc) == 0 {
		return nil, errs
	}
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		return nil, errs // said already
	}
	f := &findings{}
	f.checkKeys("", m, dynamicKeys, dynamicPatroniKeys)
	if pg, ok := m["postgresql"].(map[string]any); ok {
		methods := replicaMethods(pg)
		f.checkKeys("postgresql.", pg, append(append(methods, dynamicPostgresqlKeys...), localPostgresqlKeys...),
			dynamicPostgresqlPatroniKeys)
		for _, key := range localPostgresqlKeys {
			if _, has := pg[key]; has {
				f.warn("postgresql."+key, "is ignored in the dynamic configuration: it belongs to each member's own file")
			}
		}
		errs = append(errs, f.checkParameters(pg)...)
	}
	sort.SliceStable(f.warnings, func(i, j int) bool { return f.warnings[i].Field < f.warnings[j].Field })
	return f.warnings, errs
}

func replicaMethods(pg map[string]any) []string {
	var names []string
	if list, ok := pg["create_replica_methods"].([]any); ok {
		for _, item := range list {
			names = append(names, fmt.Sprint(item))
		}
	}
	return names
}

func (f *findings) checkKeys(prefix string, m map[string]any, known, patroni []string) {
	for key, v := range m {
		switch {
		case v == nil || contains(known, key):
		case contains(patroni, key):
			f.warn(prefix+key, "is a setting of Patroni's that this version of regent does not support; it is kept and has no effect")
		default:
			hint := ""
			if n := nearest(key, append(append([]string(nil), known...), patroni...)); n != "" {
				hint = "; did you mean " + prefix + n + "?"
			}
			f.warn(prefix+key, "unknown key; it is kept and has no effect%s", hint)
		}
	}
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// leastParameters are the smallest values of the controlled parameters that a cluster can live with.
var leastParameters = map[string]int64{
	"max_connections": 25, "max_wal_senders": 3, "max_prepared_transactions": 0, "max_locks_per_transaction": 32,
	"max_replication_slots": 4, "max_worker_processes": 2, "wal_keep_segments": 1,
}

func (f *findings) checkParameters(pg map[string]any) []error {
	raw, has := pg["parameters"]
	if !has || raw == nil {
		return nil
	}
	parameters, ok := raw.(map[string]any)
	if !ok {
		return []error{&FieldError{Field: "postgresql.parameters", Value: fmt.Sprint(raw), Remedy: "want a mapping of names to values"}}
	}
	names := make([]string, 0, len(parameters))
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, &FieldError{Field: "postgresql.parameters." + name, Value: fmt.Sprint(parameters[name]),
			Remedy: fmt.Sprintf(format, args...)})
	}
	for _, name := range names {
		text := strings.ToLower(fmt.Sprint(parameters[name]))
		switch key := strings.ToLower(name); {
		case parameters[name] == nil:
		case key == "listen_addresses" || key == "port" || key == "cluster_name":
			f.warn("postgresql.parameters."+name, "is ignored: %s", controlledRemedy(name))
		case key == "hot_standby":
			if on, ok := events.ParseBool(parameters[name]); !ok || !on {
				bad(name, "want on: replicas must be readable to be watched")
			}
		case key == "wal_level":
			if text != "hot_standby" && text != "replica" && text != "logical" {
				bad(name, "want replica or logical")
			}
		case key == "wal_log_hints" || key == "track_commit_timestamp":
			if _, ok := events.ParseBool(parameters[name]); !ok {
				bad(name, "want on or off")
			}
		default:
			least, bounded := leastParameters[key]
			n, err := parseNumber(text)
			if bounded && (err != nil || n < float64(least) || n > 262143 && key != "max_locks_per_transaction" &&
				key != "wal_keep_segments") {
				bad(name, "want a whole number, at least %d", least)
			}
		}
		switch parameters[name].(type) {
		case map[string]any, []any:
			bad(name, "want a value")
		}
	}
	return errs
}

// checkBootstrapDCS reports what is wrong with the first dynamic configuration.
func (c *Config) checkBootstrapDCS(s *section, doc json.RawMessage) {
	warnings, errs := CheckDynamic(doc)
	for _, w := range warnings {
		s.warn(s.path+"."+w.Field, "%s", w.Text)
	}
	for _, err := range errs {
		s.errs = append(s.errs, fmt.Errorf("%s.%w", s.path, err))
	}
}

// ParseDocument reads a YAML (or JSON) mapping with the rules of this package and gives it as compact JSON.
func ParseDocument(name string, text []byte) (json.RawMessage, error) {
	v, err := (&yamlReader{file: name}).document(text)
	if err != nil {
		return nil, err
	}
	return v.json()
}

// ParseValue reads one YAML value with the rules of this package and gives it as compact JSON.
func ParseValue(text string) (json.RawMessage, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("read value %q: %w", text, err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return json.RawMessage("null"), nil
	}
	v, err := (&yamlReader{file: "value"}).node(doc.Content[0])
	if err != nil {
		return nil, err
	}
	return v.json()
}
