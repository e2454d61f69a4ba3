package live

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Quench ends everything that runs out of a cluster's directory, whoever started it, and tells how many processes that
// were. Agents and guards are killed; PostgreSQL is asked for an immediate shutdown, because a killed one leaves shared memory
// behind, and is killed if it does not go within patience. Processes are known by their program or by their working directory,
// so it works on what an earlier caller left as well.
func Quench(ctx context.Context, dir string, patience time.Duration) (int, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return 0, fmt.Errorf("end what runs in a cluster's directory: %w", err)
	}
	program := func(p image) bool { return filepath.Dir(p.exe) == filepath.Join(dir, "bin") }
	server := func(p image) bool {
		name := filepath.Base(p.exe)
		return (name == "postgres" || name == "postmaster") && strings.HasPrefix(p.cwd, dir+"/")
	}
	all := func(p image) bool {
		if strings.HasPrefix(filepath.Base(p.exe), "pg_") || filepath.Base(p.exe) == "initdb" {
			return strings.Contains(strings.Join(p.args, "\x00"), dir+"/") // PostgreSQL's tools name their data directory
		}
		return program(p) || server(p)
	}
	found, err := find(all)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	killed, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = killAll(killed, program, nil)
	if _, e := signalAll(server, nil, unix.SIGCONT); e != nil {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, shutDown(ctx, server, patience), killAll(ctx, all, nil))
	if err != nil {
		return len(found), fmt.Errorf("end what runs in %s: %w", dir, err)
	}
	return len(found), nil
}

// shutDown asks postmasters for an immediate shutdown and waits until all servers are gone, or patience is.
func shutDown(ctx context.Context, server func(image) bool, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := map[int]bool{}
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		found, err := find(server)
		if err != nil {
			return false, err
		}
		for _, p := range found {
			if st, err := readStat(p.pid); err == nil && !asked[p.pid] && !isServer(st.parent, server) {
				asked[p.pid] = true
				if err := send(p.pid, server, unix.SIGQUIT); err != nil {
					return false, err
				}
			}
		}
		return len(found) == 0, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // who is late is killed by the caller
	}
	return err
}

func isServer(pid int, server func(image) bool) bool {
	p, ok := look(pid)
	return ok && server(p)
}
