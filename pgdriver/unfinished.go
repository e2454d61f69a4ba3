package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"go.uber.org/zap"
)

// A marker beside the data directory tells that what is in it was begun by a bootstrap or a clone that has
// not ended. Such contents were never a copy that anybody relied on.
func (d *Driver) markerPath() string { return d.dataDir + ".unfinished" }

// unfinished tells what was begun and not ended: "bootstrap" or "clone".
func (d *Driver) unfinished() (string, bool) {
	b, err := os.ReadFile(d.markerPath())
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(b)), true
}

// begin sets the marker. Where the directory above cannot be written, as with a data directory that is a mount
// point, the work goes on without: an interrupted one then needs an operator.
func (d *Driver) begin(what string) error {
	_, err := writeFile(d.markerPath(), what+"\n", 0o600)
	if errors.Is(err, os.ErrPermission) {
		d.log.Warn("cannot mark the data directory as unfinished", zap.Error(err))
		return nil
	}
	return err
}

// end removes the marker, for good before anybody is told of success.
func (d *Driver) end() error {
	if err := removeFile(d.markerPath()); err != nil {
		return err
	}
	err := syncDir(d.parent())
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}

func (d *Driver) parent() string { return d.dataDir[:max(strings.LastIndexByte(d.dataDir, '/'), 1)] }

// A second marker tells that pg_rewind has begun to write and not ended. The contents may be of use to nobody
// but another pg_rewind, and are kept all the same.
func (d *Driver) rewindMarker() string { return d.dataDir + ".rewinding" }

func (d *Driver) halfRewound() bool {
	has, err := exists(d.rewindMarker())
	return err == nil && has
}

// requireStopped makes sure that nothing runs in the data directory, and ends what a dead server left.
func (d *Driver) requireStopped(ctx context.Context, op string) error {
	p, _, err := findPostmaster(d.dataDir)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if p != nil {
		p.close()
		return fmt.Errorf("%s: %w", op, ErrRunning)
	}
	return d.sweep(ctx, syscall.SIGQUIT, bootTicks())
}
