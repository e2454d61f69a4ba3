package etcd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
)

// Config says where etcd is and how to prove who we are.
type Config struct {
	backends.Config
	// Endpoints are host:port or URLs. All are used; the order says nothing.
	Endpoints []string
	// CACert, Cert and Key are paths. With CACert, or an https endpoint, connections are encrypted.
	// Certificates are read anew for every connection, so they may be replaced in place.
	CACert, Cert, Key string
	// Username and Password are for etcd's own authentication; empty: none.
	Username, Password string
	// DialTimeout bounds one attempt to connect. One second by default: more delays the recovery
	// from a network that drops packets.
	DialTimeout time.Duration
	// MinTTL is the least ttl that the servers grant: 1.5 election timeouts, rounded up. Two
	// seconds by default, which is right for etcd's default of 1 s.
	MinTTL time.Duration
	Log    *zap.Logger
}

const defaultDialTimeout = time.Second

// target is one server.
type target struct {
	addr string // host:port
	tls  *tls.Config
}

func (c *Config) withDefaults() error {
	switch {
	case c.Scope == "" || c.Member == "":
		return errors.New("scope and member must be set")
	case c.Now == nil:
		return errors.New("the boot clock (Now) must be set")
	case len(c.Endpoints) == 0:
		return errors.New("no endpoints")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("cert and key belong together")
	case (c.Username == "") != (c.Password == ""):
		return errors.New("username and password belong together")
	}
	if c.Namespace == "" {
		c.Namespace = "service"
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = defaultDialTimeout
	}
	if c.MinTTL == 0 {
		c.MinTTL = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return nil
}

func (c *Config) targets() ([]target, error) {
	var all []target
	for _, e := range c.Endpoints {
		addr, secure, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		t := target{addr: addr}
		if secure || c.CACert != "" || c.Cert != "" {
			if t.tls, err = c.tlsConfig(); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	return all, nil
}

func (c *Config) tlsConfig() (*tls.Config, error) {
	info := transport.TLSInfo{TrustedCAFile: c.CACert, CertFile: c.Cert, KeyFile: c.Key}
	t, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	return t, nil
}

// parseEndpoint reads host:port or a URL; without a port it is etcd's 2379.
func parseEndpoint(e string) (addr string, secure bool, err error) {
	if strings.Contains(e, "://") {
		u, err := url.Parse(e)
		if err != nil {
			return "", false, fmt.Errorf("endpoint %q: %w", e, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" {
			return "", false, fmt.Errorf("endpoint %q: want http or https, not %q", e, u.Scheme)
		}
		e, secure = u.Host, u.Scheme == "https"
	}
	if e == "" {
		return "", false, errors.New("an endpoint is empty")
	}
	if _, _, err := net.SplitHostPort(e); err != nil {
		e = net.JoinHostPort(strings.Trim(e, "[]"), "2379")
	}
	return e, secure, nil
}
