package pgdriver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tool is one run of a PostgreSQL program.
type tool struct {
	op   string // what it is for, for errors
	name string // of the program
	args []string
	env  []string
	dir  string
	line func(string) // called for each line of output, if set
	// keepLocale leaves the locale of the agent in force: initdb takes the database's from there.
	keepLocale bool
}

// tailBytes is how much of a program's output is kept for its error.
const tailBytes = 8 << 10

// stopGrace is how long a program may take to end on SIGTERM before it is killed.
const stopGrace = 5 * time.Second

// run runs a program of PostgreSQL until it ends or ctx does, and returns what it printed.
func (d *Driver) run(ctx context.Context, t tool) (string, error) {
	path, ok := d.programs[t.name]
	if !ok {
		var err error
		if path, err = lookProgram(d.config().BinDir, t.name); err != nil {
			return "", fmt.Errorf("%s: %w", t.op, err)
		}
	}
	return d.runPath(ctx, path, t)
}

func (d *Driver) runPath(ctx context.Context, path string, t tool) (string, error) {
	// The death signal is tied to the thread that starts the child, so the thread must outlive it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, t.args...)
	cmd.Dir = t.dir
	cmd.Env = append(childEnv(t.keepLocale), t.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	out := &lineWriter{line: t.line}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.flush()
	if cmd.Process != nil && ctx.Err() != nil {
		// Whatever outlived the program in its group goes too; none left is no error.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("%s: %w", t.op, ctx.Err())
	}
	if err != nil {
		cfg := d.config()
		text := strings.TrimSpace(cfg.redact(out.String()))
		return out.String(), fmt.Errorf("%s: %s: %w: %s", t.op, filepath.Base(path), err, text)
	}
	return out.String(), nil
}

// lineWriter keeps the tail of what is written, and hands out lines; a carriage return ends one too, for
// that is how programs show progress.
type lineWriter struct {
	line    func(string)
	mu      sync.Mutex
	tail    []byte
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, p...)
	if len(w.tail) > 2*tailBytes {
		w.tail = append(w.tail[:0], w.tail[len(w.tail)-tailBytes:]...)
	}
	if w.line == nil {
		return len(p), nil
	}
	w.pending = append(w.pending, p...)
	for {
		i := bytes.IndexAny(w.pending, "\r\n")
		if i < 0 {
			return len(p), nil
		}
		w.emit(w.pending[:i])
		w.pending = w.pending[i+1:]
	}
}

func (w *lineWriter) emit(b []byte) {
	if s := strings.TrimSpace(string(b)); s != "" {
		w.line(s)
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.line != nil {
		w.emit(w.pending)
	}
	w.pending = nil
}

func (w *lineWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.tail)
}

// childEnv is the environment for PostgreSQL and its programs: ours without what would configure
// libpq behind our back, and without the agent's own settings, which may be secret.
func childEnv(keepLocale bool) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "PG_OOM_ADJUST_FILE", name == "PG_OOM_ADJUST_VALUE", name == "PGTZ":
		case strings.HasPrefix(name, "PG"), strings.HasPrefix(name, "PATRONI_"), strings.HasPrefix(name, "REGENT_"),
			strings.HasPrefix(name, "LISTEN_"), name == "NOTIFY_SOCKET", name == "WATCHDOG_USEC", name == "WATCHDOG_PID":
			continue
		case !keepLocale && (strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE"):
			continue
		}
		env = append(env, kv)
	}
	// Messages are read by us and logs by tools: neither may depend on who started the agent.
	if !keepLocale {
		env = append(env, "LC_ALL=C")
	}
	return env
}

// lookProgram finds a program in dir, or in PATH if dir is empty.
func lookProgram(dir, name string) (string, error) {
	if dir == "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, name)
	if err := unix.Access(path, unix.X_OK); err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return path, nil
}

func unixAccess(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// readTail returns what was written to a file since offset, at most tailBytes of it.
func readTail(path string, offset int64) (text string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the log of the server: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the log of the server: %w", err)
	}
	offset = max(offset, st.Size()-tailBytes)
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return "", fmt.Errorf("read the log of the server: %w", err)
	}
	b, err := io.ReadAll(bufio.NewReader(f))
	if err != nil {
		return "", fmt.Errorf("read the log of the server: %w", err)
	}
	return string(b), nil
}
