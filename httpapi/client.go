package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// ClientConfig is the section ctl of the local configuration.
type ClientConfig struct {
	// Username and Password are sent with unsafe methods only: a GET needs none.
	Username, Password string
	// CAFile verifies servers' certificates; the system's store when empty. Insecure verifies nothing.
	CAFile   string
	Insecure bool
	// CertFile and KeyFile are the client's certificate.
	CertFile, KeyFile string
	// Timeout bounds every read; 2 s when zero. Orders are bounded by their context only.
	Timeout time.Duration
	// Dial makes connections, where an ordinary one does not get there.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultReadTimeout = 2 * time.Second
	// warmFor is shorter than the server's idle timeout, so that the client never writes into a connection that
	// the server is just closing.
	warmFor       = idleTimeout - 30*time.Second
	maxReplyBytes = 4 << 20
)

// Client speaks to members' REST APIs, Patroni's and regent's. It may be used from many goroutines and
// keeps connections open.
type Client struct {
	http     *http.Client
	auth     string
	timeout  time.Duration
	transfer *http.Transport
}

// NewClient builds a client. Nothing is dialled.
func NewClient(cfg ClientConfig) (*Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.Insecure} //nolint:gosec // ctl.insecure is the operator's word
	pool, err := certPool(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	t.RootCAs = pool
	if cfg.CertFile != "" {
		pair := &keyPair{certFile: cfg.CertFile, keyFile: cfg.KeyFile}
		if err := pair.load(); err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{*pair.current.Load()}
	}
	c := &Client{timeout: cfg.Timeout, transfer: &http.Transport{
		TLSClientConfig: t, DialContext: cfg.Dial, IdleConnTimeout: warmFor, MaxIdleConnsPerHost: 2, DisableCompression: true,
	}}
	if c.timeout <= 0 {
		c.timeout = defaultReadTimeout
	}
	if cfg.Username != "" || cfg.Password != "" {
		c.auth = "Basic " + basicText(cfg.Username, cfg.Password)
	}
	c.http = &http.Client{
		Transport:     c.transfer,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.transfer.CloseIdleConnections() }

// Reply is what a member answered.
type Reply struct {
	Code int
	Body string
}

// at puts a path in the place of an API address's own: members publish http://host:port/patroni.
func at(api, path string) (string, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("API address %q: want http://host:port or https://host:port", api)
	}
	return u.Scheme + "://" + u.Host + path, nil
}

func (c *Client) do(ctx context.Context, method, api, path string, body any) (Reply, error) {
	target, err := at(api, path)
	if err != nil {
		return Reply{}, err
	}
	var content io.Reader
	if body != nil {
		b, err := encode(body)
		if err != nil {
			return Reply{}, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: %w", method, target, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", typeJSON)
	}
	if c.auth != "" && method != http.MethodGet {
		req.Header.Set("Authorization", c.auth)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: %w", method, target, cause(err))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes))
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: read answer: %w", method, target, err)
	}
	return Reply{resp.StatusCode, string(b)}, nil
}

// cause leaves out what url.Error repeats.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// read gets JSON into a value. The code is not judged: health answers 503 with a body.
func (c *Client) read(ctx context.Context, api, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	reply, err := c.do(ctx, http.MethodGet, api, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(reply.Body), into); err != nil {
		return fmt.Errorf("GET %s%s: answer %d is not the JSON that was expected: %w",
			strings.TrimSuffix(api, "/patroni"), path, reply.Code, err)
	}
	return nil
}

// Warm opens a connection, or uses an open one so that it stays open. Peers are warmed so that asking
// them needs no new connection in an emergency.
func (c *Client) Warm(ctx context.Context, api string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.do(ctx, http.MethodGet, api, "/liveness", nil)
	return err
}

// Patroni reads a member's status.
func (c *Client) Patroni(ctx context.Context, api string) (NodeStatus, error) {
	var n NodeStatus
	err := c.read(ctx, api, "/patroni", &n)
	return n, err
}

// Cluster reads the cluster as a member sees it.
func (c *Client) Cluster(ctx context.Context, api string) (Cluster, error) {
	var cl Cluster
	err := c.read(ctx, api, "/cluster", &cl)
	return cl, err
}

// RegentStatus reads what a member does and why.
func (c *Client) RegentStatus(ctx context.Context, api string) (RegentStatus, error) {
	var st RegentStatus
	err := c.read(ctx, api, "/regent/status", &st)
	return st, err
}

// peerAnswer is what of a status a peer is judged by; wal is the newer spelling of xlog.
type peerAnswer struct {
	State          string           `json:"state"`
	Role           string           `json:"role"`
	Timeline       *events.Timeline `json:"timeline"`
	Xlog           *peerXlog        `json:"xlog"`
	Wal            *peerXlog        `json:"wal"`
	Tags           events.Tags      `json:"tags"`
	WatchdogFailed bool             `json:"watchdog_failed"`
}

type peerXlog struct {
	Location *events.LSN `json:"location"`
	Received *events.LSN `json:"received_location"`
	Replayed *events.LSN `json:"replayed_location"`
}

// PeerStatus asks a member for its state. It never fails: a member that can not be asked, or that tells no
// position in the WAL, is not reachable, and Error says why.
func (c *Client) PeerStatus(ctx context.Context, p events.Peer) events.PeerStatus {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	st := events.PeerStatus{Name: p.Name}
	path := "/patroni"
	if u, err := url.Parse(p.APIURL); err == nil && u.Path != "" {
		path = u.EscapedPath()
	}
	reply, err := c.do(ctx, http.MethodGet, p.APIURL, path+"?"+FreshQuery, nil)
	if err == nil && reply.Code != http.StatusOK {
		err = fmt.Errorf("answer %d", reply.Code)
	}
	var a peerAnswer
	if err == nil {
		err = json.Unmarshal([]byte(reply.Body), &a)
	}
	if err != nil {
		st.Error = err.Error()
		return st
	}
	st.Tags, st.WatchdogFailed = a.Tags, a.WatchdogFailed
	if a.Timeline != nil {
		st.Timeline = *a.Timeline
	}
	xlog := a.Xlog
	if xlog == nil {
		xlog = a.Wal
	}
	if xlog == nil {
		st.Error = "its PostgreSQL does not answer"
		switch a.State {
		case "running", "starting", "restarting", "stopping":
			st.Mute = true
		}
		return st
	}
	st.Reachable, st.Running = true, true
	st.Primary = a.Role == rolePrimary || a.Role == "master"
	for _, l := range []*events.LSN{xlog.Location, xlog.Received, xlog.Replayed} {
		if l != nil {
			st.Position = max(st.Position, *l)
		}
	}
	return st
}
