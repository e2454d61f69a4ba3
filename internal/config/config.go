package config

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// Config is a member's local configuration. Fields left out in the file have their defaults.
type Config struct {
	Scope     string // name of the cluster
	Namespace string // without slashes around it, "service" by default
	Name      string // of this member, unique in the cluster

	Log     Log
	RestAPI RestAPI
	Ctl     Ctl

	// Exactly one of these is set in the agent's configuration.
	Etcd3    *Etcd3
	Embedded *Embedded
	Nats     *Nats

	// Bootstrap is nil where the file has no such section: the member then never creates a cluster.
	Bootstrap  *Bootstrap
	Postgresql Postgresql
	Tags       events.Tags
	Watchdog   Watchdog
	Regent     Regent

	// Sources are the files that were read, in order, with "environment" last if it had a say.
	Sources []string

	tree *value
}

// Log says where the agent's log goes.
type Log struct {
	Level  string // DEBUG, INFO, WARNING, ERROR or CRITICAL
	Format string // plain or json (Patroni's log.type)
	Dir    string // empty: standard error
}

// Authentication is a name and password for HTTP.
type Authentication struct {
	Username string
	Password Secret
}

// RestAPI is the member's REST API.
type RestAPI struct {
	Listen                  string // host:port
	ConnectAddress          string // host:port as others reach it, Listen by default
	Authentication          Authentication
	CertFile, KeyFile       string
	KeyFilePassword         Secret
	CAFile                  string
	Ciphers                 string
	VerifyClient            string // none, optional or required
	Allowlist               []string
	AllowlistIncludeMembers bool
	HTTPExtraHeaders        map[string]string
	HTTPSExtraHeaders       map[string]string
	ServerTokens            string // Original, Minimal or ProductOnly
}

// Ctl is how the operator's tools, and members among themselves, reach the REST APIs.
type Ctl struct {
	Authentication    Authentication // restapi.authentication by default
	Insecure          bool           // do not verify servers' certificates
	CACert            string         // restapi.cafile by default
	CertFile, KeyFile string         // client certificate; none by default, as in Patroni
	KeyFilePassword   Secret
}

// Etcd3 is an external etcd.
type Etcd3 struct {
	Endpoints         []string // URLs
	Protocol          string   // http or https
	CACert, Cert, Key string
	Username          string
	Password          Secret
}

// Embedded is an etcd server inside the agent.
type Embedded struct {
	DataDir         string
	ListenClient    string // host:port
	ListenPeer      string // host:port
	AdvertiseClient string // host:port as others reach it; ListenClient by default
	AdvertisePeer   string // host:port as others reach it; the member's own entry in Members by default
	// Members are all voters of the store by name, this one too, sorted by name.
	Members []EmbeddedMember
	// State is "new" for the store's first start, "existing" for a member that joins later.
	State string
	Token string
	// ElectionMS must be at least five times HeartbeatMS, or a lost packet is an election.
	HeartbeatMS, ElectionMS int
	TLS                     TLS // for clients and for peers; empty: none
	PeerTLS                 TLS // for peers, TLS by default
}

// EmbeddedMember is one voter of the embedded store.
type EmbeddedMember struct {
	Name   string
	Peer   string // host:port
	Client string // host:port; the peer's host with the port of the client address by default
}

// TLS names certificate files.
type TLS struct {
	CACert, Cert, Key string
}

// Nats is an external NATS with JetStream.
type Nats struct {
	Servers           []string
	Bucket            string // the adapter's default where empty
	Replicas          int    // zero: 3 on clustered servers, 1 on a single one
	ClockSkew         time.Duration
	Domain            string
	Credentials       string // file
	NKey              string // file with a seed
	User              string
	Password, Token   Secret
	CACert, Cert, Key string
}

// Bootstrap is how a new cluster is made.
type Bootstrap struct {
	DCS           json.RawMessage // the first dynamic configuration, compact JSON, keys as written
	Initdb        []string        // options as they stand on the command line
	PgHBA         []string
	PostBootstrap string
}

// Watchdog is the machine's watchdog device.
type Watchdog struct {
	Mode         string // off, automatic or required
	Device       string
	SafetyMargin int // seconds; -1: half the ttl
}

// Regent are settings that Patroni has not.
type Regent struct {
	Guard      string // required, preferred or off
	RuntimeDir string // of the guard, on a tmpfs; empty: /run/regent, or where the agent may write
	EventLog   EventLog
}

// EventLog says where the recorded events go.
type EventLog struct {
	Dir              string // <data_dir>.events by default
	SegmentSizeBytes int64
	MaxSizeBytes     int64 // older segments are removed beyond it
}

// Store names the kind of store that is configured: etcd3, embedded or nats, empty for none.
func (c *Config) Store() string {
	switch {
	case c.Etcd3 != nil:
		return "etcd3"
	case c.Embedded != nil:
		return "embedded"
	case c.Nats != nil:
		return "nats"
	}
	return ""
}

// APIURL is the address that the member publishes for its REST API.
func (c *Config) APIURL() string {
	if c.RestAPI.ConnectAddress == "" {
		return ""
	}
	scheme := "http"
	if c.RestAPI.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + c.RestAPI.ConnectAddress + "/patroni"
}

// MemberConfig is what decisions depend on. MinTTL and WholeSecondTTL are the store's to fill in.
func (c *Config) MemberConfig() events.MemberConfig {
	m := events.MemberConfig{
		Name: c.Name, Scope: c.Scope, APIURL: c.APIURL(), Tags: c.Tags, GuardPolicy: c.Regent.Guard,
		ConnURL: "postgres://" + c.Postgresql.ConnectAddress + "/" + c.Postgresql.Database,
	}
	if c.Postgresql.ProxyAddress != "" {
		m.ProxyURL = "postgres://" + c.Postgresql.ProxyAddress + "/" + c.Postgresql.Database
	}
	if c.Bootstrap != nil {
		m.CanBootstrap, m.Bootstrap = true, c.Bootstrap.DCS
	}
	return m
}
