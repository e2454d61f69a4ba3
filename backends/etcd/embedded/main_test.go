package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends/etcd/etcdtest"
)

// memberEnv makes the test binary serve as one embedded member, so that members can be killed and frozen.
const memberEnv = "REGENT_TEST_ETCD_MEMBER"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(memberEnv); ok {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	etcdtest.ManyAtOnce()
	os.Exit(m.Run())
}

func serve(text string) error {
	var cfg Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return fmt.Errorf("read %s: %w", memberEnv, err)
	}
	log, err := zap.Config{Level: zap.NewAtomicLevelAt(zap.WarnLevel), Encoding: "console",
		EncoderConfig: zap.NewDevelopmentEncoderConfig(), OutputPaths: []string{"stderr"}}.Build()
	if err != nil {
		return err
	}
	cfg.Log = log
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err := <-s.Failed():
		return err
	case <-s.Stopped():
		return fmt.Errorf("%s was stopped", cfg.Name)
	}
	return s.Close()
}

// process is a member as a process of its own.
func process(m *etcdtest.Member, cluster map[string]string) *exec.Cmd {
	text, err := json.Marshal(Config{Name: m.Name, Dir: m.Dir, ClientURL: m.ClientURL, PeerURL: m.PeerURL,
		Cluster: maps.Clone(cluster), Token: "embedded-test"})
	if err != nil {
		panic(err) // strings only
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	return cmd
}

func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}
