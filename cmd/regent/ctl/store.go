package ctl

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/nats"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/config"
)

// storeMember is the name under which the tools open the store. They never write a member's record.
const storeMember = "regent-ctl"

// openStore opens the store that the configuration names. An embedded store is reached as what it is,
// an etcd, at its members' client addresses.
func openStore(ctx context.Context, c *config.Config, scope string) (backends.Store, error) {
	base := backends.Config{Namespace: c.Namespace, Scope: scope, Member: storeMember, Now: bootclock.Now}
	switch {
	case c.Etcd3 != nil:
		e := c.Etcd3
		return opened(etcd.Open(ctx, etcd.Config{Config: base, Endpoints: e.Endpoints, CACert: e.CACert, Cert: e.Cert, Key: e.Key,
			Username: e.Username, Password: e.Password.Reveal()}))
	case c.Embedded != nil:
		e := c.Embedded
		return opened(etcd.Open(ctx, etcd.Config{Config: base, Endpoints: e.ClientURLs(), CACert: e.TLS.CACert, Cert: e.TLS.Cert,
			Key: e.TLS.Key}))
	case c.Nats != nil:
		n := c.Nats
		return opened(nats.Open(ctx, nats.Config{Config: base, Servers: n.Servers, Credentials: n.Credentials, NKeySeed: n.NKey,
			Token: n.Token.Reveal(), User: n.User, Password: n.Password.Reveal(), CAFile: n.CACert, CertFile: n.Cert, KeyFile: n.Key,
			Bucket: n.Bucket, Replicas: n.Replicas, Domain: n.Domain, ClockSkew: n.ClockSkew}))
	}
	return nil, fail("no store is configured: name the configuration file with -c/--config-file, a store with -d/--dcs-url, or a " +
		"member's REST API with -u/--url")
}

// opened keeps a nil adapter from becoming an interface that is not nil.
func opened[S backends.Store](s S, err error) (backends.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// useDCSURL replaces the store of the configuration by [scheme://][host][:port][/namespace].
func useDCSURL(c *config.Config, text string) error {
	form := text
	if !strings.Contains(form, "://") {
		form = "etcd3://" + form
	}
	u, err := url.Parse(form)
	if err != nil {
		return fail("Can not parse DCS URL %q: want [scheme://][host][:port][/namespace]", text)
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	old := *c
	c.Etcd3, c.Embedded, c.Nats = nil, nil, nil
	switch u.Scheme {
	case "etcd", "etcd3", "http", "https":
		e := &config.Etcd3{Protocol: "http"}
		if old.Etcd3 != nil { // its certificates and credentials still hold
			*e = *old.Etcd3
		}
		if u.Scheme == "https" {
			e.Protocol = "https"
		}
		if port == "" {
			port = "2379"
		}
		e.Endpoints = []string{e.Protocol + "://" + net.JoinHostPort(host, port)}
		c.Etcd3 = e
	case "nats", "tls":
		n := &config.Nats{}
		if old.Nats != nil {
			*n = *old.Nats
		}
		if port == "" {
			port = "4222"
		}
		n.Servers = []string{u.Scheme + "://" + net.JoinHostPort(host, port)}
		c.Nats = n
	default:
		return fail("Unknown dcs scheme: %s", u.Scheme)
	}
	if namespace := strings.Trim(u.Path, "/"); namespace != "" {
		c.Namespace = namespace
	}
	return nil
}
