package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regent-ha/regent/cmd/regent/sim"
	"github.com/regent-ha/regent/simulations/live"
)

// Times of scenarios are divided: a ttl of 30 s becomes one of 6, or of 7 where a lease must outlive something.
const (
	scenarioScale = 5
	lenientScale  = 4
)

// scenarioPatience bounds one play; it takes a quarter of it on two idle cores.
const scenarioPatience = 4 * time.Minute

// TestScenarios plays files that the simulator plays, too, on hosts that are network namespaces. What is judged is said where `regent sim live`
// is described; the steps of members are printed beside those of the file.
func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		file, store string
		scale       int
	}{
		{"store_lost_clients_kept", live.Etcd, scenarioScale},
		{"renewals_without_answer", live.Etcd, lenientScale},
		{"agent_frozen", live.Etcd, lenientScale},
		{"replicas_cannot_ask_each_other", live.Etcd, scenarioScale}, // a host is lost
		{"postmaster_killed", live.Etcd, scenarioScale},
		{"switchover_to_an_unreachable_replica", live.Etcd, scenarioScale},
		{"store_lost_clients_kept", live.Embedded, scenarioScale},
		{"partition_of_43_seconds", live.Nats, scenarioScale},
	} {
		t.Run(c.file+" on "+c.store, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			ctx, cancel := context.WithTimeout(context.Background(), scenarioPatience)
			defer cancel()
			var told bytes.Buffer
			err := sim.Live(ctx, sim.LiveOptions{
				Files: []string{filepath.Join(root, "simulations", "testdata", "scenarios", c.file+".txt")}, Store: c.store, Scale: c.scale,
				Binary: binary, User: "postgres", Keep: os.Getenv("REGENT_KEEP") != "", Out: &told, Log: lines{t},
			})
			t.Log(told.String())
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNothingIsLeft ends a play in the middle, and looks for what it leaves behind.
func TestNothingIsLeft(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"interrupted": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "regent-left-") // one of the test's own is closed to other users
			must(t, err)
			t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
			must(t, os.Chmod(dir, 0o755))
			cmd := exec.Command(binary, "sim", "live", filepath.Join(root, "simulations", "testdata", "scenarios", "agent_frozen.txt"), "--scale", "5")
			cmd.Env = append(os.Environ(), "TMPDIR="+dir)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			must(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has failed before it does so
			var spaces []string
			await(t, "a PostgreSQL that runs in a namespace of its own", func() bool {
				spaces = namespaces(t, func(exe, cwd string) bool { return filepath.Base(exe) == "postgres" && strings.HasPrefix(cwd, dir) })
				return len(spaces) > 0
			})
			must(t, cmd.Process.Signal(sig))
			if err := cmd.Wait(); err == nil {
				t.Errorf("it ends with success: %s", &out)
			}
			await(t, "an empty directory, and no process in the namespaces", func() bool {
				left, err := os.ReadDir(dir)
				must(t, err)
				all := namespaces(t, func(string, string) bool { return true })
				return len(left) == 0 && !slices.ContainsFunc(spaces, func(s string) bool { return slices.Contains(all, s) })
			})
		})
	}
}

// namespaces are the networks of the processes that match.
func namespaces(t *testing.T, match func(exe, cwd string) bool) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	var found []string
	for _, p := range all {
		exe, err1 := os.Readlink(p + "/exe")
		cwd, err2 := os.Readlink(p + "/cwd")
		network, err3 := os.Readlink(p + "/ns/net")
		if err1 == nil && err2 == nil && err3 == nil && match(exe, cwd) {
			found = append(found, network)
		}
	}
	return found
}

// await polls for a condition.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("not within %v: %s", patience, what)
		}
		linger(ctx, 20*time.Millisecond)
	}
}

// twoPrimaries needs no guard: nobody stops PostgreSQL when its agent is frozen, and another takes the lead when the lease has ended.
const twoPrimaries = `cluster members=2 guard=off
----

clients write 50 per second
freeze the agent of n1
until leader another within 60s
wait 60s
----
`

// TestJudgeSeesTwoPrimaries plays what must not be.
func TestJudgeSeesTwoPrimaries(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two_primaries.txt")
	must(t, os.WriteFile(file, []byte(twoPrimaries), 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), scenarioPatience)
	defer cancel()
	var told bytes.Buffer
	err := sim.Live(ctx, sim.LiveOptions{Files: []string{file}, Store: live.Etcd, Scale: scenarioScale, Binary: binary, User: "postgres", Out: &told, Log: lines{t}})
	if !errors.Is(err, sim.ErrNotHeld) || !strings.Contains(told.String(), "S1: two members accepted writes at once") {
		t.Errorf("%v, and it tells\n%s", err, &told)
	}
}
