package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startServer serves orders in a directory of its own until the test ends.
func startServer(t *testing.T, handle func(context.Context, Order) Answer) string {
	t.Helper()
	dir := t.TempDir()
	l, err := listen(filepath.Join(dir, socketFile))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, handle) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("serve did not end")
		}
	})
	return dir
}

func TestSocketCarriesOrders(t *testing.T) {
	dir := startServer(t, func(_ context.Context, o Order) Answer {
		return Answer{OK: o.Verb == KillAgent, Text: string(o.Verb) + " " + o.Member}
	})
	for _, c := range []struct {
		order Order
		want  Answer
	}{
		{Order{KillAgent, "n2"}, Answer{true, "kill-agent n2"}},
		{Order{Verb: Switchover}, Answer{false, "switchover "}},
	} {
		a, err := Send(t.Context(), dir, c.order)
		if err != nil || a != c.want {
			t.Errorf("answer %+v, %v; want %+v", a, err, c.want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, socketFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestSocketRefusesWhatIsNoOrder(t *testing.T) {
	dir := startServer(t, func(context.Context, Order) Answer { return Answer{OK: true} })
	for _, in := range []string{"\n", "kill\n", "{}\n", "[1]\n", strings.Repeat("x", 2*maxOrderBytes) + "\n"} {
		conn, err := net.Dial("unix", filepath.Join(dir, socketFile))
		if err != nil {
			t.Fatal(err)
		}
		// The rest of a line that is too long may meet a closed connection.
		if _, err := io.WriteString(conn, in); err != nil && len(in) < maxOrderBytes {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		if err != nil && len(in) < maxOrderBytes {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `"ok":true`) {
			t.Errorf("%.20q was taken for an order: %s", in, b)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A client that says nothing does not keep the demo from ending.
func TestSocketEndsWithSilentClient(t *testing.T) {
	dir := startServer(t, func(context.Context, Order) Answer { return Answer{} })
	conn, err := net.Dial("unix", filepath.Join(dir, socketFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // runs before the server is ended and joined
}

func TestSendWithoutDemo(t *testing.T) {
	if _, err := Send(t.Context(), t.TempDir(), Order{Verb: Stop}); !errors.Is(err, ErrNoDemo) {
		t.Errorf("error %v, want %v", err, ErrNoDemo)
	}
}

func TestSocketPathTooLong(t *testing.T) {
	if _, err := listen("/tmp/" + strings.Repeat("x", 120)); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("error %v, want one that names --dir", err)
	}
}
