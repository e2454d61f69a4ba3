package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// read gives types to the whole tree.
func (c *Config) read(f *findings) {
	top := &section{findings: f, tree: c.tree, known: map[string]bool{}}
	top.string("scope", &c.Scope)
	top.string("namespace", &c.Namespace)
	c.Namespace = strings.Join(strings.FieldsFunc(c.Namespace, func(r rune) bool { return r == '/' }), "/")
	top.string("name", &c.Name)
	if c.Name == "" {
		pg := &section{findings: f, path: "postgresql", tree: c.tree.get("postgresql"), known: map[string]bool{}}
		pg.string("name", &c.Name)
	}
	c.readLog(top.section("log"))
	c.readRestAPI(top.section("restapi"))
	c.readCtl(top.section("ctl"))
	c.readStores(top)
	c.readBootstrap(top)
	c.readPostgresql(top.section("postgresql"))
	c.readTags(top.section("tags"))
	c.readWatchdog(top)
	c.readRegent(top.section("regent"))
	top.noEffect("goroutines need no pool", "thread_pool_size", "thread_stack_size")
	top.unsupported("citus")
	for _, key := range []string{"ttl", "loop_wait", "retry_timeout", "standby_cluster", "synchronous_mode", "synchronous_mode_strict",
		"maximum_lag_on_failover", "failsafe_mode", "pause"} {
		if top.value(key) != nil {
			top.warn(key, "is ignored here: it belongs to the dynamic configuration (bootstrap.dcs, or regent edit-config)")
		}
	}
	top.done()
}

func (c *Config) readLog(s *section) {
	s.enum("level", &c.Log.Level, "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL")
	switch c.Log.Level {
	case "WARN":
		c.Log.Level = "WARNING"
	case "FATAL":
		c.Log.Level = "CRITICAL"
	}
	s.enum("type", &c.Log.Format, "plain", "json")
	if v := s.value("format"); v != nil {
		if v.kind == kindString && (v.text == "plain" || v.text == "json") {
			c.Log.Format = v.text
		} else {
			s.warn(s.field("format"), "Python's log formats are not supported; the lines are regent's own (log.type: plain or json)")
		}
	}
	s.string("dir", &c.Log.Dir)
	s.unsupported("traceback_level", "dateformat", "static_fields", "file_size", "file_num", "mode", "loggers")
	s.noEffect("the log is written from the recorded events", "max_queue_size", "deduplicate_heartbeat_logs")
	s.done()
}

func (s *section) authentication(into *Authentication) {
	a := s.section("authentication")
	a.string("username", &into.Username)
	a.secret("password", &into.Password)
	a.done()
	if a.present() && (into.Username == "") != (into.Password == "") {
		s.bad("authentication", nil, "want both username and password, or neither")
	}
}

func (c *Config) readRestAPI(s *section) {
	r := &c.RestAPI
	s.address("listen", &r.Listen, false, 8008)
	r.ConnectAddress = r.Listen
	s.address("connect_address", &r.ConnectAddress, false, 8008)
	s.authentication(&r.Authentication)
	for key, into := range map[string]*string{"certfile": &r.CertFile, "keyfile": &r.KeyFile, "cafile": &r.CAFile, "ciphers": &r.Ciphers} {
		s.string(key, into)
	}
	s.secret("keyfile_password", &r.KeyFilePassword)
	s.unsupported("keyfile_password", "ciphers")
	s.enum("verify_client", &r.VerifyClient, "none", "optional", "required")
	s.strings("allowlist", &r.Allowlist, true)
	s.boolean("allowlist_include_members", &r.AllowlistIncludeMembers)
	s.parameters("http_extra_headers", &r.HTTPExtraHeaders)
	s.parameters("https_extra_headers", &r.HTTPSExtraHeaders)
	s.enum("server_tokens", &r.ServerTokens, "Original", "Minimal", "ProductOnly")
	s.noEffect("the operating system's limit is used", "request_queue_size")
	s.noEffect("each request has a goroutine", "thread_pool_size")
	s.done()
	if r.VerifyClient != "none" && r.CertFile == "" {
		s.warn(s.field("verify_client"), "has no effect without certfile: the API is then plain HTTP")
	}
	if r.KeyFile != "" && r.CertFile == "" {
		s.missing("certfile", "keyfile is of no use without it")
	}
}

