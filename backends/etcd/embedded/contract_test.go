package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/internal/bootclock"
)

func openStore(t testing.TB, cfg etcd.Config, scope, member string) *etcd.Store {
	t.Helper()
	cfg.Config = backends.Config{Scope: scope, Member: member, Now: bootclock.Now}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := etcd.Open(ctx, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func TestContractEmbeddedThree(t *testing.T) {
	e := etcdtest.Start(t, 3, process)
	for _, m := range e.Members {
		t.Logf("%s: %d kB resident at the start", m.Name, e.ResidentKB(m))
	}
	backendtest.Run(t, backendtest.Harness{
		Name: "etcd-embedded-3@" + e.Version(t),
		Open: func(t testing.TB, scope, member string) backends.Store {
			return openStore(t, etcd.Config{Endpoints: e.Endpoints()}, scope, member)
		},
		TTL: 2 * time.Second, Lateness: 1500 * time.Millisecond, Faults: e.Faults(),
	})
	for _, m := range e.Members {
		t.Logf("%s: %d kB resident at the end", m.Name, e.ResidentKB(m))
	}
}
