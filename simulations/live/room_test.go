package live

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair is two hosts and what listens on each.
type pair struct{ a, b *host }

const testPort = 7000

func newPair(t *testing.T) pair {
	t.Helper()
	if err := checkNamespaces(); err != nil {
		t.Fatal(err)
	}
	r, err := newRoom()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	var hosts []*host
	for i, name := range []string{"a", "b"} {
		h, err := r.addHost(name, i+1)
		if err != nil {
			t.Fatal(err)
		}
		serve(t, h)
		hosts = append(hosts, h)
	}
	if err := r.awaitNetwork(); err != nil {
		t.Fatal(err)
	}
	return pair{hosts[0], hosts[1]}
}

// serve answers every byte with itself.
func serve(t *testing.T, h *host) {
	t.Helper()
	for _, port := range []int{testPort, testPort + 1} {
		var l net.Listener
		err := h.ns.do(func() error {
			var err error
			l, err = net.Listen("tcp", h.address(port))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { // ends with the connection
					_, _ = io.Copy(c, c)
					_ = c.Close()
				}()
			}
		}()
	}
}

const testPatience = 300 * time.Millisecond

// call connects from one host, or the watchers, to another, and wants its byte back.
func call(from *namespace, to *host, port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	defer cancel()
	c, err := from.dial(ctx, "tcp", to.address(port))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return echo(c)
}

func echo(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{7}); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// outcome is what became of a call, in a word.
func outcome(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "swallowed"
	}
	return err.Error()
}

func TestCuts(t *testing.T) {
	p := newPair(t)
	others := []*host{p.b}
	for _, c := range []struct {
		name             string
		cut              cut
		there, back, web string // a calls b, b calls a, a calls another port of b
	}{
		{"both ways", cut{others: others, leaves: true, arrives: true}, "swallowed", "swallowed", "swallowed"},
		{"refused", cut{others: others, leaves: true, arrives: true, refused: true}, "refused", "refused", "refused"},
		{"what it sends", cut{others: others, leaves: true}, "swallowed", "swallowed", "swallowed"},
		{"what it is sent", cut{others: others, arrives: true}, "swallowed", "swallowed", "swallowed"},
		{"one port", cut{others: others, leaves: true, arrives: true, ports: []int{testPort}}, "swallowed", "swallowed", "answered"},
		{"all but one port", cut{others: others, leaves: true, arrives: true, except: []int{testPort + 1}}, "swallowed", "swallowed", "answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, when := range []string{"before", "after"} {
				for _, way := range []struct{ from, to *host }{{p.a, p.b}, {p.b, p.a}} {
					if got := outcome(call(way.from.ns, way.to, testPort)); got != "answered" {
						t.Fatalf("%s the cut, %s calls %s: %s", when, way.from.name, way.to.name, got)
					}
				}
				if when == "after" {
					break
				}
				if err := p.a.setCut("x", c.cut); err != nil {
					t.Fatal(err)
				}
				for want, got := range map[string]error{
					"there " + c.there: call(p.a.ns, p.b, testPort), "back " + c.back: call(p.b.ns, p.a, testPort), "web " + c.web: call(p.a.ns, p.b, testPort+1),
				} {
					if _, word, _ := strings.Cut(want, " "); outcome(got) != word {
						t.Errorf("%s: %s (%v)", want, outcome(got), got)
					}
				}
				if got := outcome(call(p.a.room.bridge, p.a, testPort)); got != "answered" {
					t.Errorf("whoever watches calls the host that is cut off: %s", got)
				}
				if err := p.a.removeCut("x"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestOneWayCut: what arrives at one end of a connection that was there before, and what does not.
func TestOneWayCut(t *testing.T) {
	p := newPair(t)
	heard := make(chan byte, 10)
	var l net.Listener
	err := p.b.ns.do(func() error {
		var err error
		l, err = net.Listen("tcp", p.b.address(testPort+2))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // ends with the connection
		c, err := l.Accept()
		for b := make([]byte, 1); err == nil; {
			if _, err = c.Read(b); err == nil {
				heard <- b[0]
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := p.a.ns.dial(ctx, "tcp", p.b.address(testPort+2))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	arrives := func(b byte) bool {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			return got == b
		case <-time.After(testPatience):
			return false
		}
	}
	if !arrives(1) {
		t.Fatal("nothing arrives without a cut")
	}
	if err := p.a.setCut("x", cut{others: []*host{p.b}, arrives: true}); err != nil {
		t.Fatal(err)
	}
	if !arrives(2) {
		t.Error("what a sends does not arrive, and only what it is sent is cut")
	}
	if err := p.a.setCut("x", cut{others: []*host{p.b}, leaves: true}); err != nil {
		t.Fatal(err)
	}
	if arrives(3) {
		t.Error("what a sends arrives, and it is cut")
	}
}

func TestPlug(t *testing.T) {
	p := newPair(t)
	if err := p.a.plug(false); err != nil {
		t.Fatal(err)
	}
	if got := outcome(call(p.b.ns, p.a, testPort)); got != "swallowed" {
		t.Errorf("a host without a cable: %s", got)
	}
	if err := p.a.plug(true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupPatience) // the kernel asks for an address once in a second
	defer cancel()
	if err := poll(ctx, time.Millisecond, func() (bool, error) { return call(p.b.ns, p.a, testPort) == nil, nil }); err != nil {
		t.Errorf("its cable is back, and it cannot be reached: %v", err)
	}
}

// TestThreadsComeHome: nothing of this process stays in a namespace.
func TestThreadsComeHome(t *testing.T) {
	p := newPair(t)
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_ = call(p.a.ns, p.b, testPort)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, thread := range threads {
		if at, err := os.Readlink(thread); err == nil && at != home {
			t.Errorf("%s is in %s, and this process in %s", thread, at, home)
		}
	}
}
