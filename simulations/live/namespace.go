package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network of its own, and shared memory of its own. It has no name, and nothing holds it but its file here and the
// processes in it: when these have ended, the kernel removes it with its links, addresses and rules.
type namespace struct {
	home  *namespace // of this process
	files []*os.File // network and shared memory
}

// spaces are what a namespace separates.
var spaces = []struct {
	name string
	flag int
}{{"net", unix.CLONE_NEWNET}, {"ipc", unix.CLONE_NEWIPC}}

// homeNamespace is where this process is.
func homeNamespace() (*namespace, error) {
	n, err := openNamespace("/proc/self/ns/")
	if err != nil {
		return nil, fmt.Errorf("find the own namespace: %w", err)
	}
	return n, nil
}

func openNamespace(dir string) (*namespace, error) {
	n := &namespace{}
	for _, s := range spaces {
		f, err := os.Open(dir + s.name)
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		n.files = append(n.files, f)
	}
	return n, nil
}

// makeNamespace makes another, empty one.
func (n *namespace) makeNamespace() (*namespace, error) {
	var made *namespace
	err := n.do(func() error {
		flags := 0
		for _, s := range spaces {
			flags |= s.flag
		}
		err := unix.Unshare(flags)
		if err == nil {
			made, err = openNamespace("/proc/thread-self/ns/")
		}
		return err
	})
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: root in a container is not enough, it needs the capability CAP_SYS_ADMIN", err)
	}
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	made.home = n
	return made, nil
}

// do runs f on a thread in the namespace: sockets that f makes are there, and so are processes that it starts.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	go func() { // waited for below
		// A thread that cannot come back stays locked, and ends with this goroutine.
		runtime.LockOSThread()
		home := n.home
		if home == nil {
			home = n
		}
		err := n.enter()
		if err == nil {
			err = f()
		}
		if home.enter() == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func (n *namespace) enter() error {
	for i, s := range spaces {
		if err := unix.Setns(int(n.files[i].Fd()), s.flag); err != nil {
			return fmt.Errorf("enter a namespace (%s): %w", s.name, err)
		}
	}
	return nil
}

// dial connects from within the namespace.
func (n *namespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := n.do(func() error {
		var err error
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// run runs a program in the namespace with a text as its input.
func (n *namespace) run(ctx context.Context, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	if err := n.do(cmd.Run); err != nil {
		return fmt.Errorf("%s: %w: %s: %s", cmd, err, strings.TrimSpace(out.String()), input)
	}
	return nil
}

// path names the network for programs that are told where to put a link.
func (n *namespace) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.files[0].Fd())
}

func (n *namespace) close() error {
	var errs []error
	for _, f := range n.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
