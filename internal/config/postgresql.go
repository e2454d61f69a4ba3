package config

import (
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Postgresql is the server that this member looks after.
type Postgresql struct {
	Listen         string // hosts:port; becomes listen_addresses and port
	ConnectAddress string // host:port as others reach it; the first of Listen by default
	ProxyAddress   string
	DataDir        string
	ConfigDir      string // DataDir by default
	BinDir         string // the newest installed by default; empty: look in PATH
	BinName        map[string]string
	Database       string
	PgPass         string
	KrbSrvName     string

	Superuser, Replication User
	Rewind                 User // Superuser by default

	UseUnixSocket     bool
	UseUnixSocketRepl bool
	Parameters        map[string]string // as text for postgresql.conf, without the controlled ones
	PgHBA, PgIdent    []string
	CustomConf        string
	RecoveryConf      map[string]string

	CreateReplicaMethods               []string // ["basebackup"] by default
	Basebackup                         []string // options as they stand on the command line
	UsePgRewind                        bool
	RemoveDataDirectoryOnRewindFailure bool
	RemoveDataDirectoryOnDivergence    bool
	PgCtlTimeout                       time.Duration
	Callbacks                          map[string]string // by event: on_start, on_stop, on_restart, on_reload, on_role_change
	PrePromote, BeforeStop             string
}

// User is a role of the database server and how to connect as it.
type User struct {
	Username                       string
	Password                       Secret
	SSLMode, SSLCert, SSLKey       string
	SSLPassword                    Secret
	SSLRootCert, SSLCRL, SSLCRLDir string
	GSSEncMode, ChannelBinding     string
	SSLNegotiation                 string
}

var callbackEvents = []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"}

var binaries = []string{"pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind"}

// controlledParameters may only be set in the DCS, so that all members have the same.
var controlledParameters = map[string]bool{
	"listen_addresses": true, "port": true, "cluster_name": true, "hot_standby": true, "wal_level": true,
	"max_connections": true, "max_wal_senders": true, "max_prepared_transactions": true,
	"max_locks_per_transaction": true, "max_replication_slots": true, "max_worker_processes": true,
	"wal_log_hints": true, "track_commit_timestamp": true, "wal_keep_segments": true, "wal_keep_size": true,
}

func (c *Config) readPostgresql(s *section) {
	p := &c.Postgresql
	s.address("listen", &p.Listen, true, 5432)
	s.address("connect_address", &p.ConnectAddress, false, 5432)
	s.address("proxy_address", &p.ProxyAddress, false, 5432)
	for key, into := range map[string]*string{
		"data_dir": &p.DataDir, "config_dir": &p.ConfigDir, "bin_dir": &p.BinDir, "database": &p.Database,
		"pgpass": &p.PgPass, "krbsrvname": &p.KrbSrvName, "custom_conf": &p.CustomConf,
		"pre_promote": &p.PrePromote, "before_stop": &p.BeforeStop,
	} {
		s.string(key, into)
	}
	names := s.section("bin_name")
	p.BinName = map[string]string{}
	for _, b := range binaries {
		name := ""
		if names.string(b, &name); name != "" {
			p.BinName[b] = name
		}
	}
	names.done()
	c.readUsers(s)
	s.boolean("use_unix_socket", &p.UseUnixSocket)
	s.boolean("use_unix_socket_repl", &p.UseUnixSocketRepl)
	s.boolean("use_pg_rewind", &p.UsePgRewind)
	s.boolean("remove_data_directory_on_rewind_failure", &p.RemoveDataDirectoryOnRewindFailure)
	s.boolean("remove_data_directory_on_diverged_timelines", &p.RemoveDataDirectoryOnDivergence)
	s.duration("pg_ctl_timeout", &p.PgCtlTimeout, time.Second, time.Second)
	s.strings("pg_hba", &p.PgHBA, false)
	s.strings("pg_ident", &p.PgIdent, false)
	for key, list := range map[string][]string{"pg_hba": p.PgHBA, "pg_ident": p.PgIdent} {
		if s.has(key) && len(list) == 0 {
			s.warn(s.field(key), "an empty list changes nothing: the file is left as it is")
		}
	}
	s.parameters("parameters", &p.Parameters)
	c.dropControlled(s)
	s.parameters("recovery_conf", &p.RecoveryConf)
	c.readReplicaMethods(s)
	callbacks := s.section("callbacks")
	p.Callbacks = map[string]string{}
	for _, event := range callbackEvents {
		command := ""
		if callbacks.string(event, &command); command != "" {
			p.Callbacks[event] = command
		}
	}
	callbacks.done()
	if s.value("use_slots") != nil {
		s.warn(s.field("use_slots"), "is ignored here: set it in the dynamic configuration")
	}
	s.unsupported("config_dir", "bin_name", "krbsrvname", "use_unix_socket_repl", "custom_conf", "callbacks", "pre_promote", "before_stop")
	s.unsupported("config_base_name", "parameters_primary", "parameters_replica", "parameters_standby_leader", "rewind",
		"pg_hba_primary", "pg_hba_replica", "pg_hba_standby_leader", "pg_ident_primary", "pg_ident_replica", "pg_ident_standby_leader")
	s.value("name") // taken over by the top level
	s.done()
	p.fillDefaults()
}

func (p *Postgresql) fillDefaults() {
	if p.ConnectAddress == "" && p.Listen != "" {
		if hosts, _, err := SplitHostPort(p.Listen); err == nil {
			first, _, _ := strings.Cut(hosts, ",")
			if first == "*" || first == "0.0.0.0" || first == "::" {
				first = "localhost"
			}
			if strings.Contains(first, ":") {
				first = "[" + first + "]"
			}
			p.ConnectAddress = first + p.Listen[strings.LastIndexByte(p.Listen, ':'):]
		}
	}
	if abs, err := filepath.Abs(p.DataDir); p.DataDir != "" && err == nil {
		p.DataDir = abs // the guard and the server do not share the agent's working directory
	}
	if p.ConfigDir == "" {
		p.ConfigDir = p.DataDir
	}
	if p.BinDir == "" {
		p.BinDir = newestBinDir()
	}
	if p.Rewind.Username == "" {
		p.Rewind = p.Superuser
	}
}

// dropControlled removes parameters that the DCS controls and says so.
func (c *Config) dropControlled(s *section) {
	names := make([]string, 0, len(c.Postgresql.Parameters))
	for name := range c.Postgresql.Parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if controlledParameters[strings.ToLower(name)] {
			delete(c.Postgresql.Parameters, name)
			s.warn(s.field("parameters."+name), "is ignored here, because all members must have the same: %s", controlledRemedy(name))
		}
	}
}

