package pgdriver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/regent-ha/regent/events"
)

const (
	walShortHeader  = 24 // of each page
	walLongHeader   = 40 // of the first page of a segment
	walRecordHeader = 24
	walMaxRecord    = 1 << 20 // a checkpoint record has about a hundred bytes
	walAlign        = 8
)

// recordEnd returns where the WAL record at the latest checkpoint ends, which is where the next one begins,
// and where a replica that has replayed everything starts its new timeline.
func recordEnd(dataDir string, c *controlFile) (end events.LSN, err error) {
	if c.WALSegmentSize == 0 || c.WALBlockSize == 0 {
		return 0, errors.New("find the end of the checkpoint record: sizes unknown")
	}
	seg, page := uint64(c.WALSegmentSize), uint64(c.WALBlockSize)
	at := uint64(c.Checkpoint)
	perID := uint64(1<<32) / seg
	name := fmt.Sprintf("%08X%08X%08X", uint32(c.Timeline), at/seg/perID, at/seg%perID)
	f, err := os.Open(filepath.Join(dataDir, "pg_wal", name))
	if err != nil {
		return 0, fmt.Errorf("find the end of the checkpoint record: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var b [4]byte // a record is aligned, so its length is never split between pages
	if _, err := f.ReadAt(b[:], int64(at%seg)); err != nil {
		return 0, fmt.Errorf("find the end of the checkpoint record: %w", err)
	}
	length := uint64(binary.NativeEndian.Uint32(b[:]))
	if length < walRecordHeader || length > walMaxRecord {
		return 0, fmt.Errorf("find the end of the checkpoint record: no record at %v", c.Checkpoint)
	}
	for {
		room := page - at%page
		if length <= room {
			at += length
			break
		}
		length -= room
		at += room
		if at%seg == 0 {
			at += walLongHeader
		} else {
			at += walShortHeader
		}
	}
	return events.LSN((at + walAlign - 1) &^ (walAlign - 1)), nil
}
