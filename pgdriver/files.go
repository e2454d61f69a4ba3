package pgdriver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeFile replaces a file so that a reader, or a crash, meets either the old contents or the new. It
// does nothing if the contents are the same, and tells whether it wrote.
func writeFile(path, text string, mode fs.FileMode) (changed bool, err error) {
	old, err := os.ReadFile(path)
	if err == nil && string(old) == text {
		if st, err := os.Stat(path); err == nil && st.Mode().Perm() == mode {
			return false, nil
		}
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return false, err
	}
	if err = f.Chmod(mode); err != nil {
		return false, err
	}
	if err = f.Sync(); err != nil {
		return false, err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return true, fmt.Errorf("write %s: %w", path, err)
	}
	return true, syncDir(dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeFile removes a file that may not be there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// copyLabelled tells that a data directory holds a base backup, or what pg_rewind made, that was not started since: its backup_label is
// there until then. Up to PostgreSQL 14 a primary in an exclusive backup has such a file, too, which says so ("BACKUP METHOD:
// pg_start_backup"; source: xlog.c, do_pg_start_backup).
func copyLabelled(dataDir string) (bool, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, "backup_label"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read backup_label: %w", err)
	}
	return !strings.Contains(string(b), "BACKUP METHOD: pg_start_backup"), nil
}

// isEmptyDir tells whether a directory is absent or holds nothing of interest.
func isEmptyDir(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" { // of a file system mounted here
			return false, nil
		}
	}
	return true, nil
}

// emptyDir removes what is in a directory and leaves the directory, which may be a mount point.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != "lost+found" {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// moveAside renames a directory to a name of its own and returns that name.
func moveAside(dir, why string) (string, error) {
	base := dir + "." + why + "-" + time.Now().UTC().Format("20060102T150405.000")
	if err := os.Rename(dir, base); err != nil {
		return "", hinted("move "+dir+" aside", err, "if it is a mount point, move its contents away by hand")
	}
	return base, syncDir(filepath.Dir(dir))
}

// fileMode is what files in the data directory are to have: readable by the group if the directory is.
func (d *Driver) fileMode() fs.FileMode {
	if st, err := os.Stat(d.dataDir); err == nil && st.Mode().Perm()&0o040 != 0 {
		return 0o640
	}
	return 0o600
}
