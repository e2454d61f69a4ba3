package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// retryEvery is how often a member that cannot start yet looks again.
const retryEvery = 250 * time.Millisecond

// sayEvery is how often it says why it waits.
const sayEvery = 10 * time.Second

// howToStart tells with which cluster state and membership to start.
func (c *Config) howToStart(ctx context.Context) (state string, cluster map[string]string, err error) {
	switch has, err := c.hasData(); {
	case err != nil:
		return "", nil, err
	case has || len(c.Cluster) == 1:
		return embed.ClusterStateFlagNew, c.Cluster, nil // with data, both are ignored
	}
	client, err := c.peerClient()
	if err != nil {
		return "", nil, err
	}
	defer client.CloseIdleConnections()
	waiting, err := c.announce()
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, waiting.close()) }()
	var said time.Time
	for {
		state, cluster, err := c.look(ctx, client)
		if err == nil && state != "" {
			return state, cluster, nil
		}
		if ctx.Err() != nil {
			return "", nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if time.Since(said) >= sayEvery {
			said = time.Now()
			c.Log.Warn("the etcd member has no data and waits", zap.String("name", c.Name), zap.Error(err))
		}
		t := time.NewTimer(retryEvery)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// hasData tells whether the directory holds a member that has started.
func (c *Config) hasData() (bool, error) {
	segments, err := filepath.Glob(filepath.Join(c.Dir, "member", "wal", "*.wal"))
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", c.Dir, err)
	}
	if len(segments) > 0 {
		return true, nil
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "member", "snap", "db")); err == nil {
		return false, fmt.Errorf("%s holds a database without its WAL: move it away to join the cluster anew", c.Dir)
	}
	return false, nil
}

// peerMember is a member as another one tells it at its peer URL.
type peerMember struct {
	ID         uint64   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
}

// look asks the other members once. An error says what is waited for.
func (c *Config) look(ctx context.Context, client *http.Client) (string, map[string]string, error) {
	var missing []string
	for _, name := range c.others() {
		members, waits, err := c.askPeer(ctx, client, c.Cluster[name])
		switch {
		case err != nil:
			missing = append(missing, fmt.Sprintf("%s (%v)", name, err))
		case waits:
		default:
			return c.join(ctx, name, members)
		}
	}
	if len(missing) > 0 {
		return "", nil, fmt.Errorf("no member of the cluster runs, and a new one is formed only when all are there; missing: %v", missing)
	}
	return embed.ClusterStateFlagNew, c.Cluster, nil
}

// join decides from what a running member knows.
func (c *Config) join(ctx context.Context, from string, members []peerMember) (string, map[string]string, error) {
	i := slices.IndexFunc(members, func(m peerMember) bool { return slices.Contains(m.PeerURLs, c.PeerURL) })
	if i >= 0 && len(members[i].ClientURLs) == 0 {
		if members[i].Name == c.Name {
			return embed.ClusterStateFlagNew, c.Cluster, nil // the cluster is being formed
		}
		return embed.ClusterStateFlagExisting, c.membership(members), nil // it was added, and never started
	}
	if i < 0 {
		if err := c.checkKnown(members); err != nil {
			return "", nil, err
		}
	}
	cluster, err := c.replace(ctx, members)
	if err != nil {
		return "", nil, fmt.Errorf("%s runs; waiting for a quorum of the others to take this member, which has no data, "+
			"out of the cluster and in again: %w", from, err)
	}
	return embed.ClusterStateFlagExisting, cluster, nil
}

// checkKnown makes sure that a running cluster that does not know this member is the configured one.
func (c *Config) checkKnown(members []peerMember) error {
	for _, m := range members {
		if !slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(slices.Collect(maps.Values(c.Cluster)), u) }) {
			return fmt.Errorf("the running cluster has a member %s at %v that is not in the configuration of this one: not joining it", m.Name, m.PeerURLs)
		}
	}
	return nil
}

// replace takes this member out of the cluster, where it is in it, and adds it again. Both need a quorum of the
// others; the list is read with quorum first, so nothing is done on the word of one.
func (c *Config) replace(ctx context.Context, known []peerMember) (map[string]string, error) {
	var endpoints []string
	for _, m := range known {
		if !slices.Contains(m.PeerURLs, c.PeerURL) {
			endpoints = append(endpoints, m.ClientURLs...)
		}
	}
	if len(endpoints) == 0 {
		return nil, errors.New("no other member has told its client URL")
	}
	client, err := c.client(endpoints)
	if err != nil {
		return nil, err
	}
	defer client.Close() //nolint:errcheck // the answers were read
	ctx, cancel := context.WithTimeout(ctx, 3*c.Election+bootstrapTimeout)
	defer cancel()
	list, err := client.MemberList(ctx) // linearizable
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	for _, m := range list.Members {
		if !slices.Contains(m.PeerURLs, c.PeerURL) {
			continue
		}
		if len(m.ClientURLs) == 0 && m.Name == "" {
			return c.membershipOf(list), nil // added by an earlier attempt
		}
		c.Log.Warn("the etcd member lost its data: it is taken out of the cluster and joins anew",
			zap.String("name", c.Name), zap.Uint64("former_id", m.ID))
		if _, err := client.MemberRemove(ctx, m.ID); err != nil {
			return nil, fmt.Errorf("remove the former member: %w", err)
		}
	}
	added, err := client.MemberAdd(ctx, []string{c.PeerURL})
	if err != nil {
		return nil, fmt.Errorf("add the member: %w", err)
	}
	return c.membershipOf(&clientv3.MemberListResponse{Members: added.Members}), nil
}

func (c *Config) client(endpoints []string) (*clientv3.Client, error) {
	cfg := clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: bootstrapTimeout}
	if c.ClientTLS.set() {
		t, err := c.ClientTLS.info().ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		cfg.TLS = t
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

func (c *Config) membershipOf(r *clientv3.MemberListResponse) map[string]string {
	var all []peerMember
	for _, m := range r.Members {
		all = append(all, peerMember{Name: m.Name, PeerURLs: m.PeerURLs})
	}
	return c.membership(all)
}

// membership maps names to peer URLs; this member's name is not known to the others yet.
func (c *Config) membership(members []peerMember) map[string]string {
	all := map[string]string{}
	for _, m := range members {
		name := m.Name
		if slices.Contains(m.PeerURLs, c.PeerURL) {
			name = c.Name
		}
		for given, peer := range c.Cluster {
			if name == "" && slices.Contains(m.PeerURLs, peer) {
				name = given
			}
		}
		if len(m.PeerURLs) > 0 {
			all[name] = m.PeerURLs[0]
		}
	}
	return all
}

func (c *Config) peerClient() (*http.Client, error) {
	rt, err := transport.NewTransport(c.PeerTLS.info(), bootstrapTimeout)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	return &http.Client{Transport: rt, Timeout: bootstrapTimeout}, nil
}

// askPeer asks another member for the membership, or learns that it waits as this one does.
func (c *Config) askPeer(ctx context.Context, client *http.Client, peer string) (members []peerMember, waits bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, peer+"/members", nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, false, err
	}
	if resp.StatusCode == waitingStatus && resp.Header.Get(waitingHeader) == c.Token {
		return nil, true, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("answers %s", resp.Status)
	}
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, false, fmt.Errorf("read its list of members: %w", err)
	}
	if len(members) == 0 {
		return nil, false, errors.New("it knows no members")
	}
	return members, false, nil
}
