package pgdriver

import (
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

	"github.com/regent-ha/regent/events"
)

func TestCloneStreamPromoteAndRejoin(t *testing.T) {
	a := primary(t, "a")
	b := cloneAndStream(t, a)
	c := replica(t, "c", a)
	if _, err := c.CheckDivergence(deadline(t), b.upstream(), nil); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("check against a replica: %v", err)
	}
	a.sql("CREATE TABLE t AS SELECT 1 AS i")
	switchOver(t, a, b)
	_, err := b.SyncSlots(deadline(t), []string{"a", "B-1", "c"}, nil, nil)
	must(t, err)
	b.await("slots", func(o events.Observation) bool { return len(o.Server.Slots) == 2 })
	_, err = b.SyncSlots(deadline(t), []string{"a", "c"}, []string{"gone", "c"}, nil)
	must(t, err)

	// The other replica follows by a reload, the old primary without a rewind.
	before := c.last().PID
	_, err = c.Follow(deadline(t), events.Follow{From: b.upstream()}, nil)
	must(t, err)
	o := c.await("streaming on the new timeline", func(o events.Observation) bool { return streaming(o) && o.Server.Timeline == 2 })
	if o.PID != before {
		t.Error("follow restarted the server")
	}
	r, err := a.CheckDivergence(deadline(t), b.upstream(), nil)
	must(t, err)
	if r.Divergence != events.DivergenceNone {
		t.Fatalf("after a clean switchover: %+v", r)
	}
	a.start(false, b)
	a.await("streaming on the new timeline", func(o events.Observation) bool { return streaming(o) && o.Server.Timeline == 2 })
	caughtUp(t, b, a)
	if got := a.sql("SELECT count(*) FROM t"); got != "2" {
		t.Errorf("rows %s", got)
	}
	if r, err := a.CheckDivergence(deadline(t), b.upstream(), nil); err != nil || r.Divergence != events.DivergenceNone {
		t.Errorf("while streaming: %+v, %v", r, err)
	}

	// Without a receiver, and before any restart point, the timeline is still the one that is replayed.
	_, err = b.Stop(deadline(t), events.StopPostgres{Mode: events.StopImmediate}, nil)
	must(t, err)
	o = c.await("an upstream that is gone", func(o events.Observation) bool { return o.Answering && !streaming(o) })
	if o.Server.Timeline != 2 {
		t.Errorf("the replica of a dead primary is on timeline %d, want 2", o.Server.Timeline)
	}
}

// cloneAndStream makes the replica B-1 and checks what both sides tell of it.
func cloneAndStream(t *testing.T, a *server) *server {
	var progress []string
	b := newServer(t, testConfig(t, "B-1")).observe()
	r, err := b.Clone(deadline(t), a.upstream(), false, func(s string) { progress = append(progress, s) })
	must(t, err)
	if r.SystemID != a.last().Control.SystemID || len(progress) == 0 {
		t.Fatalf("clone: %+v, progress %q", r, progress)
	}
	b.start(false, a)
	o := b.await("streaming", streaming)
	if o.Server.Upstream == "" || !o.Control.StandbySignal || o.Server.Timeline != 1 || o.Server.ReceivedLSN == 0 {
		t.Fatalf("replica: %+v", o)
	}
	o = a.await("a walsender and its slot", func(o events.Observation) bool {
		return len(o.Server.Walsenders) == 1 && o.Server.Walsenders[0].FlushLSN != 0 && len(o.Server.Slots) == 1 && o.Server.Slots[0].Active
	})
	w, s := o.Server.Walsenders[0], o.Server.Slots[0]
	if w.ApplicationName != "B-1" || w.State != "streaming" || w.FlushLSN == 0 || s.Name != "b_1" || !s.Physical || s.RestartLSN == 0 {
		t.Fatalf("walsender %+v, slot %+v", w, s)
	}
	return b
}

