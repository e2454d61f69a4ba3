package embedded

import (
	"context"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends/etcd/etcdtest"
)

func client(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	return c
}

func second(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

func put(t testing.TB, c *clientv3.Client, key, value string) {
	t.Helper()
	within(t, 20*time.Second, "a write", func() bool { _, err := c.Put(second(t), key, value); return err == nil })
}

// has tells whether a member itself, without asking the others, holds a value.
func has(t testing.TB, c *clientv3.Client, key, value string) bool {
	r, err := c.Get(second(t), key, clientv3.WithSerializable())
	return err == nil && len(r.Kvs) == 1 && string(r.Kvs[0].Value) == value
}

func empty(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatalf("empty the directory: %v", err)
	}
}

func idOf(t testing.TB, c *clientv3.Client, peerURL string) (id uint64, members int) {
	t.Helper()
	within(t, 20*time.Second, "the list of members", func() bool {
		r, err := c.MemberList(second(t))
		if err != nil {
			return false
		}
		id, members = 0, len(r.Members)
		for _, m := range r.Members {
			if slices.Contains(m.PeerURLs, peerURL) {
				id = m.ID
			}
		}
		return true
	})
	return id, members
}

func TestEmptiedDirectory(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3, process)
	m1, m2, m3 := e.Members[0], e.Members[1], e.Members[2]
	others := client(t, m1.ClientURL, m3.ClientURL)
	put(t, others, "/service/x/config", "{}")
	before, _ := idOf(t, others, m2.PeerURL)

	e.Kill(t, m2)
	empty(t, m2.Dir)
	start := time.Now()
	e.Run(t, m2)
	e.Ready(t, m2)
	t.Logf("the emptied member was back after %v", time.Since(start))
	own := client(t, m2.ClientURL)
	within(t, 20*time.Second, "the data on the new member", func() bool { return has(t, own, "/service/x/config", "{}") })
	if after, n := idOf(t, others, m2.PeerURL); after == before || after == 0 || n != 3 {
		t.Errorf("member id %x became %x, %d members; want a new id and three", before, after, n)
	}

	// The new member counts: with it, another may die.
	e.Kill(t, m1)
	put(t, client(t, m2.ClientURL, m3.ClientURL), "/service/x/config", `{"after":1}`)
	e.Run(t, m1)
	e.Ready(t, m1)
	within(t, 20*time.Second, "the data on the restarted member", func() bool {
		return has(t, client(t, m1.ClientURL), "/service/x/config", `{"after":1}`)
	})
}

func TestEmptiedDirectoryWithoutQuorum(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3, process)
	m1, m2, m3 := e.Members[0], e.Members[1], e.Members[2]
	put(t, client(t, e.Endpoints()...), "k", "v")
	before, _ := idOf(t, client(t, m1.ClientURL), m2.PeerURL)

	e.Kill(t, m2)
	e.Kill(t, m3)
	empty(t, m2.Dir)
	e.Run(t, m2)
	within(t, 10*time.Second, "the emptied member to wait", func() bool { return waits(m2) })
	// Several attempts' time: it must go on waiting, and m1 must not serve.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if !waits(m2) {
			t.Fatal("the emptied member did not wait for a quorum")
		}
		if _, err := client(t, m1.ClientURL).Put(second(t), "k", "w"); err == nil {
			t.Fatal("a write was acknowledged: the emptied member was counted under its old identity")
		}
	}
	e.Run(t, m3)
	e.Ready(t, e.Members...)
	own := client(t, m2.ClientURL)
	within(t, 20*time.Second, "the data on the new member", func() bool { return has(t, own, "k", "v") || has(t, own, "k", "w") })
	if after, n := idOf(t, client(t, m1.ClientURL), m2.PeerURL); after == before || n != 3 {
		t.Errorf("member id %x became %x, %d members; want a new id and three", before, after, n)
	}
}

// waits tells whether the member says at its peer URL that it waits.
func waits(m *etcdtest.Member) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.PeerURL+"/members", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // nothing is read
	return resp.StatusCode == waitingStatus
}

func TestNewClusterWaitsForAll(t *testing.T) {
	t.Parallel()
	e := etcdtest.Prepare(t, 3, process)
	m1, m2, m3 := e.Members[0], e.Members[1], e.Members[2]
	e.Run(t, m1)
	e.Run(t, m2)
	within(t, 10*time.Second, "two members to wait", func() bool { return waits(m1) && waits(m2) })
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !waits(m1) || !waits(m2) {
			t.Fatal("a cluster was formed without its third member")
		}
	}
	start := time.Now()
	e.Run(t, m3)
	e.Ready(t, e.Members...)
	t.Logf("the new cluster answered %v after its last member started", time.Since(start))
	if _, n := idOf(t, client(t, m1.ClientURL), m3.PeerURL); n != 3 {
		t.Errorf("%d members, want 3", n)
	}
}
