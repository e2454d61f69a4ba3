package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// procStat is what /proc/<pid>/stat tells.
type procStat struct {
	state           byte
	parent, session int
	start           uint64 // ticks after boot: with the pid, the identity of a process
}

func (s procStat) zombie() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before it may hold anything
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("process %d: stat has %d fields", pid, len(f))
	}
	parent, err1 := strconv.Atoi(f[1])
	session, err2 := strconv.Atoi(f[3])
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	return procStat{state: f[0][0], parent: parent, session: session, start: start}, errors.Join(err1, err2, err3)
}

// image is what a process is, as far as this package tells processes apart.
type image struct {
	pid      int
	exe, cwd string
	args     []string
}

// look reads an image. A zombie, or a process of the kernel, has none.
func look(pid int) (image, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	exe, err := os.Readlink(dir + "/exe")
	if err != nil {
		return image{}, false
	}
	cwd, err := os.Readlink(dir + "/cwd")
	if err != nil {
		return image{}, false
	}
	args, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return image{}, false
	}
	const gone = " (deleted)"
	return image{pid: pid, exe: strings.TrimSuffix(exe, gone), cwd: strings.TrimSuffix(cwd, gone),
		args: strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")}, true
}

func (p image) isPostgres(dataDir string) bool {
	name := filepath.Base(p.exe)
	return p.cwd == dataDir && (name == "postgres" || name == "postmaster")
}

// isTool tells a program of PostgreSQL that works on the data directory from outside.
func (p image) isTool(dataDir string) bool {
	switch filepath.Base(p.exe) {
	case "initdb", "pg_basebackup", "pg_rewind", "pg_controldata":
	default:
		return false
	}
	for _, a := range p.args {
		if a == dataDir || strings.HasSuffix(a, "="+dataDir) {
			return true
		}
	}
	return false
}

// find lists the living processes that match.
func find(match func(image) bool) ([]image, error) {
	pids, err := allPIDs()
	if err != nil {
		return nil, err
	}
	var found []image
	for _, pid := range pids {
		if p, ok := look(pid); ok && match(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

func allPIDs() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// send sends sig to the process if it still is what match wants; through a pidfd, which a reused pid cannot inherit.
// A process that has gone is no error.
func send(pid int, match func(image) bool, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if p, ok := look(pid); !ok || !match(p) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), pid, err)
	}
	return nil
}

// signalAll signals every process that matches, in the order in which first ranks them, and tells how many there were.
func signalAll(match func(image) bool, rank func(image) int, sig unix.Signal) (int, error) {
	found, err := find(match)
	if err != nil {
		return 0, err
	}
	var errs []error
	for r := 0; r <= lastRank; r++ {
		for _, p := range found {
			if rank == nil && r == 0 || rank != nil && min(rank(p), lastRank) == r {
				errs = append(errs, send(p.pid, match, sig))
			}
		}
	}
	return len(found), errors.Join(errs...)
}

const lastRank = 3

// killAll kills until nothing matches any more.
func killAll(ctx context.Context, match func(image) bool, rank func(image) int) error {
	return poll(ctx, time.Millisecond, func() (bool, error) {
		n, err := signalAll(match, rank, unix.SIGKILL)
		return n == 0, err
	})
}

// poll asks until the answer is yes. An error ends it.
func poll(ctx context.Context, every time.Duration, ask func() (bool, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
