package fence

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	tail := " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 12345 99 99\n"
	for text, want := range map[string]processInfo{
		"7 (postgres) S 42" + tail:       {postgres: true, parent: 42, start: 12345},
		"7 (edb-postgres) D 42" + tail:   {postgres: true, parent: 42, start: 12345},
		"7 (postmaster) Z 1" + tail:      {postgres: true, zombie: true, parent: 1, start: 12345},
		"7 (a) b (c) R 5" + tail:         {parent: 5, start: 12345},
		"7 (postgres_export) R 5" + tail: {parent: 5, start: 12345},
	} {
		if got, ok := parseStat([]byte(text)); !ok || got != want {
			t.Errorf("parseStat(%q) = %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "7 (x", "7 (x)", "7 (x) ", "7 (x) S 1 2"} {
		if got, ok := parseStat([]byte(text)); ok {
			t.Errorf("parseStat(%q) = %+v", text, got)
		}
	}
}

// inProcessGuard is a guard whose functions the test calls by itself.
func inProcessGuard(t *testing.T, dataDir string) *guard {
	t.Helper()
	f, err := New(testConfig(runtimeDir(t), dataDir))
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	var pin int
	must(t, f.lookAtDirectory(&pin))
	t.Cleanup(func() { rawClose(pin) })
	scan, err := newScanner(os.Getpid())
	must(t, err)
	return &guard{page: f.page.Load(), scan: scan, life: 1}
}

func TestLoopAndKillPathDoNotAllocate(t *testing.T) {
	s := newServer(t)
	g := inProcessGuard(t, s.dir)
	p := g.page
	term := make(chan os.Signal, 1)
	found := 0
	for name, f := range map[string]func(){
		"look":  func() { found = g.scan.pass(g.quarry(), 0) },
		"rest":  func() { p.state.Store(0); g.step(bootNow(), p.seq.Load()); g.orphaned(bootNow()) },
		"armed": func() { p.state.Store(int64(bootNow().Add(time.Hour))); g.lookAt = 0; g.step(bootNow(), 1) },
		"sleeps": func() {
			sleepUntil(bootNow())
			idleUntil(bootNow())
			idleOn(p.futexWord(), uint32(p.seq.Load())+1, time.Second)
		},
		"leave": func() {
			select {
			case <-term:
			default:
			}
			g.mayLeave()
		},
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if found < 5 {
		t.Errorf("a look found %d processes of a running PostgreSQL", found)
	}
	begin := time.Now()
	for range 20 {
		g.scan.pass(g.quarry(), 0)
	}
	t.Logf("a pass takes %v", time.Since(begin)/20)
	n := testing.AllocsPerRun(3, func() { // the first of them kills PostgreSQL
		deadline := bootNow().Add(time.Millisecond)
		p.state.Store(int64(deadline))
		g.step(bootNow(), 2)
		for bootNow() < deadline { // a signal of the test's own runtime may wake it early
			sleepUntil(deadline)
		}
		g.step(bootNow(), 3)
	})
	if n != 0 || p.state.Load() >= 0 || s.processes(t) != 0 {
		t.Errorf("firing allocates %v times, state %d, %d processes left", n, p.state.Load(), s.processes(t))
	}
}

// Where a working directory cannot be read the kinship with the postmaster decides, and a stale
// postmaster.pid must not name a stranger.
func TestReadPostmaster(t *testing.T) {
	s := newServer(t)
	pid, start, err := readPostmaster(s.dir)
	must(t, err)
	if want, err := processStart(int64(s.cmd.Process.Pid)); err != nil || pid != int64(s.cmd.Process.Pid) || start != want {
		t.Errorf("readPostmaster = %d, %d; want %d, %d (%v)", pid, start, s.cmd.Process.Pid, want, err)
	}
	stale := t.TempDir()
	text := []byte(itoa(pid) + "\n" + stale + "\n1000000000\n5432\n")
	must(t, os.WriteFile(stale+"/postmaster.pid", text, 0o600))
	if pid, _, err := readPostmaster(stale); err == nil {
		t.Errorf("a stale file names process %d", pid)
	}
}

func TestToolsInTheDirectoryAreLeftAlone(t *testing.T) {
	s := newServer(t)
	g := inProcessGuard(t, s.dir)
	tool, err := os.StartProcess("/bin/sleep", []string{"postgres", "60"}, &os.ProcAttr{Dir: s.dir})
	must(t, err)
	g.page.state.Store(int64(bootNow()))
	g.step(bootNow(), 1)
	if err := unix.Kill(tool.Pid, 0); err != nil || g.page.goneAt.Load() == 0 {
		t.Errorf("sleep in the data directory: %v, gone at %d", err, g.page.goneAt.Load())
	}
	must(t, tool.Kill())
	state, err := tool.Wait()
	must(t, err)
	if ws := state.Sys().(interface{ Signaled() bool }); !ws.Signaled() {
		t.Error("sleep had ended by itself")
	}
	eventually(t, "PostgreSQL is dead", func() bool { return !s.alive() })
}
