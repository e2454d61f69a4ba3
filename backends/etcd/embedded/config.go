package embedded

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Config is one member of an etcd cluster.
type Config struct {
	Name string
	Dir  string
	// ClientURL and PeerURL are where others reach this member.
	ClientURL, PeerURL string
	// ListenClientURLs and ListenPeerURLs are where it listens; by default the URLs above. Behind
	// address translation, or to serve loopback too, name them.
	ListenClientURLs, ListenPeerURLs []string
	// Cluster maps the names of all members, this one included, to their peer URLs.
	Cluster map[string]string
	// Token tells clusters apart; the same for all members.
	Token string
	// Heartbeat and Election are raft's times, 100 ms and 1 s by default. Election is how long the
	// death of the raft leader goes unnoticed, and 1.5 × Election, rounded up to seconds, is the least
	// ttl of a lease. Must be equal on all members; Election must be at least 5 × Heartbeat.
	Heartbeat, Election time.Duration
	// PeerTLS and ClientTLS encrypt, and demand certificates of both sides.
	PeerTLS, ClientTLS TLS
	// QuotaBytes bounds the database, 256 MB by default.
	QuotaBytes int64
	Log        *zap.Logger
}

// TLS is paths. They are read anew for every connection.
type TLS struct{ CACert, Cert, Key string }

func (t TLS) set() bool { return t != TLS{} }

func (t TLS) info() transport.TLSInfo {
	if !t.set() {
		return transport.TLSInfo{}
	}
	return transport.TLSInfo{CertFile: t.Cert, KeyFile: t.Key, TrustedCAFile: t.CACert, ClientCertAuth: true}
}

const (
	defaultHeartbeat = 100 * time.Millisecond
	defaultElection  = time.Second
	defaultQuota     = 256 << 20
	// segmentBytes is what a WAL segment takes on disk; two exist at any time.
	segmentBytes = 8 << 20
	// snapshotCount is how many entries lie between snapshots; half as many stay in memory for slow followers.
	snapshotCount = 10_000
	// keptRevisions are not compacted away, so that watchers can be late.
	keptRevisions = "10000"
	// defragMegabytes of free space in the database are given back at the next start.
	defragMegabytes = 32
	// bootstrapTimeout bounds a question to another member at its peer URL.
	bootstrapTimeout = 2 * time.Second
)

// MinTTL is the least ttl of a lease that a cluster with this configuration grants.
func (c Config) MinTTL() time.Duration {
	election := c.Election
	if election == 0 {
		election = defaultElection
	}
	least := election * 3 / 2
	return (least + time.Second - 1).Truncate(time.Second)
}

func (c *Config) withDefaults() error {
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Election == 0 {
		c.Election = defaultElection
	}
	if c.QuotaBytes == 0 {
		c.QuotaBytes = defaultQuota
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if len(c.ListenClientURLs) == 0 {
		c.ListenClientURLs = []string{c.ClientURL}
	}
	if len(c.ListenPeerURLs) == 0 {
		c.ListenPeerURLs = []string{c.PeerURL}
	}
	switch {
	case c.Name == "" || c.Dir == "" || c.Token == "":
		return errors.New("name, directory and token must be set")
	case c.Cluster[c.Name] != c.PeerURL:
		return fmt.Errorf("the cluster has %q for %s, want its own peer URL %q", c.Cluster[c.Name], c.Name, c.PeerURL)
	case c.Election < 5*c.Heartbeat:
		return fmt.Errorf("election %v must be at least five times heartbeat %v", c.Election, c.Heartbeat)
	}
	for _, u := range append(append([]string{c.ClientURL, c.PeerURL}, c.ListenClientURLs...), c.ListenPeerURLs...) {
		if _, err := parseURLs(u); err != nil {
			return err
		}
	}
	for _, t := range []TLS{c.PeerTLS, c.ClientTLS} {
		if t.set() && (t.CACert == "" || t.Cert == "" || t.Key == "") {
			return errors.New("TLS needs all of cacert, cert and key")
		}
	}
	return nil
}

func parseURLs(texts ...string) ([]url.URL, error) {
	var all []url.URL
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("URL %q: %w", text, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" {
			return nil, fmt.Errorf("URL %q: want http:// or https://, a host and a port", text)
		}
		all = append(all, *u)
	}
	return all, nil
}

// names of the other members, sorted.
func (c *Config) others() []string {
	var all []string
	for name := range c.Cluster {
		if name != c.Name {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// etcd is the configuration in etcd's own words. state is "new" or "existing"; cluster is the
// membership to start with.
func (c *Config) etcd(state string, cluster map[string]string, log *zap.Logger) (*embed.Config, error) {
	e := embed.NewConfig()
	e.Name, e.Dir = c.Name, c.Dir
	var err error
	for _, u := range []struct {
		to   *[]url.URL
		from []string
	}{
		{&e.ListenClientUrls, c.ListenClientURLs}, {&e.AdvertiseClientUrls, []string{c.ClientURL}},
		{&e.ListenPeerUrls, c.ListenPeerURLs}, {&e.AdvertisePeerUrls, []string{c.PeerURL}},
	} {
		if *u.to, err = parseURLs(u.from...); err != nil {
			return nil, err
		}
	}
	var initial []string
	for name, peer := range cluster {
		initial = append(initial, name+"="+peer)
	}
	slices.Sort(initial)
	e.InitialCluster, e.InitialClusterToken, e.ClusterState = strings.Join(initial, ","), c.Token, state
	e.TickMs, e.ElectionMs = uint(c.Heartbeat.Milliseconds()), uint(c.Election.Milliseconds())
	e.PeerTLSInfo, e.ClientTLSInfo = c.PeerTLS.info(), c.ClientTLS.info()
	e.QuotaBackendBytes = c.QuotaBytes
	e.SnapshotCount, e.SnapshotCatchUpEntries = snapshotCount, snapshotCount/2
	e.AutoCompactionMode, e.AutoCompactionRetention = embed.CompactorModeRevision, keptRevisions
	e.BootstrapDefragThresholdMegabytes = defragMegabytes
	e.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	return e, nil
}
