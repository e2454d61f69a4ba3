package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The addresses of hosts are private to the namespaces: no packet leaves them, and the machine has no route to them.
const (
	subnet     = "10.213.77."
	bridgeHost = 254
)

// room is the network that hosts stand in: a bridge in a namespace of its own, where whoever watches stands too. Cuts are between
// hosts, so that the watchers reach every host that is up.
type room struct {
	home, bridge *namespace
	hosts        []*host
}

// host is where processes run and have their address: a namespace in a room, or, without one, the loopback address of this machine.
type host struct {
	name string
	ip   string
	ns   *namespace // nil: this machine
	room *room
	cuts map[string]cut
}

var loopback = &host{name: "this machine", ip: "127.0.0.1"}

// checkNamespaces says what is missing before anything is made.
func checkNamespaces() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("hosts that are network namespaces need root: run this as root (PostgreSQL and the agents run as another user)"))
	}
	for program, pkg := range map[string]string{"ip": "iproute2", "nft": "nftables"} {
		if _, err := findAdmin(program); err != nil {
			errs = append(errs, fmt.Errorf("hosts that are network namespaces need the program %s (Debian's package %s): %w", program, pkg, err))
		}
	}
	return errors.Join(errs...)
}

// findAdmin looks where root's programs are, too.
func findAdmin(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	return path, err
}

// setupPatience bounds a change of the network.
const setupPatience = 20 * time.Second

func newRoom() (*room, error) {
	r := &room{}
	var err error
	if r.home, err = homeNamespace(); err != nil {
		return nil, err
	}
	if r.bridge, err = r.home.makeNamespace(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	err = ip(r.bridge, "link set lo up", "link add room type bridge", fmt.Sprintf("addr add %s%d/24 dev room", subnet, bridgeHost), "link set room up")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the network of the hosts: %w", err), r.close())
	}
	return r, nil
}

// addHost makes a host with a number from 1 to 253 as its address. It can be reached once awaitNetwork says so.
func (r *room) addHost(name string, number int) (*host, error) {
	h := &host{name: name, ip: fmt.Sprint(subnet, number), room: r, cuts: map[string]cut{}}
	var err error
	if h.ns, err = r.home.makeNamespace(); err != nil {
		return nil, err
	}
	r.hosts = append(r.hosts, h)
	port := "to-" + name
	if err = ip(r.bridge, fmt.Sprintf("link add %s type veth peer name room netns %s", port, h.ns.path()), fmt.Sprintf("link set %s master room up", port)); err == nil {
		err = ip(h.ns, "link set lo up", fmt.Sprintf("addr add %s/24 dev room", h.ip), "link set room up")
	}
	if err == nil {
		err = h.awaitNetwork()
	}
	if err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	return h, nil
}

// ip runs commands of the program ip in a namespace.
func ip(n *namespace, commands ...string) error {
	program, err := findAdmin("ip")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupPatience)
	defer cancel()
	return n.run(ctx, strings.Join(commands, "\n")+"\n", program, "-batch", "-")
}

// plug joins the host to its room, or takes its cable out: nobody is told that it has gone.
func (h *host) plug(in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	err := ip(h.ns, "link set room "+state)
	if err == nil && in {
		err = h.awaitNetwork()
	}
	if err != nil {
		return fmt.Errorf("the network of host %s: %w", h.name, err)
	}
	return nil
}

// awaitNetwork waits until all hosts can be reached.
func (r *room) awaitNetwork() error {
	for _, h := range r.hosts {
		if err := h.awaitNetwork(); err != nil {
			return fmt.Errorf("wait for the network of host %s: %w", h.name, err)
		}
	}
	return nil
}

// awaitNetwork waits until the host can be reached: the kernel takes up to a second to believe in a link. A port that nobody
// listens on answers, too.
func (h *host) awaitNetwork() error {
	ctx, cancel := context.WithTimeout(context.Background(), setupPatience)
	defer cancel()
	return poll(ctx, time.Millisecond, func() (bool, error) {
		try, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		c, err := h.room.bridge.dial(try, "tcp", h.address(1))
		if err == nil {
			err = c.Close()
			return err == nil, err
		}
		return errors.Is(err, syscall.ECONNREFUSED), nil // anything else is asked again
	})
}

func (h *host) address(port int) string { return net.JoinHostPort(h.ip, fmt.Sprint(port)) }

// start starts a process on the host.
func (h *host) start(name string, cmd *exec.Cmd) (*child, error) {
	if h.ns == nil {
		return startChild(name, cmd)
	}
	var c *child
	err := h.ns.do(func() error {
		var err error
		c, err = startChild(name, cmd)
		return err
	})
	return c, err
}

// close lets the kernel remove what no process is in any more.
func (r *room) close() error {
	var errs []error
	for _, n := range []*namespace{r.home, r.bridge} {
		if n != nil {
			errs = append(errs, n.close())
		}
	}
	for _, h := range r.hosts {
		errs = append(errs, h.ns.close())
	}
	return errors.Join(errs...)
}