// switchOver stops a and promotes b, by hand.
func switchOver(t *testing.T, a, b *server) {
	_, err := a.Checkpoint(deadline(t), nil)
	must(t, err)
	begun := time.Now()
	stopped := a.stop(events.StopFast)
	t.Logf("stop fast after a checkpoint: %v", time.Since(begun).Round(time.Millisecond))
	b.await("the shutdown checkpoint", func(o events.Observation) bool { return o.Server.ReceivedLSN > stopped.ShutdownLSN })
	begun = time.Now()
	r, err := b.Promote(deadline(t), nil)
	must(t, err)
	t.Logf("promote: %v", time.Since(begun).Round(time.Millisecond))
	b.sql("INSERT INTO t VALUES (2)")
	if r.Timeline != 2 || len(r.History) != 1 || r.History[0].Parent != 1 {
		t.Fatalf("promote: %+v", r)
	}
	if again, err := b.Promote(deadline(t), nil); err != nil || again.Timeline != 2 {
		t.Fatalf("promote again: %+v, %v", again, err)
	}
}

func TestCrashDivergeRecoverRewind(t *testing.T) {
	a := primary(t, "a")
	b := replica(t, "b", a)
	a.sql("CREATE TABLE t(i int)")
	caughtUp(t, a, b)
	// b is cut off, a writes what only it has, and crashes.
	receiver := b.sql("SELECT pid FROM pg_stat_wal_receiver")
	_, err := b.Follow(deadline(t), events.Follow{}, nil)
	must(t, err)
	b.await("no receiver "+receiver, func(o events.Observation) bool {
		return o.Answering && o.Server.ReplicationState == "" && o.Server.Upstream == ""
	})
	a.sql("INSERT INTO t VALUES (13)")
	must(t, syscall.Kill(a.last().PID, syscall.SIGKILL))
	a.await("a dead server", func(o events.Observation) bool { return !o.Running })
	_, err = b.Promote(deadline(t), nil)
	must(t, err)
	b.sql("INSERT INTO t VALUES (1)")
	_, err = a.CheckDivergence(deadline(t), b.upstream(), nil)
	if !errors.Is(err, ErrNotClean) || Hint(err) == "" {
		t.Fatalf("check of a crashed primary: %v", err)
	}
	begun := time.Now()
	_, err = a.CrashRecover(deadline(t), nil)
	must(t, err)
	t.Logf("crash recovery: %v", time.Since(begun).Round(time.Millisecond))
	_, err = a.CrashRecover(deadline(t), nil) // already done
	must(t, err)
	r, err := a.CheckDivergence(deadline(t), b.upstream(), nil)
	must(t, err)
	if r.Divergence != events.DivergenceFound {
		t.Fatalf("divergence %+v", r)
	}
	var progress []string
	begun = time.Now()
	_, err = a.Rewind(deadline(t), b.upstream(), func(s string) { progress = append(progress, s) })
	must(t, err)
	t.Logf("rewind: %v, %d lines of progress", time.Since(begun).Round(time.Millisecond), len(progress))
	_, err = b.SyncSlots(deadline(t), []string{"a"}, nil, nil)
	must(t, err)
	a.start(false, b)
	a.await("streaming", func(o events.Observation) bool { return streaming(o) && o.Server.Timeline == 2 })
	caughtUp(t, b, a)
	if got := a.sql("SELECT string_agg(i::text, ' ') FROM t"); got != "1" {
		t.Errorf("rows %q: the diverged one should be gone", got)
	}
	if conf, err := os.ReadFile(filepath.Join(a.dataDir, "postgresql.conf")); err != nil || strings.Contains(string(conf), "secret") {
		t.Errorf("a password in postgresql.conf: %v", err)
	}
	for _, s := range []*server{a, b} {
		log, err := os.ReadFile(s.config().LogFile)
		must(t, err)
		if strings.Contains(string(log), "secret") {
			t.Errorf("a password in the log of %s", s.cfg.Name)
		}
	}
}

