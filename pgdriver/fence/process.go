package fence

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// processStart reads when a process started, in clock ticks since boot. With the pid it names a process for good.
func processStart(pid int64) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.FormatInt(pid, 10) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read start of process %d: %w", pid, err)
	}
	info, ok := parseStat(text)
	if !ok {
		return 0, fmt.Errorf("read start of process %d: unexpected text", pid)
	}
	return info.start, nil
}

// process is another process, named by a descriptor that cannot come to mean a third one.
type process struct {
	pid  int64
	file *os.File // pidfd, non-blocking, so that the runtime can wait for it
}

// openProcess opens the process of that pid and start, or says os.ErrProcessDone.
func openProcess(pid, start int64) (*process, error) {
	fd, err := unix.PidfdOpen(int(pid), 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	// Compared after opening: the descriptor pins whichever process has the pid by now.
	if now, err := processStart(pid); err != nil || now != start {
		return nil, errors.Join(os.ErrProcessDone, unix.Close(fd))
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open process %d: %w", pid, err), unix.Close(fd))
	}
	return &process{pid: pid, file: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// wait blocks until the process has ended (nil) or close is called.
func (p *process) wait() error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", p.pid, err)
	}
	if err := conn.Read(func(fd uintptr) bool { return readable(int(fd)) }); err != nil {
		return fmt.Errorf("wait for process %d: %w", p.pid, err)
	}
	return nil
}

func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

func (p *process) signal(sig unix.Signal) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	var sent error
	if err := conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	if sent != nil && !errors.Is(sent, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.pid, sent)
	}
	return nil
}

func (p *process) close() error { return p.file.Close() }

// reap collects a child that has ended and tells how. A process that is not our child says so by an empty text.
func reap(pid int64) string {
	var ws unix.WaitStatus
	got, err := unix.Wait4(int(pid), &ws, unix.WNOHANG, nil)
	switch {
	case err != nil || got == 0:
		return ""
	case ws.Signaled():
		return "killed by signal " + strconv.Itoa(int(ws.Signal())) + " (" + unix.SignalName(ws.Signal()) + ")"
	}
	return "exit code " + strconv.Itoa(ws.ExitStatus())
}