func controlledRemedy(name string) string {
	switch strings.ToLower(name) {
	case "listen_addresses", "port":
		return "it follows postgresql.listen"
	case "cluster_name":
		return "it follows scope"
	}
	return "set it in the dynamic configuration (regent edit-config -p " + name + "=…)"
}

func (c *Config) readUsers(s *section) {
	p := &c.Postgresql
	auth := s.section("authentication")
	if auth.present() {
		readUser(auth.section("superuser"), &p.Superuser)
		readUser(auth.section("replication"), &p.Replication)
		readUser(auth.section("rewind"), &p.Rewind)
		auth.done()
		return
	}
	readUser(s.section("superuser"), &p.Superuser)
	readUser(s.section("replication"), &p.Replication)
	if s.has("pg_rewind") {
		p.UsePgRewind = true
		readUser(s.section("pg_rewind"), &p.Rewind)
		if p.Superuser.Username == "" {
			p.Superuser = p.Rewind
		}
	}
}

func readUser(s *section, u *User) {
	for key, into := range map[string]*string{
		"username": &u.Username, "sslmode": &u.SSLMode, "sslcert": &u.SSLCert, "sslkey": &u.SSLKey,
		"sslrootcert": &u.SSLRootCert, "sslcrl": &u.SSLCRL, "sslcrldir": &u.SSLCRLDir,
		"gssencmode": &u.GSSEncMode, "channel_binding": &u.ChannelBinding, "sslnegotiation": &u.SSLNegotiation,
	} {
		s.string(key, into)
	}
	s.secret("password", &u.Password)
	s.secret("sslpassword", &u.SSLPassword)
	s.unsupported("sslpassword", "sslcrl", "sslcrldir", "gssencmode", "channel_binding", "sslnegotiation")
	s.done()
}

func (c *Config) readReplicaMethods(s *section) {
	p := &c.Postgresql
	key := "create_replica_methods"
	if !s.has(key) && s.has("create_replica_method") {
		key = "create_replica_method"
	}
	s.value("create_replica_methods")
	s.value("create_replica_method")
	s.strings(key, &p.CreateReplicaMethods, true)
	s.options("basebackup", &p.Basebackup, "pgdata", "format", "wal-method", "xlog-method", "gzip", "version",
		"dbname", "host", "port", "username", "password")
	kept := p.CreateReplicaMethods[:0:0]
	for _, m := range p.CreateReplicaMethods {
		if m == "basebackup" {
			kept = append(kept, m)
			continue
		}
		s.value(m)
		s.warn(s.field(key), "method %s: this version of regent supports only basebackup; the method is left out", m)
	}
	if len(kept) == 0 {
		kept = []string{"basebackup"}
	}
	p.CreateReplicaMethods = kept
}
