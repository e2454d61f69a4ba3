package pgdriver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pidFile is postmaster.pid.
type pidFile struct {
	pid       int
	port      int
	socketDir string
	listen    string // first address listened on, empty for none
	status    string // starting, stopping, ready, standby; empty before PostgreSQL 10
}

// readPIDFile reads postmaster.pid; a missing file is a zero value without an error. The later lines
// come as the server starts, so a short file is not an error either.
func readPIDFile(dataDir string) (pidFile, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return pidFile{}, nil
	}
	if err != nil {
		return pidFile{}, fmt.Errorf("read postmaster.pid: %w", err)
	}
	lines := strings.Split(string(b), "\n")
	line := func(i int) string {
		if i < len(lines) {
			return strings.TrimSpace(lines[i])
		}
		return ""
	}
	pid, err := strconv.Atoi(line(0))
	if err != nil {
		// Empty for a moment while it is written; of other contents PostgreSQL itself will complain.
		return pidFile{}, nil
	}
	p := pidFile{pid: max(pid, -pid), socketDir: line(4), listen: line(5), status: line(7)}
	if line(3) != "" {
		if p.port, err = strconv.Atoi(line(3)); err != nil {
			return pidFile{}, fmt.Errorf("read postmaster.pid: port: %w", err)
		}
	}
	return p, nil
}

// removeEmptyLock removes a postmaster.pid without contents, which a server leaves that was killed while it wrote the
// file, and which PostgreSQL refuses to replace. The caller has made sure that no server of this directory lives.
func removeEmptyLock(dataDir string) error {
	path := filepath.Join(dataDir, "postmaster.pid")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > 0 {
		return nil
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("remove an empty postmaster.pid: %w", err)
	}
	return nil
}

// findPostmaster returns a handle to the living postmaster of the data directory, or nil. A single-user
// server, whose number stands there negative, counts: it holds the directory too.
func findPostmaster(dataDir string) (*process, pidFile, error) {
	f, err := readPIDFile(dataDir)
	if err != nil || f.pid == 0 {
		return nil, f, err
	}
	p, err := openProcess(f.pid)
	if errors.Is(err, errNoProcess) {
		return nil, f, nil
	}
	if err != nil {
		return nil, f, err
	}
	// The handle is open: if the process is the one now, it was so all along. A number used
	// again after a reboot belongs to something that does not work in this directory.
	if !isServerProcess(f.pid, dataDir) {
		p.close()
		return nil, f, nil
	}
	return p, f, nil
}
