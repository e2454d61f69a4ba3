// Package aspostgres lets the tests of a package run as the user postgres when root begins them, since PostgreSQL refuses to
// run as root. It is for TestMain only: what a process does when it is already that user or any other is left to the package.
// The guard's tests switch by themselves, for they need a process of root's above that of postgres.
package aspostgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Exit ends the process with the code that run returns, or, as root, with that of this test binary run once more as postgres,
// with args added to its own. It is for TestMain.
func Exit(run func() int, args ...string) {
	if os.Geteuid() != 0 {
		os.Exit(run())
	}
	code, err := again(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests as postgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func again(args []string) (code int, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return 1, err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	dir, err := os.MkdirTemp("", "regent-test-")
	if err = errors.Join(err, uidErr, gidErr); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self := filepath.Join(dir, filepath.Base(os.Args[0])) // the one that runs is where only root may look
	if err := errors.Join(copyFile("/proc/self/exe", self), os.Chmod(dir, 0o755)); err != nil {
		return 1, err
	}
	cmd := exec.Command(self, append(WithoutTestlog(os.Args[1:]), args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+u.HomeDir, "USER=postgres")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if cmd.ProcessState != nil {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 1, err
}

// WithoutTestlog drops the flag that names a file of the go command's own, which only the user who began the tests may write.
func WithoutTestlog(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-test.testlogfile") })
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
