package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// innerVariable tells a process that it is the keeper's child: the number of the descriptor by which it learns of the
// keeper's death.
const innerVariable = "REGENT_DEMO_KEEPER"

const keeperDescriptor = 3 // the first of exec.Cmd.ExtraFiles

// Inner tells whether this process is the demo itself, and not its keeper.
func Inner() bool { return os.Getenv(innerVariable) != "" }

// endSignals end the demo in order.
var endSignals = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}

// Keep runs the same command line again, as a child, and looks after what it may leave: the terminal's mode, processes and files. It
// returns the exit code.
func Keep(dir string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("find the own program: %w", err)
	}
	alive, word, err := os.Pipe()
	if err != nil {
		return 1, fmt.Errorf("start the demo: %w", err)
	}
	defer func() { _ = word.Close() }() // its end is the word
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, endSignals...)
	defer signal.Stop(signals)
	in, out := readTerminal(os.Stdin), readTerminal(os.Stdout)
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), innerVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{alive}
	errText := &tail{}
	if out != nil {
		cmd.Stderr = errText // what a panic says must not be lost with the view's screen
	}
	if err := cmd.Start(); err != nil {
		return 1, errors.Join(fmt.Errorf("start the demo: %w", err), alive.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // joined below
	code := 0
wait:
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // if it has ended, Wait says so
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 1, fmt.Errorf("run the demo: %w", err)
			}
			code = cmd.ProcessState.ExitCode()
			break wait
		}
	}
	err = errors.Join(giveBack(in, out), alive.Close())
	_, writeErr := os.Stderr.Write(errText.bytes())
	return abnormal(code, cmd.Process.Pid, dir, errors.Join(err, writeErr))
}

// abnormal cleans up after a child that could not do it itself.
func abnormal(code, pid int, dir string, err error) (int, error) {
	s, stateErr := readState(dir)
	if stateErr != nil || s.PID != pid {
		return code, err // it has cleaned up itself, or never began
	}
	h := &home{dir: dir}
	if lockErr := h.takeLock(); lockErr != nil {
		return 1, errors.Join(err, lockErr)
	}
	_, _ = fmt.Fprintln(os.Stderr, "the demo ended abnormally; cleaning up after it")
	return max(1, code), errors.Join(err, h.close())
}

// giveBack restores the terminal if the child left it otherwise.
func giveBack(in, out *terminalState) error {
	if in == nil {
		return nil
	}
	now := readTerminal(os.Stdin)
	if now == nil || now.saved == in.saved {
		return nil
	}
	if out != nil {
		if _, err := os.Stdout.WriteString(leaveScreen); err != nil {
			return fmt.Errorf("restore the terminal: %w", err)
		}
	}
	return in.restore()
}

// ForgetKeeper takes the keeper's word out of the environment, so that members do not inherit it, and returns a context
// that ends by a signal or with the keeper.
func ForgetKeeper(ctx context.Context) (context.Context, func(), error) {
	if err := os.Unsetenv(innerVariable); err != nil {
		return nil, nil, err
	}
	unix.CloseOnExec(keeperDescriptor)
	if err := unix.SetNonblock(keeperDescriptor, true); err != nil { // before NewFile, so that closing it ends a read
		return nil, nil, fmt.Errorf("watch the keeper: %w", err)
	}
	pipe := os.NewFile(keeperDescriptor, "keeper")
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, endSignals...)
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) // a reader that went away is an error of the write, not the end
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	})
	wg.Go(func() {
		_, _ = io.Copy(io.Discard, pipe) // it ends with the keeper, or when it is closed below
		cancel()
	})
	return ctx, func() {
		cancel()
		_ = pipe.Close()
		wg.Wait()
	}, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 64 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(b), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