func (c *Config) readCtl(s *section) {
	t := &c.Ctl
	s.authentication(&t.Authentication)
	s.boolean("insecure", &t.Insecure)
	s.string("cacert", &t.CACert)
	s.string("certfile", &t.CertFile)
	s.string("keyfile", &t.KeyFile)
	s.secret("keyfile_password", &t.KeyFilePassword)
	s.unsupported("keyfile_password")
	s.done()
	if t.Authentication.Username == "" {
		t.Authentication = c.RestAPI.Authentication
	}
	if t.CACert == "" {
		t.CACert = c.RestAPI.CAFile
	}
}

func (c *Config) readBootstrap(top *section) {
	has := top.has("bootstrap")
	s := top.section("bootstrap")
	if !has || !s.present() {
		if v := c.tree.get("bootstrap"); v != nil && v.kind == kindNull {
			top.warn("bootstrap", "is empty: this member never creates a cluster")
		}
		return
	}
	b := &Bootstrap{DCS: []byte("{}")}
	if dcs := s.section("dcs"); dcs.present() {
		doc, err := dcs.tree.json()
		if err != nil {
			s.bad("dcs", dcs.tree, "%v", err)
		} else {
			b.DCS = doc
			c.checkBootstrapDCS(dcs, doc)
		}
	}
	s.options("initdb", &b.Initdb, "pgdata", "nosync", "pwfile", "sync-only", "version")
	s.strings("pg_hba", &b.PgHBA, false)
	s.string("post_init", &b.PostBootstrap)
	s.string("post_bootstrap", &b.PostBootstrap)
	method := "initdb"
	s.string("method", &method)
	if method != "initdb" {
		s.value(method)
		s.bad("method", s.tree.get("method"), "only initdb is supported in this version; remove the key, or create the cluster by hand")
	}
	if s.value("users") != nil {
		s.warn(s.field("users"), "is ignored, as in Patroni since 4.0: create roles in post_bootstrap")
	}
	s.done()
	c.Bootstrap = b
}

func (c *Config) readTags(s *section) {
	t := &c.Tags
	s.boolean("nofailover", &t.NoFailover)
	s.boolean("nosync", &t.NoSync)
	s.boolean("noloadbalance", &t.NoLoadBalance)
	s.boolean("clonefrom", &t.CloneFrom)
	s.boolean("nostream", &t.NoStream)
	s.string("replicatefrom", &t.ReplicateFrom)
	t.FailoverPriority = s.priority("failover_priority")
	t.SyncPriority = s.priority("sync_priority")
	s.conflict("nofailover", t.NoFailover, "failover_priority", t.FailoverPriority)
	s.conflict("nosync", t.NoSync, "sync_priority", t.SyncPriority)
	if !s.present() {
		return
	}
	for _, key := range s.tree.keys {
		if s.known[key] {
			continue
		}
		v := s.value(key)
		if v == nil {
			continue
		}
		if !v.isScalar() {
			s.bad(key, v, "want one value, not %s", v.kind)
			continue
		}
		if t.Extra == nil {
			t.Extra = map[string]any{}
		}
		t.Extra[key] = v.plain()
	}
}

func (s *section) priority(key string) *int {
	if s.value(key) == nil {
		return nil
	}
	n := 0
	s.integer(key, &n, -1<<31, 1<<31-1)
	return &n
}

// conflict warns in Patroni's words when a tag and its priority say different things.
func (s *section) conflict(tag string, set bool, priority string, n *int) {
	if n == nil || !s.has(tag) || set != (*n > 0) {
		return
	}
	word := "False"
	if set {
		word = "True"
	}
	s.warn(s.field(tag), "Conflicting configuration between %s: %s and %s: %d. Defaulting to %s: %s", tag, word, priority, *n, tag, word)
}

