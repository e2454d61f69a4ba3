package nats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy passes bytes to a server. While it is mute, the server's answers vanish.
type proxy struct {
	t      testing.TB
	l      net.Listener
	server string
	silent atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]bool
	all   sync.WaitGroup
}

func newProxy(t testing.TB, port int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	p := &proxy{t: t, l: l, server: fmt.Sprintf("127.0.0.1:%d", port), conns: map[net.Conn]bool{}}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.all.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.all.Go(func() { p.pump(server, client, func() bool { return false }) })
		p.all.Go(func() { p.pump(client, server, p.silent.Load) })
	}
}

// pump copies from one connection to the other, or drops what it reads.
func (p *proxy) pump(to, from net.Conn, drop func() bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if drop() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) mute() { p.silent.Store(true) }

// cut closes all connections; those made afterwards work.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = map[net.Conn]bool{}
	p.silent.Store(false)
}

// TestOldServerRefused: a server that says it is 2.10 is refused by name, with the remedy, at once.
func TestOldServerRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { pretend(c, "2.10.29") })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	f := &fleet{}
	cfg := f.config("old", "n1")
	cfg.Servers = []string{l.Addr().String()}
	start := time.Now()
	_, err = Open(within(t, 10*time.Second), cfg)
	if !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), `"2.10.29"`) || !strings.Contains(err.Error(), "2.11") || time.Since(start) > 5*time.Second {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
}

// pretend speaks as much of the protocol as a client needs to connect.
func pretend(c net.Conn, version string) {
	defer c.Close()
	if _, err := io.WriteString(c, `INFO {"server_id":"X","version":"`+version+`","max_payload":1048576,"headers":true}`+"\r\n"); err != nil {
		return
	}
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.HasPrefix(in.Text(), "PING") {
			if _, err := io.WriteString(c, "PONG\r\n"); err != nil {
				return
			}
		}
	}
}

// TestOpenGivesUp: without a server Open ends with its context, and says that nothing was done.
func TestOpenGivesUp(t *testing.T) {
	cfg := (&fleet{}).config("none", "n1")
	cfg.Servers = []string{fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Open(ctx, cfg); err == nil || time.Since(start) > 2*time.Second {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
}
