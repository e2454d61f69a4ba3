package demo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/simulations/live"
)

// The beginning of PostgreSQL's System V segment (PGShmemHeader), the same from version 9.4 on: a magic number, the pid of
// the postmaster, two sizes, and the number of the control segment of dynamic shared memory, a file in /dev/shm.
const (
	shmMagic         = 679834894
	shmCreatorOffset = 4
	shmDynamicOffset = 24
	shmHeaderBytes   = 28
)

const dynamicDir = "/dev/shm"

// removeSegments gives back the shared memory of PostgreSQLs that were killed and never started again. A segment is
// removed only if it is still what was noted: PostgreSQL's, made by the postmaster that was noted, and used by nobody.
func removeSegments(segments []live.SharedMemory) (int, error) {
	n := 0
	var errs []error
	for _, s := range segments {
		removed, err := removeSegment(s)
		if removed {
			n++
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove shared memory segment %d: %w", s.ID, err))
		}
	}
	return n, errors.Join(errs...)
}

func removeSegment(s live.SharedMemory) (bool, error) {
	var d unix.SysvShmDesc
	_, err := unix.SysvShmCtl(s.ID, unix.IPC_STAT, &d)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIDRM) {
		return false, nil // gone, as it should be
	}
	if err != nil {
		return false, err
	}
	if d.Nattch > 0 || int(d.Cpid) != s.Creator {
		return false, nil // somebody else's, with a number used again
	}
	memory, err := unix.SysvShmAttach(s.ID, 0, unix.SHM_RDONLY)
	if err != nil {
		return false, err
	}
	ours := len(memory) >= shmHeaderBytes && binary.NativeEndian.Uint32(memory) == shmMagic &&
		binary.NativeEndian.Uint32(memory[shmCreatorOffset:]) == uint32(s.Creator)
	var handle uint32
	if ours {
		handle = binary.NativeEndian.Uint32(memory[shmDynamicOffset:])
	}
	if err := unix.SysvShmDetach(memory); err != nil || !ours {
		return false, err
	}
	if err := removeDynamic(handle); err != nil {
		return false, err
	}
	_, err = unix.SysvShmCtl(s.ID, unix.IPC_RMID, nil)
	return err == nil, err
}

// The control segment of dynamic shared memory: a magic number, the number of entries in use, their most, and the
// entries. They are 40 bytes long since PostgreSQL 14 and begin with the number of a segment.
const (
	dynamicMagic      = 0x9a503d32
	dynamicFirst      = 16
	dynamicEntryBytes = 40
)

// removeDynamic removes the files of dynamic shared memory. Entries of an older PostgreSQL are not understood, and
// at most name files that are not there.
func removeDynamic(handle uint32) error {
	if handle == 0 {
		return nil
	}
	name := func(h uint32) string { return filepath.Join(dynamicDir, fmt.Sprintf("PostgreSQL.%d", h)) }
	control, err := os.ReadFile(name(handle))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(control) < dynamicFirst || binary.NativeEndian.Uint32(control) != dynamicMagic {
		return nil
	}
	var errs []error
	remove := func(h uint32) {
		if err := os.Remove(name(h)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for i := range int(binary.NativeEndian.Uint32(control[4:])) {
		at := dynamicFirst + i*dynamicEntryBytes
		if at+8 > len(control) {
			break
		}
		if h, references := binary.NativeEndian.Uint32(control[at:]), binary.NativeEndian.Uint32(control[at+4:]); h != 0 && references > 0 {
			remove(h)
		}
	}
	remove(handle)
	return errors.Join(errs...)
}
