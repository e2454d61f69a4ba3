package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/etcd/embedded"
	"github.com/regent-ha/regent/backends/nats"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/config"
	"github.com/regent-ha/regent/pgdriver"
	"github.com/regent-ha/regent/pgdriver/fence"
)

// OpenStore opens the store that the configuration names, as an ordinary client of it.
func OpenStore(ctx context.Context, c *config.Config, member string, log *zap.Logger) (backends.Store, error) {
	base := backends.Config{Namespace: c.Namespace, Scope: c.Scope, Member: member, Now: bootclock.Now}
	switch {
	case c.Etcd3 != nil:
		e := c.Etcd3
		return etcd.Open(ctx, etcd.Config{
			Config: base, Endpoints: e.Endpoints, CACert: e.CACert, Cert: e.Cert, Key: e.Key,
			Username: e.Username, Password: e.Password.Reveal(), Log: log,
		})
	case c.Embedded != nil:
		e := c.Embedded
		cfg := etcd.Config{Config: base, CACert: e.TLS.CACert, Cert: e.TLS.Cert, Key: e.TLS.Key, MinTTL: embeddedConfig(c, log).MinTTL(), Log: log}
		for _, m := range e.Members {
			cfg.Endpoints = append(cfg.Endpoints, scheme(e.TLS)+m.Client)
		}
		return etcd.Open(ctx, cfg)
	case c.Nats != nil:
		n := c.Nats
		return nats.Open(ctx, nats.Config{
			Config: base, Servers: n.Servers, Bucket: n.Bucket, Replicas: n.Replicas, Domain: n.Domain, ClockSkew: n.ClockSkew,
			Credentials: n.Credentials, NKeySeed: n.NKey, User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(),
			CAFile: n.CACert, CertFile: n.Cert, KeyFile: n.Key, Log: log,
		})
	}
	return nil, fmt.Errorf("no store is configured: want one of the sections etcd3, embedded or nats")
}

func scheme(t config.TLS) string {
	if t.CACert != "" || t.Cert != "" {
		return "https://"
	}
	return "http://"
}

// embeddedConfig is the etcd member inside this agent.
func embeddedConfig(c *config.Config, log *zap.Logger) embedded.Config {
	e := c.Embedded
	out := embedded.Config{
		Name: c.Name, Dir: e.DataDir, Token: e.Token, Cluster: map[string]string{},
		ClientURL: scheme(e.TLS) + e.AdvertiseClient, PeerURL: scheme(e.PeerTLS) + e.AdvertisePeer,
		ListenClientURLs: []string{scheme(e.TLS) + e.ListenClient}, ListenPeerURLs: []string{scheme(e.PeerTLS) + e.ListenPeer},
		Heartbeat: time.Duration(e.HeartbeatMS) * time.Millisecond, Election: time.Duration(e.ElectionMS) * time.Millisecond,
		ClientTLS: embedded.TLS(e.TLS), PeerTLS: embedded.TLS(e.PeerTLS), Log: log,
	}
	for _, m := range e.Members {
		out.Cluster[m.Name] = scheme(e.PeerTLS) + m.Peer
	}
	return out
}

func driverConfig(c *config.Config, log *zap.Logger) (pgdriver.Config, error) {
	p := &c.Postgresql
	host, port, err := listenAddress(p.Listen)
	if err != nil {
		return pgdriver.Config{}, err
	}
	out := pgdriver.Config{
		Name: c.Name, Scope: c.Scope, DataDir: p.DataDir, BinDir: p.BinDir, ListenAddresses: host, Port: port, Database: p.Database,
		Superuser: credentials(p.Superuser), Replication: credentials(p.Replication), Rewind: credentials(p.Rewind),
		Parameters: p.Parameters, PgHBA: p.PgHBA, PgIdent: p.PgIdent, RecoveryConf: p.RecoveryConf, PgPass: p.PgPass,
		UseUnixSocket: p.UseUnixSocket, Basebackup: p.Basebackup, StartTimeout: p.PgCtlTimeout,
		Now: bootclock.Now, Log: log,
	}
	if c.Bootstrap != nil {
		out.Initdb, out.BootstrapHBA, out.PostBootstrap, out.BootstrapDynamic = c.Bootstrap.Initdb, c.Bootstrap.PgHBA, c.Bootstrap.PostBootstrap, c.Bootstrap.DCS
	}
	return out, nil
}

