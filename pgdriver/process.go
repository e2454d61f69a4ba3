package pgdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a handle to one process that cannot be mistaken for a later one of the same number.
type process struct {
	pid     int
	parent  int    // when the handle was opened
	started uint64 // clock ticks after boot: with pid, the identity of the process
	fd      *os.File
}

var errNoProcess = errors.New("no such process")

// openProcess opens a handle to a living process. A zombie is none.
func openProcess(pid int) (*process, error) {
	raw, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			return nil, errNoProcess
		}
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	// Non-blocking makes the runtime wait for it by epoll, without a thread.
	if err := unix.SetNonblock(raw, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open process %d: %w", pid, err), unix.Close(raw))
	}
	p := &process{pid: pid, fd: os.NewFile(uintptr(raw), "pidfd")}
	stat, err := readStat(pid)
	if err != nil || p.dead() || stat.zombie {
		p.close()
		return nil, errNoProcess
	}
	p.started, p.parent = stat.started, stat.parent
	return p, nil
}

func (p *process) close() { _ = p.fd.Close() } // closing a pidfd cannot lose anything

// dead tells whether the process has ended, reaped or not.
func (p *process) dead() bool {
	ended := false
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return true
	}
	if err := raw.Control(func(fd uintptr) { ended = pidfdReadable(fd) }); err != nil {
		return true
	}
	return ended
}

func pidfdReadable(fd uintptr) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// wait returns nil when the process has ended, and reaps it if it is a child of this one. Only one
// goroutine may wait on a handle.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", p.pid, err)
	}
	if err := p.fd.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for process %d: %w", p.pid, err)
	}
	stop := context.AfterFunc(ctx, func() {
		// The only error is that of a closed handle, and then nobody waits.
		_ = p.fd.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	err = raw.Read(pidfdReadable)
	if err == nil || p.dead() {
		reap(p.pid)
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("wait for process %d: %w", p.pid, err)
}

// reap collects an ended child. For a process that is not our child the kernel says so, and its parent will.
func reap(pid int) {
	var status unix.WaitStatus
	_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil)
}

// signal sends a signal; a process that is gone is no error.
func (p *process) signal(sig syscall.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if err = errors.Join(err, sent); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.pid, err)
	}
	return nil
}

type procStat struct {
	zombie  bool
	parent  int
	started uint64
}

// readStat reads /proc/<pid>/stat. The name in it may hold anything, so fields are counted from its end.
func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("read the state of process %d: no name in it", pid)
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("read the state of process %d: %d fields", pid, len(f))
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return procStat{}, fmt.Errorf("read the parent of process %d: %w", pid, err)
	}
	started, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("read the start of process %d: %w", pid, err)
	}
	return procStat{zombie: f[0] == "Z" || f[0] == "X", parent: parent, started: started}, nil
}

// isServerProcess tells whether a process is PostgreSQL at work in the data directory: the server and all
// its children change into it. A shell of a DBA who stands there is not.
func isServerProcess(pid int, dataDir string) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	cwd, err := os.Readlink(dir + "/cwd")
	if err != nil || strings.TrimSuffix(cwd, " (deleted)") != dataDir {
		return false
	}
	exe, err := os.Readlink(dir + "/exe")
	if err != nil {
		return false
	}
	// A replaced binary reads ".../postgres (deleted)"; before 16 "postmaster" may be a copy.
	name := strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	return name == "postgres" || name == "postmaster"
}

// serverProcesses lists the living PostgreSQL processes of the data directory.
func serverProcesses(dataDir string) ([]*process, error) {
	return listProcesses(func(pid int) bool { return isServerProcess(pid, dataDir) })
}

// childrenOf lists the living children of a process.
func childrenOf(parent int) ([]*process, error) {
	return listProcesses(func(pid int) bool {
		stat, err := readStat(pid)
		return err == nil && stat.parent == parent
	})
}

func listProcesses(belongs func(pid int) bool) ([]*process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []*process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !belongs(pid) {
			continue
		}
		p, err := openProcess(pid)
		if errors.Is(err, errNoProcess) {
			continue
		}
		if err != nil {
			closeAll(found)
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

func closeAll(ps []*process) {
	for _, p := range ps {
		p.close()
	}
}

// quitGrace is how long the children of a dead postmaster may take to leave on SIGQUIT.
const quitGrace = 60 * time.Millisecond

// sweep makes sure that no process of a dead postmaster is left: SIGQUIT first, which ends a
// backend without acknowledging anything, then SIGKILL. Spared are the postmaster that lives now, its
// children, and whatever was born later than the given tick.
func (d *Driver) sweep(ctx context.Context, sig syscall.Signal, born uint64) error {
	for {
		left, err := d.leftovers(born)
		if err != nil || len(left) == 0 {
			return err
		}
		err = endAll(ctx, left, sig)
		closeAll(left)
		if err != nil {
			return fmt.Errorf("end what a dead postmaster left behind: %w", err)
		}
		sig = syscall.SIGKILL
	}
}

// leftovers holds the lock under which Start makes a new postmaster known, so as never to take it for one.
func (d *Driver) leftovers(born uint64) ([]*process, error) {
	d.launching.Lock()
	defer d.launching.Unlock()
	return d.leftoversLocked(born)
}

func (d *Driver) leftoversLocked(born uint64) ([]*process, error) {
	found, err := serverProcesses(d.dataDir)
	if err != nil || len(found) == 0 {
		return nil, err // without a look at the disk, which may hang
	}
	keep := 0
	if d.launched != nil && !d.launched.dead() {
		keep = d.launched.pid
	} else {
		alive, _, err := findPostmaster(d.dataDir)
		if err != nil {
			closeAll(found)
			return nil, err
		}
		if alive != nil {
			keep = alive.pid
			alive.close()
		}
	}
	left := found[:0]
	for _, p := range found {
		if p.started > born || keep != 0 && (p.pid == keep || p.parent == keep) {
			p.close()
			continue
		}
		left = append(left, p)
	}
	return left, nil
}

func endAll(ctx context.Context, ps []*process, sig syscall.Signal) error {
	var errs []error
	for _, p := range ps {
		errs = append(errs, p.signal(sig))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	wctx := ctx
	if sig != syscall.SIGKILL {
		var cancel context.CancelFunc
		wctx, cancel = context.WithTimeout(ctx, quitGrace)
		defer cancel()
	}
	for _, p := range ps {
		if err := p.wait(wctx); err != nil {
			return ctx.Err() // after the grace only, the caller looks again and kills
		}
	}
	return nil
}
