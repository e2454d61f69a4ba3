package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The protocol: a client connects, sends one order as a line of JSON and reads one answer as a line of JSON. Only the user who
// runs the demo can connect.

// Answer is what became of an order.
type Answer struct {
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

const (
	maxOrderBytes = 4096
	askLimit      = 5 * time.Second // for a client to say what it wants
	maxSocketPath = 107
)

// listen opens the socket in the demo's directory.
func listen(path string) (*net.UnixListener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket, %s, has %d characters, at most %d: choose a shorter directory with --dir",
			path, len(path), maxSocketPath)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for orders: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for orders: %w", err), l.Close())
	}
	return l, nil
}

// serve answers clients until ctx ends. handle is called from several goroutines.
func serve(ctx context.Context, l *net.UnixListener, handle func(context.Context, Order) Answer) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // wakes Accept; the socket holds nothing that could be lost
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for orders: %w", err)
		}
		wg.Go(func() { attend(ctx, conn, handle) })
	}
}

// attend serves one client. What cannot be sent to it was done all the same, and the view shows it.
func attend(ctx context.Context, conn net.Conn, handle func(context.Context, Order) Answer) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	if err := conn.SetReadDeadline(time.Now().Add(askLimit)); err != nil {
		return
	}
	var o Order
	a := Answer{Text: "want one order as a line of JSON"}
	line, err := bufio.NewReaderSize(conn, maxOrderBytes).ReadSlice('\n')
	if err == nil && json.Unmarshal(line, &o) == nil && o.Verb != "" {
		a = handle(ctx, o)
	}
	b, err := json.Marshal(a)
	if err != nil {
		return
	}
	if err := conn.SetWriteDeadline(time.Now().Add(askLimit)); err != nil {
		return
	}
	_, _ = conn.Write(append(b, '\n'))
}

// ErrNoDemo says that no demo answers.
var ErrNoDemo = errors.New("no demo is running")

// Send gives an order to the demo that runs in dir and waits for its answer.
func Send(ctx context.Context, dir string, o Order) (Answer, error) {
	var a Answer
	path := filepath.Join(dir, socketFile)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return a, fmt.Errorf("%w in %s: start one with regent demo (%w)", ErrNoDemo, dir, err)
	}
	defer func() { _ = conn.Close() }() // the answer was read, or the error is told
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	b, err := json.Marshal(o)
	if err != nil {
		return a, fmt.Errorf("send the order: %w", err)
	}
	if _, err := conn.Write(append(b, '\n')); err != nil {
		return a, fmt.Errorf("send the order: %w", err)
	}
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return a, fmt.Errorf("the demo gave no answer, the order may have been carried out: %w", err)
	}
	return a, nil
}
