package fence

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/internal/aspostgres"
)

// innerMark is set for the inner process, to a directory in memory that the outer one removes.
const innerMark = "FENCE_TEST_INNER"

// TestMain gives the test binary its four parts: the guard, an agent that can be frozen and killed, the tests
// themselves as a user that PostgreSQL accepts, and around them a reaper that ends whatever they leave behind.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guard":
			os.Exit(RunGuard(os.Args[2:]))
		case "agent":
			os.Exit(playAgent(os.Args[2:]))
		}
	}
	if os.Getenv(innerMark) != "" {
		os.Exit(m.Run())
	}
	code, err := runInner()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runInner() (int, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, err
	}
	cmd := exec.Command("/proc/self/exe", aspostgres.WithoutTestlog(os.Args[1:])...)
	scratch, err := os.MkdirTemp("", "regent-fence-")
	if err != nil {
		return 1, err
	}
	memory, err := os.MkdirTemp("/dev/shm", "regent-fence-")
	if err != nil {
		return 1, errors.Join(err, os.RemoveAll(scratch))
	}
	code, err := runIn(cmd, scratch, memory)
	// Only now is nobody left who could write there.
	return code, errors.Join(err, os.RemoveAll(scratch), os.RemoveAll(memory))
}

func runIn(cmd *exec.Cmd, scratch, memory string) (int, error) {
	cmd.Env = append(os.Environ(), innerMark+"="+memory, "TMPDIR="+scratch)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if os.Geteuid() == 0 {
		who, err := user.Lookup("postgres")
		if err != nil {
			return 1, err
		}
		uid, err := strconv.ParseUint(who.Uid, 10, 32)
		if err != nil {
			return 1, err
		}
		gid, err := strconv.ParseUint(who.Gid, 10, 32)
		if err != nil {
			return 1, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		cmd.Env = append(cmd.Env, "HOME="+scratch)
		if err := errors.Join(os.Chown(scratch, int(uid), int(gid)), os.Chown(memory, int(uid), int(gid))); err != nil {
			return 1, err
		}
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	code := -1
	for code < 0 {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 1, err
		}
		if pid == cmd.Process.Pid {
			if code = ws.ExitStatus(); code < 0 {
				code = 1
			}
		}
	}
	return code, endOrphans()
}

// endOrphans kills what is left below this process, which as a subreaper inherits every orphan.
func endOrphans() error {
	for {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			return err
		}
		for _, path := range stats {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has just ended
			}
			if info, ok := parseStat(text); ok && info.parent == os.Getpid() && !info.zombie {
				pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
				fmt.Fprintf(os.Stderr, "left behind, killed: %s", text)
				if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					return err
				}
			}
		}
		var ws unix.WaitStatus
		if _, err := unix.Wait4(-1, &ws, 0, nil); errors.Is(err, unix.ECHILD) {
			return nil
		}
	}
}
