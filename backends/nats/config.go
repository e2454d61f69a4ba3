package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
)

// Config says which servers to use, as whom, and which bucket.
type Config struct {
	backends.Config
	// Servers are URLs, nats://host:4222 or tls://host:4222; a bare host:port will do. The other servers of
	// their cluster are learned from them.
	Servers []string

	// At most one way to log in: a credentials file, an nkey seed file, a token, or user and password.
	Credentials string
	NKeySeed    string
	Token       string
	User        string
	Password    string

	// TLS: files in PEM. CAFile alone verifies the servers; CertFile and KeyFile identify this client.
	CAFile, CertFile, KeyFile string

	// Bucket is regent-<namespace> by default; clusters of a namespace share it.
	Bucket string
	// Replicas of the bucket: when it is created, 3 on a clustered server and 1 on a single one by default. Where
	// it is given, an existing bucket is changed to it.
	Replicas int
	// Domain is the JetStream domain, where the servers are leaf nodes of one.
	Domain string
	// ClockSkew is by how much the wall clocks of the servers may differ: leases stay in the store for
	// so much longer than is promised to their holder. Whole seconds, rounded up.
	ClockSkew time.Duration
	Log       *zap.Logger
}

// Bounds of the connection's own timing. They are short because a lease waits for them.
const (
	dialTimeout   = 1500 * time.Millisecond
	pingInterval  = 700 * time.Millisecond
	pingsMissed   = 2
	reconnectWait = 200 * time.Millisecond
)

// validate checks the configuration and fills in what was left out.
func (c *Config) validate() error {
	var errs []error
	need := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	need(len(c.Servers) > 0, "nats servers: want at least one URL")
	need(c.Namespace != "" && c.Scope != "" && c.Member != "", "namespace, scope and member name: want all three")
	need(c.Now != nil, "boot clock: want a function")
	need(!strings.Contains(c.Member, "/"), "member name: want it without slashes")
	ways := 0
	for _, way := range []bool{c.Credentials != "", c.NKeySeed != "", c.Token != "", c.User != ""} {
		if way {
			ways++
		}
	}
	need(ways <= 1, "nats login: want one of credentials file, nkey seed file, token, user")
	need(c.Password == "" || c.User != "", "nats password: want a user with it")
	need((c.CertFile == "") == (c.KeyFile == ""), "nats tls: want certificate and key together")
	need(c.Replicas >= 0 && c.Replicas <= 5, "nats replicas: want 1 to 5")
	need(c.ClockSkew >= 0, "nats clock skew: want no negative one")
	if c.Bucket == "" {
		c.Bucket = bucketName(c.Namespace)
	}
	need(legalBucket(c.Bucket), fmt.Sprintf("nats bucket %q: want letters, digits, underscores and dashes", c.Bucket))
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return errors.Join(errs...)
}

func legalBucket(name string) bool {
	for i := range len(name) {
		if !plain(name[i]) {
			return false
		}
	}
	return name != ""
}

// options are those of one connection.
func (c *Config) options(purpose string) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(fmt.Sprintf("regent %s/%s %s", c.Scope, c.Member, purpose)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsMissed),
		nats.FlusherTimeout(dialTimeout),
		// A request that cannot be sent now must fail now: a buffered one would leave at a time nobody knows.
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
	}
	switch {
	case c.Credentials != "":
		opts = append(opts, nats.UserCredentials(c.Credentials))
	case c.NKeySeed != "":
		nkey, err := nats.NkeyOptionFromSeed(c.NKeySeed)
		if err != nil {
			return nil, fmt.Errorf("read nkey seed %s: %w", c.NKeySeed, err)
		}
		opts = append(opts, nkey)
	case c.Token != "":
		opts = append(opts, nats.Token(c.Token))
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, c.Password))
	}
	if c.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("read nats client certificate: %w", err)
		}
		opts = append(opts, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return opts, nil
}
