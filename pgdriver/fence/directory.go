package fence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const lookPeriod = time.Second

// lookAfterDirectory is the only goroutine of this package that touches the data directory and the
// page's path: either may be on a disk that does not answer. It tells lost when the page was removed.
func (f *Fence) lookAfterDirectory(ctx context.Context, lost chan<- struct{}) {
	var pin int // an open descriptor keeps the directory's inode number from being given to another one
	defer func() {
		if pin != 0 {
			rawClose(pin)
		}
	}()
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	for {
		var answer chan error
		select {
		case <-ctx.Done():
			return
		case answer = <-f.looks:
		case <-tick.C:
		}
		err := f.lookAtDirectory(&pin)
		f.lookAtPostmaster()
		if answer != nil {
			answer <- err // buffered
			continue
		}
		same, err := f.page.Load().sameFile()
		if err != nil {
			f.cfg.Log.Warn("look at the guard's page", zap.Error(err))
		} else if !same {
			select {
			case lost <- struct{}{}:
			default: // Run knows already
			}
		}
	}
}

// lookNow has the data directory looked up afresh.
func (f *Fence) lookNow(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case f.looks <- answer:
	case <-ctx.Done():
		if !f.running.Load() {
			return fmt.Errorf("%w: Run is not running: %w", ErrNoGuard, ctx.Err())
		}
		return fmt.Errorf("data directory %s does not answer: %w", f.dataDir, ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("data directory %s does not answer: %w", f.dataDir, ctx.Err())
	}
}

// lookAtDirectory writes the directory's device and inode into the page, unless the guard is armed: then those stay
// which its PostgreSQL was started in.
func (f *Fence) lookAtDirectory(pin *int) error {
	fd, err := unix.Open(f.cfg.DataDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	var st unix.Statx_t
	if err == nil {
		err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st)
		if err != nil {
			rawClose(fd)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.page.Load()
	if p.state.Load() == 0 {
		if err != nil {
			p.dirIno.Store(0)
		} else {
			p.dirDev.Store(packDev(&st))
			p.dirIno.Store(int64(st.Ino))
			fd, *pin = *pin, fd
		}
	}
	if err != nil {
		return fmt.Errorf("look at data directory %s: %w", f.cfg.DataDir, err)
	}
	if fd != 0 {
		rawClose(fd)
	}
	return nil
}

// lookAtPostmaster notes the postmaster, by which its children are known where working directories cannot be read.
func (f *Fence) lookAtPostmaster() {
	p := f.page.Load()
	pid, start, err := readPostmaster(f.cfg.DataDir)
	if err != nil {
		pid, start = 0, 0 // none runs, or none that can be named
	}
	if p.postmasterPID.Load() != pid {
		p.postmasterPID.Store(0)
		p.postmasterStart.Store(start)
		p.postmasterPID.Store(pid)
	}
}

// postmasterSlack is how far the start of a process and what postmaster.pid says of it may be apart: the file
// has whole seconds of a wall clock that may have been set meanwhile.
const postmasterSlack = 10 * time.Second

// readPostmaster reads postmaster.pid and checks that the process it names is the one that wrote it: the file outlives a
// crash, and its pid may be another PostgreSQL's by now.
func readPostmaster(dataDir string) (pid, start int64, err error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return 0, 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 {
		return 0, 0, errors.New("read postmaster.pid: it has less than three lines")
	}
	pid, err = strconv.ParseInt(strings.TrimSpace(lines[0]), 10, 64)
	wrote, err2 := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return 0, 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	stat, err := os.ReadFile("/proc/" + strconv.FormatInt(pid, 10) + "/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("look at postmaster %d: %w", pid, err)
	}
	info, ok := parseStat(stat)
	if !ok || !info.postgres || info.zombie {
		return 0, 0, fmt.Errorf("look at postmaster %d: not PostgreSQL", pid)
	}
	age := time.Duration(bootNow()) - time.Duration(info.start)*(time.Second/ticksPerSecond)
	if apart := time.Now().Add(-age).Sub(time.Unix(wrote, 0)); apart.Abs() > postmasterSlack {
		return 0, 0, fmt.Errorf("look at postmaster %d: not the one that wrote postmaster.pid, by %v", pid, apart)
	}
	return pid, info.start, nil
}

// ticksPerSecond is the unit of /proc/<pid>/stat, USER_HZ, the same on every Linux that Go supports.
const ticksPerSecond = 100

// renewPage makes the page again after somebody removed its file. The old page, which only the two mappings
// keep, stays in force until a new guard watches the new one.
func (f *Fence) renewPage(ctx context.Context) error {
	old := f.page.Load()
	if same, err := old.sameFile(); err != nil || same {
		return err
	}
	fresh, err := f.claimPage()
	if err != nil {
		return err
	}
	fresh.dirDev.Store(old.dirDev.Load())
	fresh.dirIno.Store(old.dirIno.Load())
	g, err := f.startGuard(fresh)
	if err != nil {
		return errors.Join(err, fresh.close())
	}
	ready, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for fresh.guardLife.Load() == 0 {
		if err := pause(ready, startTick); err != nil {
			err = errors.Join(fmt.Errorf("wait for the new guard: %w", err), g.proc.signal(unix.SIGKILL))
			g.startWaiting()
			<-g.ended
			reap(g.proc.pid)
			return errors.Join(err, g.stopWaiting(), fresh.close())
		}
	}
	g.ready = true
	f.mu.Lock()
	state := old.state.Load()
	fresh.state.Store(state)
	f.page.Store(fresh)
	if state > 0 && !old.state.CompareAndSwap(state, 0) {
		fresh.state.Store(old.state.Load()) // it has fired in this very moment
	}
	old.state.Store(0)
	f.mu.Unlock()
	fresh.ask()
	f.cfg.Log.Warn("the guard's page was removed; made it again", zap.String("page", fresh.path))
	predecessor := f.watch.guard
	f.watch.guard = g
	if predecessor != nil {
		predecessor.startWaiting()
		err = f.dismiss(old, predecessor)
		err = errors.Join(err, predecessor.stopWaiting())
	}
	return errors.Join(err, old.release())
}
