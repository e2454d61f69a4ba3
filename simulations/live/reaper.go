package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// nursery knows the children that this package starts and waits for itself. All that leave a session of their own behind
// and are not in it are orphans.
var nursery = struct {
	sync.Mutex
	own map[int]bool
}{own: map[int]bool{}}

// child is a process that this package started.
type child struct {
	name string
	pid  int
	done chan struct{} // closed when it has ended and was reaped
	how  error         // how it ended; valid after done
}

// startChild starts a command in a session of its own and has it waited for.
func startChild(name string, cmd *exec.Cmd) (*child, error) {
	nursery.Lock()
	defer nursery.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, pid: cmd.Process.Pid, done: make(chan struct{})}
	nursery.own[c.pid] = true
	go func() { // ends with the process; whoever ends the process waits for done
		defer close(c.done)
		c.how = cmd.Wait()
		nursery.Lock()
		defer nursery.Unlock()
		delete(nursery.own, c.pid)
	}()
	return c, nil
}

func (c *child) running() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", c.name, ctx.Err())
	}
}

// reapPause bounds how long an orphan can stay a zombie when its signal was merged with another.
const reapPause = time.Second

// reapOrphans collects dead orphans until ctx ends.
func reapOrphans(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	pause := time.NewTicker(reapPause)
	defer pause.Stop()
	for {
		reapOnce()
		select {
		case <-died:
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func reapOnce() {
	self := os.Getpid()
	session, err := unix.Getsid(0)
	pids, listErr := allPIDs()
	if err != nil || listErr != nil {
		return // tried again soon
	}
	nursery.Lock()
	defer nursery.Unlock()
	for _, pid := range pids {
		st, err := readStat(pid)
		if err != nil || !st.zombie() || st.parent != self || st.session == session || nursery.own[pid] {
			continue
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // if it is not ours after all, the kernel says so and nothing happened
	}
}

// becomeReaper makes orphans below this process its children.
func becomeReaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return errors.Join(errors.New("become the reaper of orphans"), err)
	}
	return nil
}
