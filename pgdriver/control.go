package pgdriver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
)

// controlFile is what pg_control tells, as far as anything here depends on it.
type controlFile struct {
	SystemID             uint64
	ControlVersion       uint32
	CatalogVersion       uint32
	State                string
	Checkpoint           events.LSN
	Redo                 events.LSN
	Timeline             events.Timeline
	MinRecovery          events.LSN
	MinRecoveryTLI       events.Timeline
	WALLogHints          bool
	MaxConnections       int
	MaxWorkerProcesses   int
	MaxWALSenders        int
	MaxPreparedXacts     int
	MaxLocksPerXact      int
	TrackCommitTimestamp bool
	WALBlockSize         uint32
	WALSegmentSize       uint32
	DataChecksums        uint32
	BackupStart          events.LSN
	BackupEndRequired    bool
}

// dbStates are PostgreSQL's own texts for enum DBState, in its order.
var dbStates = []string{"starting up", "shut down", "shut down in recovery", "shutting down",
	"in crash recovery", "in archive recovery", "in production"}

// errControlLayout tells that the file is of a version whose layout is not known here, or damaged.
var errControlLayout = errors.New("pg_control has an unknown layout or a wrong checksum")

// controlCRCOffset is where the checksum stands, by pg_control_version. The versions 1300 (PostgreSQL
// 13 to 16), 1700 and 1800 agree in everything before data_checksum_version; 17 put wal_level into
// padding, 18 a bool behind it. The checksum proves that the layout is the one assumed.
var controlCRCOffset = map[uint32]int{1300: 288, 1700: 288, 1800: 292}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseControl reads the bytes of pg_control.
func parseControl(b []byte) (controlFile, error) {
	if len(b) < 296 {
		return controlFile{}, fmt.Errorf("%w: %d bytes are too few", errControlLayout, len(b))
	}
	le := binary.NativeEndian
	u32 := func(off int) uint32 { return le.Uint32(b[off:]) }
	u64 := func(off int) uint64 { return le.Uint64(b[off:]) }
	version := u32(8)
	crcAt, ok := controlCRCOffset[version]
	if !ok {
		return controlFile{}, fmt.Errorf("%w: pg_control_version %d", errControlLayout, version)
	}
	if crc32.Checksum(b[:crcAt], castagnoli) != u32(crcAt) {
		return controlFile{}, fmt.Errorf("%w: pg_control_version %d", errControlLayout, version)
	}
	state := u32(16)
	if int(state) >= len(dbStates) {
		return controlFile{}, fmt.Errorf("%w: state %d", errControlLayout, state)
	}
	return controlFile{
		SystemID: u64(0), ControlVersion: version, CatalogVersion: u32(12), State: dbStates[state],
		Checkpoint: events.LSN(u64(32)), Redo: events.LSN(u64(40)), Timeline: events.Timeline(u32(48)),
		MinRecovery: events.LSN(u64(136)), MinRecoveryTLI: events.Timeline(u32(144)),
		BackupStart: events.LSN(u64(152)), BackupEndRequired: b[168] != 0,
		WALLogHints: b[176] != 0, MaxConnections: int(u32(180)), MaxWorkerProcesses: int(u32(184)),
		MaxWALSenders: int(u32(188)), MaxPreparedXacts: int(u32(192)), MaxLocksPerXact: int(u32(196)),
		TrackCommitTimestamp: b[200] != 0, WALBlockSize: u32(224), WALSegmentSize: u32(228), DataChecksums: u32(252),
	}, nil
}

// readControl reads pg_control of a data directory. A read that meets a write is tried again.
func readControl(dataDir string) (controlFile, error) {
	path := filepath.Join(dataDir, "global", "pg_control")
	var c controlFile
	var err error
	for range 5 {
		var b []byte
		if b, err = os.ReadFile(path); err != nil {
			return controlFile{}, fmt.Errorf("read pg_control: %w", err)
		}
		if c, err = parseControl(b); err == nil {
			return c, nil
		}
		if len(b) >= 12 {
			if _, known := controlCRCOffset[binary.NativeEndian.Uint32(b[8:])]; !known {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	return controlFile{}, fmt.Errorf("read %s: %w", path, err)
}

// canRewind tells whether pg_rewind can work on this data directory.
func (c *controlFile) canRewind() bool { return c.WALLogHints || c.DataChecksums != 0 }

func (c *controlFile) systemID() string { return strconv.FormatUint(c.SystemID, 10) }

func (c *controlFile) clean() bool {
	return c.State == "shut down" || c.State == "shut down in recovery"
}
