package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/regent-ha/regent/httpapi"
)

// Scope is the name of every cluster that this package starts.
const Scope = "live"

// Cluster is some members and their store. Its methods may be called from several goroutines, but what they do to one
// member must be in order.
type Cluster struct {
	opts       Options
	dir        string
	base       int // port
	binary     string
	password   string
	credential *syscall.Credential
	env        []string
	members    []*Member
	servers    []*server
	client     *httpapi.Client
	plain      *http.Client // for what the client above does not know
	janitor    *janitor
	room       *room // nil: all on this machine's loopback
	failed     atomic.Bool

	reaping sync.WaitGroup
	stop    context.CancelFunc // of the reaper
	closing sync.Once
	closed  error
}

// Start starts a cluster: the store first, then all agents at once. It returns as soon as they run; WaitHealthy waits for the
// rest. ctx bounds the start alone.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	c := &Cluster{opts: o}
	var err error
	if c.credential, c.env, err = o.account(); err != nil {
		return nil, err
	}
	if c.base, err = o.choosePorts(); err != nil {
		return nil, err
	}
	if err = becomeReaper(); err != nil {
		return nil, err
	}
	reap, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.reaping.Go(func() { reapOrphans(reap) }) // joined by Close
	if err = c.start(ctx); err != nil {
		c.Failed()
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if err = c.makeDirectory(); err != nil {
		return err
	}
	if c.janitor, err = hireJanitor(c.dir, c.opts.KeepOnFail); err != nil {
		return err
	}
	if c.opts.Namespaces {
		if c.room, err = newRoom(); err != nil {
			return err
		}
	}
	if c.client, err = httpapi.NewClient(httpapi.ClientConfig{Timeout: time.Second, Dial: c.dial}); err != nil {
		return err
	}
	c.plain = &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: c.dial}}
	if err = c.placeAll(); err != nil {
		return err
	}
	for _, m := range c.members {
		if err := m.writeFiles(); err != nil {
			return err
		}
	}
	if c.external() {
		if err := c.StartStore(ctx); err != nil {
			return err
		}
	}
	for _, m := range c.members {
		if c.opts.Idle {
			break
		}
		if err := m.StartAgent(); err != nil {
			return err
		}
	}
	c.logf("%d members with store %s, ports from %d, in %s", len(c.members), c.opts.Store, c.base, c.dir)
	return nil
}

// The last parts of hosts' addresses: members from 1, servers of the store from 101.
const storeHosts = 100

// placeAll puts members and servers of the store on hosts.
func (c *Cluster) placeAll() error {
	for i := range c.opts.StoreMembers {
		h, err := c.hostFor(serverName(i), storeHosts+i+1)
		if err != nil {
			return err
		}
		c.servers = append(c.servers, c.newServer(i, h))
	}
	for i := range c.opts.Members {
		h, err := c.hostFor(memberName(i), i+1)
		if err != nil {
			return err
		}
		c.members = append(c.members, c.newMember(i, h))
	}
	if c.room == nil {
		return nil
	}
	return c.room.awaitNetwork()
}

func (c *Cluster) hostFor(name string, number int) (*host, error) {
	if c.room == nil {
		return loopback, nil
	}
	return c.room.addHost(name, number)
}

// dial connects from where the hosts can be reached.
func (c *Cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.room == nil {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return c.room.bridge.dial(ctx, network, address)
}

// Members are all members, by name: n1, n2, …
func (c *Cluster) Members() []*Member { return c.members }

// Member finds a member, nil if there is none of that name.
func (c *Cluster) Member(name string) *Member {
	for _, m := range c.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Dir is where everything of the cluster is.
func (c *Cluster) Dir() string { return c.dir }

// Binary is the copy of regent that the cluster runs.
func (c *Cluster) Binary() string { return c.binary }

// ConfigFile is a member's file, with which regent's other verbs find the store too.
func (c *Cluster) ConfigFile() string { return c.members[0].ConfigFile }

// Failed has Close keep the directory if KeepOnFail is set.
func (c *Cluster) Failed() { c.failed.Store(true) }

func (c *Cluster) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(c.opts.Log, format+"\n", args...) // progress is worth no failure
}

// closePatience bounds the orderly stop of agents, killPatience that of everything by force.
const (
	closePatience = 4 * time.Second
	killPatience  = 20 * time.Second
)

// Close ends every process of the cluster and removes its directory. Agents get a moment for an orderly stop. It may be
// called more than once.
func (c *Cluster) Close() error {
	c.closing.Do(func() { c.closed = c.close() })
	return c.closed
}

func (c *Cluster) close() error {
	var err error
	if !c.opts.Namespaces { // what a killed server leaves in shared memory goes with its namespace
		err = c.stopAgents()
	}
	err = errors.Join(err, c.sweep())
	if c.client != nil {
		c.client.Close()
	}
	if c.plain != nil {
		c.plain.CloseIdleConnections()
	}
	if c.room != nil {
		err = errors.Join(err, c.room.close())
	}
	if err == nil && c.janitor != nil {
		err = c.janitor.dismiss() // if something is left, it stays for the end of this process
	}
	c.stop()
	c.reaping.Wait()
	switch {
	case c.dir == "":
	case c.failed.Load() && c.opts.KeepOnFail:
		c.logf("kept %s", c.dir)
	default:
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	if err != nil {
		return fmt.Errorf("close the cluster: %w", err)
	}
	return nil
}

func (c *Cluster) stopAgents() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if _, err := signalAll(c.owns, nil, syscall.SIGCONT); err != nil {
		return err
	}
	var errs []error
	for _, m := range c.members {
		errs = append(errs, m.signalAgent(syscall.SIGTERM))
	}
	for _, m := range c.members {
		if a := m.current(); a.running() {
			_ = a.wait(ctx) // who is late is killed by the sweep
		}
	}
	return errors.Join(errs...)
}

// owns tells a process of this cluster: its copies of programs, its servers, and PostgreSQL's tools at work for it.
func (c *Cluster) owns(p image) bool {
	if c.dir == "" {
		return false
	}
	if filepath.Dir(p.exe) == filepath.Join(c.dir, "bin") {
		return true
	}
	if c.opts.EtcdServer != "" && filepath.Base(p.exe) == "etcd" && strings.HasPrefix(p.cwd, c.dir+"/") {
		return true
	}
	for _, m := range c.members {
		if p.isPostgres(m.DataDir) || p.isTool(m.DataDir) {
			return true
		}
	}
	return false
}

// sweep kills whatever is left and waits for the children among it.
func (c *Cluster) sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	if err := killAll(ctx, c.owns, nil); err != nil {
		return err
	}
	for _, m := range c.members {
		if a := m.current(); a != nil {
			if err := a.wait(ctx); err != nil {
				return err
			}
		}
	}
	for _, s := range c.servers {
		if s.proc != nil {
			if err := s.proc.wait(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
