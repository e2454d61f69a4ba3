package demo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

const (
	cleanLimit    = 30 * time.Second
	quenchPatient = 5 * time.Second // for PostgreSQL to go by itself
)

// leftovers counts what was cleaned.
type leftovers struct {
	found               bool
	processes, segments int
}

// cleanLeftovers ends what runs out of a demo's directory, gives its shared memory back and removes its files, all but the
// directory itself and its lock. The caller holds the lock, so no living demo is meant.
func cleanLeftovers(ctx context.Context, dir string) (leftovers, error) {
	var n leftovers
	s, err := readState(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return n, err
	}
	n.found = err == nil
	cluster := filepath.Join(dir, clusterDir)
	if _, err := os.Lstat(cluster); err == nil {
		n.found = true
		if n.processes, err = live.Quench(ctx, cluster, quenchPatient); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, err // not if the janitor of the package live was here first
		}
	}
	if n.segments, err = removeSegments(s.Segments); err != nil {
		return n, err
	}
	return n, removeFiles(ctx, dir)
}

// removeFiles removes everything but the lock. It tries again while somebody else, the janitor of the package live, removes the same.
func removeFiles(ctx context.Context, dir string) error {
	for {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != lockFile {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
