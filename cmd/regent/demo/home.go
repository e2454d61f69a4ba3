package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/simulations/live"
)

// DefaultDir is where the demo of this user lives. It is the same every time, so that a second terminal finds the
// demo, and a new demo what an earlier one left.
func DefaultDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("regent-demo-%d", os.Getuid()))
}

const (
	stateFile  = "demo.json"
	lockFile   = "lock"
	socketFile = "socket"
	clusterDir = "cluster"
)

// state is what a later start has to know to clean up.
type state struct {
	PID      int                 `json:"pid"`
	Began    time.Time           `json:"began"`
	Segments []live.SharedMemory `json:"segments,omitempty"` // ever held by a PostgreSQL of this demo
}

// home is the demo's directory, locked.
type home struct {
	dir   string
	lock  *os.File
	state state
}

// openHome takes the directory, and cleans what an earlier demo left in it. report is told of that.
func openHome(ctx context.Context, dir string, report func(string)) (*home, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the demo's directory: %w", err)
	}
	if err := ownDirectory(dir); err != nil {
		return nil, err
	}
	h := &home{dir: dir}
	if err := h.takeLock(); err != nil {
		return nil, err
	}
	if err := h.begin(ctx, report); err != nil {
		return nil, errors.Join(err, h.lock.Close())
	}
	return h, nil
}

func (h *home) begin(ctx context.Context, report func(string)) error {
	n, err := cleanLeftovers(ctx, h.dir)
	if err != nil {
		return fmt.Errorf("clean what an earlier demo left in %s: %w", h.dir, err)
	}
	if n.found {
		report(fmt.Sprintf("cleaned what an earlier demo left: %d processes, %d shared memory segments, its directory", n.processes, n.segments))
	}
	h.state = state{PID: os.Getpid(), Began: time.Now()}
	return h.save()
}

// ownDirectory makes the directory, or checks that the one that is there is a demo's and ours: the system's temporary directory
// is everybody's.
func ownDirectory(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		return os.Chmod(dir, 0o755) // whatever the umask is: the members may run as another user
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the demo's directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("the demo's directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the demo's directory %s is not a directory of this user: choose another with --dir", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the demo's directory: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, lockFile)); err != nil && len(entries) > 0 {
		return fmt.Errorf("the directory %s is not empty and no demo made it: choose another with --dir", dir)
	}
	return nil
}

// takeLock takes the kernel's lock on the directory. It ends with the process, whatever ends that.
func (h *home) takeLock() error {
	path := filepath.Join(h.dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("lock the demo's directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = errors.Join(fmt.Errorf("lock the demo's directory: %w", err), f.Close())
		if errors.Is(err, unix.EWOULDBLOCK) {
			s, _ := readState(h.dir) // only for the message
			return fmt.Errorf("a demo runs already in %s (process %d): end it with regent demo stop, or choose another directory with --dir",
				h.dir, s.PID)
		}
		return err
	}
	var there, held unix.Stat_t
	if err := errors.Join(unix.Stat(path, &there), unix.Fstat(int(f.Fd()), &held)); err != nil || there.Ino != held.Ino {
		return errors.Join(fmt.Errorf("the directory %s was removed at this moment by a demo that ended: try again", h.dir), f.Close())
	}
	h.lock = f
	return nil
}

// save writes the state so that a kill in between leaves the old one.
func (h *home) save() error {
	b, err := json.Marshal(h.state)
	if err != nil {
		return fmt.Errorf("write the demo's state: %w", err)
	}
	path := filepath.Join(h.dir, stateFile)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("write the demo's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the demo's state: %w", err)
	}
	return nil
}

// note records shared memory that will have to be looked after.
func (h *home) note(found []live.SharedMemory) error {
	added := false
	for _, m := range found {
		if m.ID >= 0 && !contains(h.state.Segments, m) {
			h.state.Segments, added = append(h.state.Segments, m), true
		}
	}
	if !added {
		return nil
	}
	return h.save()
}

func contains(all []live.SharedMemory, m live.SharedMemory) bool {
	for _, s := range all {
		if s == m {
			return true
		}
	}
	return false
}

// cluster is where the members are. The package live wants to make it itself.
func (h *home) cluster() string { return filepath.Join(h.dir, clusterDir) }

func (h *home) socket() string { return filepath.Join(h.dir, socketFile) }

// close removes the directory with everything in it and gives the lock back.
func (h *home) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanLimit)
	defer cancel()
	_, err := cleanLeftovers(ctx, h.dir)
	if err == nil {
		err = os.RemoveAll(h.dir)
	}
	return errors.Join(err, h.lock.Close())
}

// readState reads the state of a demo, present or past.
func readState(dir string) (state, error) {
	var s state
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the state of the demo in %s: %w", dir, err)
	}
	return s, nil
}
