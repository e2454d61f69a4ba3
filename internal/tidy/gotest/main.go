package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	// A terminal's interrupt reaches go test too; this program stays to count what it says.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code, err := run(ctx, os.Stdout, os.Args[1:], os.Getenv("CI") != "")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	os.Exit(code)
}

// matrixFlag demands that no cell of the matrix of stores and cases stays empty.
const matrixFlag = "-matrix"

// run returns the exit code of the program: that of go test, or 1 for skipped tests that are not allowed.
func run(ctx context.Context, out io.Writer, args []string, skipsFail bool) (int, error) {
	whole := len(args) > 0 && args[0] == matrixFlag
	if whole {
		args = args[1:]
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, fmt.Errorf("prepare go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start go test: %w", err)
	}
	count := newCounter(out)
	readErr := count.read(events)
	waitErr := cmd.Wait()
	count.summary()
	switch {
	case readErr != nil:
		return 1, fmt.Errorf("read the output of go test: %w", readErr)
	case count.printErr != nil:
		return 1, fmt.Errorf("print: %w", count.printErr)
	case waitErr != nil:
		return max(1, cmd.ProcessState.ExitCode()), fmt.Errorf("go test: %w", waitErr)
	case skipsFail && len(count.skipped) > 0:
		return 1, fmt.Errorf("%d tests were skipped, and CI is set", len(count.skipped))
	case whole && len(count.matrix.empty()) > 0:
		return 1, fmt.Errorf("not in the matrix of stores and cases, though everything ran: %v", count.matrix.empty())
	}
	return 0, nil
}
