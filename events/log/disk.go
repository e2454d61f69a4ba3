package log

import (
	"fmt"
	"os"
)

// File is a segment that is being written.
type File interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// Disk is what the writer needs of a file system. Any of it may block for as long as the disk likes.
type Disk interface {
	// Create makes a new file that did not exist.
	Create(path string) (File, error)
	// Extend opens an existing file, cuts it to size bytes and writes from there.
	Extend(path string, size int64) (File, error)
	Remove(path string) error
	// SyncDir makes the names in a directory survive a crash.
	SyncDir(dir string) error
}

// LocalDisk is the file system of this machine.
type LocalDisk struct{}

// Create makes a new file that did not exist.
func (LocalDisk) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Extend opens an existing file, cuts it to size bytes and writes from there.
func (LocalDisk) Extend(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(size)
	if err == nil {
		_, err = f.Seek(size, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, fmt.Errorf("cut %s to %d bytes: %w", path, size, firstError(err, f.Close()))
	}
	return f, nil
}

// Remove removes a file.
func (LocalDisk) Remove(path string) error { return os.Remove(path) }

// SyncDir makes the names in a directory survive a crash.
func (LocalDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return firstError(d.Sync(), d.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
