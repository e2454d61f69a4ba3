package etcd

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/backends/etcd/etcdtest"
	"github.com/regent-ha/regent/internal/bootclock"
)

func TestMain(m *testing.M) {
	etcdtest.ManyAtOnce()
	os.Exit(m.Run())
}

func openStore(t testing.TB, cfg Config, scope, member string) *Store {
	t.Helper()
	cfg.Config = backends.Config{Scope: scope, Member: member, Now: bootclock.Now}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// column is the name of an ensemble in the matrix.
func column(t *testing.T, e *etcdtest.Ensemble) string {
	return fmt.Sprintf("etcd-%d@%s", len(e.Members), e.Version(t))
}

func harness(t *testing.T, e *etcdtest.Ensemble) backendtest.Harness {
	return backendtest.Harness{
		Name: column(t, e),
		Open: func(t testing.TB, scope, member string) backends.Store {
			return openStore(t, Config{Endpoints: e.Endpoints(), Username: e.Username, Password: e.Password}, scope, member)
		},
		TTL: 2 * time.Second, Lateness: 1500 * time.Millisecond, Faults: e.Faults(),
	}
}

func showMemory(t *testing.T, e *etcdtest.Ensemble) {
	for _, m := range e.Members {
		t.Logf("%s: %d kB resident", m.Name, e.ResidentKB(m))
	}
}

// TestContractDebianSingle runs with etcd's own authentication, which forgets its tokens when it is killed.
func TestContractDebianSingle(t *testing.T) {
	e := etcdtest.Start(t, 1, etcdtest.Debian)
	e.EnableAuth(t, "secret")
	h := harness(t, e)
	h.Denied = func(t testing.TB, scope, member string) backends.Store {
		return openStore(t, Config{Endpoints: e.Endpoints(), Username: "guest", Password: "secret"}, scope, member)
	}
	backendtest.Run(t, h)
	showMemory(t, e)
}

func TestContractDebianThree(t *testing.T) {
	e := etcdtest.Start(t, 3, etcdtest.Debian)
	showMemory(t, e)
	backendtest.Run(t, harness(t, e))
	showMemory(t, e)
}