// TestPromoteAtTheDeathOfTheUpstream measures the promotion that meets the end of the WAL receiver.
func TestPromoteAtTheDeathOfTheUpstream(t *testing.T) {
	a := primary(t, "a")
	// PostgreSQL's own default, which such a promotion would sleep for.
	cfg := testConfig(t, "b")
	cfg.Parameters["wal_retrieve_retry_interval"] = "5s"
	b := newServer(t, cfg).observe()
	_, err := b.Clone(deadline(t), a.upstream(), false, nil)
	must(t, err)
	copied := cfg.DataDir + ".copy"
	must(t, exec.Command("cp", "-a", cfg.DataDir, copied).Run())
	var took []time.Duration
	for range 3 {
		b.start(false, a)
		b.await("streaming", streaming)
		all, err := serverProcesses(a.dataDir)
		must(t, err)
		pid := a.last().PID
		begun := time.Now()
		for _, p := range all {
			must(t, p.signal(syscall.SIGKILL))
		}
		_, err = b.Promote(deadline(t), nil)
		must(t, err)
		took = append(took, time.Since(begun))
		t.Logf("promoted %v after the kill", took[len(took)-1].Round(time.Millisecond))
		closeAll(all)
		a.awaitGone(pid)
		b.stop(events.StopImmediate)
		must(t, os.RemoveAll(cfg.DataDir))
		must(t, exec.Command("cp", "-a", copied, cfg.DataDir).Run())
		a.start(true, nil)
		a.await("a primary", answering(false))
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > time.Second {
		t.Errorf("median %v: a promotion slept for wal_retrieve_retry_interval", median)
	}
}

func (s *server) awaitGone(pid int) {
	s.t.Helper()
	s.awaitFact("gone", 0, exited(pid, true))
}

func TestCloneCancelled(t *testing.T) {
	a := primary(t, "a")
	a.sql("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
	cfg := testConfig(t, "b")
	cfg.Basebackup = []string{"--max-rate=1M"}
	b := newServer(t, cfg)
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	_, err := b.Clone(ctx, a.upstream(), false, func(line string) {
		if strings.Contains(line, "kB") && !strings.HasPrefix(line, "0/") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("clone: %v", err)
	}
	if empty, err := isEmptyDir(cfg.DataDir); err != nil || !empty {
		t.Errorf("something is left: %v", err)
	}
	if what, left := b.unfinished(); left {
		t.Errorf("still marked as unfinished %s", what)
	}
	// A half of a clone that an agent left behind is begun anew.
	must(t, b.begin("clone"))
	must(t, os.WriteFile(filepath.Join(cfg.DataDir, "PG_VERSION"), []byte("15\n"), 0o600))
	cfg.Basebackup = nil
	b = newServer(t, cfg).observe()
	b.await("empty", func(o events.Observation) bool { return o.Data == events.DataEmpty && o.Problem != "" })
	_, err = b.Clone(deadline(t), a.upstream(), false, nil)
	must(t, err)
	b.start(false, a)
	b.await("streaming", streaming)
	b.stop(events.StopFast)
	if _, err := b.Start(deadline(t), events.StartPostgres{AsPrimary: true}, nil); err == nil || Hint(err) == "" {
		t.Errorf("a replica started as a primary: %v", err)
	}
	// A clone that may discard replaces what is there.
	_, err = b.Clone(deadline(t), a.upstream(), true, nil)
	must(t, err)
	left, err := filepath.Glob(cfg.DataDir + ".discarded*")
	if err != nil || len(left) != 0 {
		t.Errorf("left %v: %v", left, err)
	}
}

func TestStandbyStartsWithThePrimarysFloor(t *testing.T) {
	a := primary(t, "a", func(c *Config) {
		c.BootstrapDynamic = []byte(`{"postgresql":{"parameters":{"max_connections":150,"max_prepared_transactions":5}}}`)
	})
	cfg := testConfig(t, "b")
	cfg.UseUnixSocket = true
	b := newServer(t, cfg).observe()
	_, err := b.Clone(deadline(t), a.upstream(), false, nil)
	must(t, err)
	b.start(false, a)
	o := b.await("streaming", streaming)
	if log, err := os.ReadFile(b.config().LogFile); err != nil || !strings.Contains(string(log), "host=[local]") {
		t.Errorf("no connection by the socket: %v", err)
	}
	if got := b.sql("SHOW max_connections"); got != "150" {
		t.Errorf("max_connections %s", got)
	}
	if len(o.Server.PendingRestart) == 0 {
		t.Errorf("the raised parameters are not shown: %+v", o.Server.PendingRestart)
	}
	// Promotion without any connection: nobody holds one for this driver.
	r, err := newServer(t, cfg).Promote(deadline(t), nil)
	if err != nil || r.Timeline != 2 || len(r.History) != 1 {
		t.Errorf("promote without a connection: %+v, %v", r, err)
	}
}
