package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrEmbedded says that the store lives in the agents: what happens to it happens to them.
var ErrEmbedded = errors.New("the embedded store lives in the agents: kill, freeze or stop those")

// server is a server of an external store.
type server struct {
	c    *Cluster
	name string
	host *host
	port int // base
	dir  string
	proc *child
}

func serverName(i int) string { return fmt.Sprintf("s%d", i+1) }

func (c *Cluster) newServer(i int, h *host) *server {
	return &server{c: c, name: serverName(i), host: h, port: c.base + storePortsOffset + i*portsPerProcess, dir: filepath.Join(c.dir, serverName(i))}
}

// address is that of one of the server's ports.
func (s *server) address(port int) string { return s.host.address(s.port + port) }

func (c *Cluster) external() bool { return c.opts.Store != Embedded }

func (c *Cluster) serverAddresses(prefix string) []string {
	var all []string
	for _, s := range c.servers {
		all = append(all, prefix+s.address(portServe))
	}
	return all
}

// StoreServers is the number of servers of the external store.
func (c *Cluster) StoreServers() int { return len(c.servers) }

// StartStore starts the servers that do not run, all or those named by index, and waits until these answer.
func (c *Cluster) StartStore(ctx context.Context, which ...int) error {
	chosen, err := c.choose(which)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		if err := s.start(); err != nil {
			return err
		}
	}
	for _, s := range chosen {
		if err := s.awaitHealth(ctx); err != nil {
			return err
		}
	}
	return nil
}

// StopStore kills the servers of an external store as a crash does, all or those named by index.
func (c *Cluster) StopStore(ctx context.Context, which ...int) error {
	chosen, err := c.choose(which)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		err = errors.Join(err, s.signal(unix.SIGKILL))
	}
	for _, s := range chosen {
		if s.proc.running() {
			err = errors.Join(err, s.proc.wait(ctx))
		}
	}
	return err
}

// FreezeStore stops the servers without ending them: connections stay, and nothing answers.
func (c *Cluster) FreezeStore(which ...int) error { return c.signalStore(unix.SIGSTOP, which) }

// ThawStore lets frozen servers go on.
func (c *Cluster) ThawStore(which ...int) error { return c.signalStore(unix.SIGCONT, which) }

func (c *Cluster) signalStore(sig syscall.Signal, which []int) error {
	chosen, err := c.choose(which)
	for _, s := range chosen {
		err = errors.Join(err, s.signal(sig))
	}
	return err
}

func (c *Cluster) choose(which []int) ([]*server, error) {
	if !c.external() {
		return nil, ErrEmbedded
	}
	if len(which) == 0 {
		return c.servers, nil
	}
	var chosen []*server
	for _, i := range which {
		if i < 0 || i >= len(c.servers) {
			return nil, fmt.Errorf("store server %d: there are %d", i, len(c.servers))
		}
		chosen = append(chosen, c.servers[i])
	}
	return chosen, nil
}

func (s *server) signal(sig syscall.Signal) error {
	if !s.proc.running() {
		return nil
	}
	return send(s.proc.pid, s.c.owns, sig)
}

func (s *server) start() error {
	if s.proc.running() {
		return nil
	}
	if err := s.c.mkdir(s.name); err != nil {
		return fmt.Errorf("start store server %s: %w", s.name, err)
	}
	command := s.etcd
	if s.c.opts.Store == Nats {
		command = s.nats
	}
	cmd, err := command()
	if err == nil {
		s.proc, err = s.c.launch(s.host, "store server "+s.name, cmd, s.dir, s.dir+".log")
	}
	return err
}

// launch starts a program on a host as the user of the cluster, with its output in a file.
func (c *Cluster) launch(h *host, name string, cmd *exec.Cmd, dir, logFile string) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, c.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.credential}
	p, err := h.start(name, cmd)
	return p, errors.Join(err, log.Close())
}

func (s *server) etcd() (*exec.Cmd, error) {
	var initial []string
	for _, o := range s.c.servers {
		initial = append(initial, o.name+"=http://"+o.address(portPeer))
	}
	client, peer := "http://"+s.address(portServe), "http://"+s.address(portPeer)
	return exec.Command(s.c.opts.EtcdServer, "--name", s.name, "--data-dir", filepath.Join(s.dir, "data"), "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", Scope), nil
}

func (s *server) nats() (*exec.Cmd, error) {
	text := fmt.Sprintf("server_name: %s\nlisten: %s\nhttp: %s\njetstream { store_dir: %q, sync_interval: always, max_memory_store: 64M, max_file_store: 1G }\n",
		s.name, s.address(portServe), s.address(portMonitor), filepath.Join(s.dir, "data"))
	if len(s.c.servers) > 1 {
		var routes []string
		for _, o := range s.c.servers {
			routes = append(routes, "nats://"+o.address(portPeer))
		}
		text += fmt.Sprintf("cluster { name: %s, listen: %s, routes: [%s] }\n", Scope, s.address(portPeer), strings.Join(routes, ", "))
	}
	config := filepath.Join(s.dir, "nats.conf")
	return exec.Command(s.c.opts.NatsServer, "-c", config), s.c.writeFile(config, text)
}

// awaitHealth waits until the server says that it can serve.
func (s *server) awaitHealth(ctx context.Context) error {
	url := "http://" + s.address(portServe) + "/health"
	if s.c.opts.Store == Nats {
		url = "http://" + s.address(portMonitor) + "/healthz"
	}
	last := errors.New("no answer")
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		if !s.proc.running() {
			return false, fmt.Errorf("store server %s has ended: %w (see %s.log)", s.name, s.proc.how, s.dir)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		resp, err := s.c.plain.Do(req)
		if err != nil {
			last = err
			return false, nil
		}
		last = errors.Join(fmt.Errorf("answer %s", resp.Status), resp.Body.Close())
		return resp.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for store server %s: %w: %w", s.name, err, last)
	}
	return nil
}