func (c *Config) readWatchdog(top *section) {
	w := &c.Watchdog
	s := top.section("watchdog")
	if v := s.value("mode"); v != nil {
		switch text := strings.ToLower(v.parameterText()); {
		case !v.isScalar():
			s.bad("mode", v, "want off, automatic or required")
		case text == "off" || text == "disable" || text == "disabled":
			w.Mode = "off"
		case text == "auto" || text == "automatic":
			w.Mode = "automatic"
		case text == "require" || text == "required":
			w.Mode = "required"
		default:
			s.bad("mode", v, "want off, automatic or required")
		}
	}
	s.string("device", &w.Device)
	s.integer("safety_margin", &w.SafetyMargin, -1, 1<<31-1)
	s.unsupported("driver")
	if s.present() && w.Mode == "required" {
		s.bad("mode", s.tree.get("mode"), "this version does not use the watchdog device: set off, and regent.guard: required for what "+
			"it was for")
	} else if s.present() && w.Mode != "off" {
		s.warn(s.path, "this version does not use the watchdog device; the guard process takes its place (regent.guard)")
	}
	s.done()
}

func (c *Config) readRegent(s *section) {
	r := &c.Regent
	s.enum("guard", &r.Guard, "required", "preferred", "off")
	s.string("runtime_dir", &r.RuntimeDir)
	log := s.section("event_log")
	log.string("dir", &r.EventLog.Dir)
	log.size("segment_size", &r.EventLog.SegmentSizeBytes, 64<<10)
	log.size("max_size", &r.EventLog.MaxSizeBytes, 1<<20)
	if r.EventLog.MaxSizeBytes < 2*r.EventLog.SegmentSizeBytes {
		log.bad("max_size", log.tree.get("max_size"), "want at least twice segment_size (%d bytes), or the newest segment would be removed",
			r.EventLog.SegmentSizeBytes)
	}
	log.done()
	s.done()
	if r.EventLog.Dir == "" && c.Postgresql.DataDir != "" {
		r.EventLog.Dir = filepath.Clean(c.Postgresql.DataDir) + ".events" // its parent belongs to the agent's user as a rule
	}
}

// plain is the scalar as a Go value.
func (v *value) plain() any {
	switch v.kind {
	case kindBool:
		return v.boolean
	case kindInt:
		return float64(v.integer) // as JSON would read it back
	case kindFloat:
		if f, err := parseNumber(v.text); err == nil {
			return f
		}
	}
	return v.text
}

func defaults() *Config {
	return &Config{
		Namespace:  "service",
		Log:        Log{Level: "INFO", Format: "plain"},
		RestAPI:    RestAPI{VerifyClient: "none", ServerTokens: "Original"},
		Postgresql: Postgresql{Database: "postgres", PgCtlTimeout: defaultPgCtlTimeout},
		Watchdog:   Watchdog{Mode: "automatic", Device: "/dev/watchdog", SafetyMargin: 5},
		Regent: Regent{Guard: "preferred",
			EventLog: EventLog{SegmentSizeBytes: 16 << 20, MaxSizeBytes: 512 << 20}},
	}
}

// require checks what the agent cannot run without.
func (c *Config) require(f *findings) {
	top := &section{findings: f, tree: c.tree, known: map[string]bool{}}
	need := func(field, have, why string) {
		if have == "" {
			top.missing(field, why)
		}
	}
	need("name", c.Name, "give this member a name that is unique in the cluster")
	need("scope", c.Scope, "give the cluster a name")
	need("restapi.listen", c.RestAPI.Listen, "set the address that the REST API listens on, for example 0.0.0.0:8008")
	p := &c.Postgresql
	need("postgresql.listen", p.Listen, "set the address that PostgreSQL listens on, for example 0.0.0.0:5432")
	need("postgresql.data_dir", p.DataDir, "set the data directory")
	need("postgresql.authentication.replication.username", p.Replication.Username, "name the role that replicas connect as")
	need("postgresql.authentication.superuser.username", p.Superuser.Username, "name the role that the agent connects as")
	if c.Embedded != nil {
		need("embedded.data_dir", c.Embedded.DataDir, "set the directory of the embedded store")
	}
	if c.Store() == "" && !top.hasAny(patroniStores) { // those are refused already
		top.errs = append(top.errs, fmt.Errorf("no store is configured: add one of the sections %s", strings.Join(supportedStores, ", ")))
	}
	for field, name := range map[string]string{"name": c.Name, "scope": c.Scope} {
		if strings.ContainsAny(name, "/ \t\n") {
			top.bad(field, c.tree.get(field), "want a name without slashes and spaces: it becomes a key of the store")
		}
	}
}