func credentials(u config.User) pgdriver.Credentials {
	return pgdriver.Credentials{
		Username: u.Username, Password: u.Password.Reveal(), SSLMode: u.SSLMode,
		SSLRootCert: u.SSLRootCert, SSLCert: u.SSLCert, SSLKey: u.SSLKey,
	}
}

// listenAddress splits postgresql.listen at its last colon; several hosts may stand before it.
func listenAddress(listen string) (hosts string, port int, err error) {
	i := strings.LastIndex(listen, ":")
	if i < 0 {
		return listen, 5432, nil
	}
	port, err = strconv.Atoi(listen[i+1:])
	if err != nil {
		return "", 0, fmt.Errorf("postgresql.listen = %q: want host:port", listen)
	}
	return listen[:i], port, nil
}

func apiConfig(c *config.Config, peers *httpapi.Client, log *zap.Logger) httpapi.Config {
	r := &c.RestAPI
	headers := map[string]string{}
	for k, v := range r.HTTPExtraHeaders {
		headers[k] = v
	}
	if r.CertFile != "" {
		for k, v := range r.HTTPSExtraHeaders {
			headers[k] = v
		}
	}
	return httpapi.Config{
		Listen: r.Listen, ConnectAddress: r.ConnectAddress, Username: r.Authentication.Username, Password: r.Authentication.Password.Reveal(),
		CertFile: r.CertFile, KeyFile: r.KeyFile, CAFile: r.CAFile, VerifyClient: httpapi.VerifyClient(r.VerifyClient),
		Allowlist: r.Allowlist, AllowlistIncludeMembers: r.AllowlistIncludeMembers, ExtraHeaders: headers, ServerTokens: r.ServerTokens,
		Peers: peers, Log: log,
	}
}

// ClientConfig is how members' REST APIs are reached.
func ClientConfig(c *config.Config) httpapi.ClientConfig {
	return httpapi.ClientConfig{
		Username: c.Ctl.Authentication.Username, Password: c.Ctl.Authentication.Password.Reveal(), CAFile: c.Ctl.CACert,
		Insecure: c.Ctl.Insecure, CertFile: c.Ctl.CertFile, KeyFile: c.Ctl.KeyFile,
	}
}

// openFence maps the guard's page; nil when the guard is off.
func openFence(c *config.Config, log *zap.Logger) (*fence.Fence, error) {
	if c.Regent.Guard == "off" {
		return nil, nil
	}
	dir := c.Regent.RuntimeDir
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("regent-%d", os.Getuid()))
		if err := os.MkdirAll("/run/regent", 0o700); err == nil {
			dir = "/run/regent"
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own program, to start the guard: %w", err)
	}
	return fence.New(fence.Config{
		RuntimeDir: dir, DataDir: c.Postgresql.DataDir, Identity: c.Scope + "/" + c.Name,
		Executable: []string{self, "guard"}, Now: bootclock.Now, Log: log,
	})
}

// memberConfig is the engine's share of the configuration, with the store's own bounds.
func memberConfig(c *config.Config, l backends.Limits) events.MemberConfig {
	m := c.MemberConfig()
	m.MinTTL, m.WholeSecondTTL = l.MinTTL, l.WholeSecondTTL
	m.UsePgRewind = c.Postgresql.UsePgRewind
	m.RemoveDataDirectoryOnRewindFailure = c.Postgresql.RemoveDataDirectoryOnRewindFailure
	m.RemoveDataDirectoryOnDivergence = c.Postgresql.RemoveDataDirectoryOnDivergence
	return m
}

// checkPort refuses an address that somebody else listens on, by name, before anything was started.
func checkPort(what, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, address, err)
	}
	return l.Close()
}
