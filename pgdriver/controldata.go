package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/regent-ha/regent/events"
)

// control reads pg_control natively, and by pg_controldata where the layout is of a version not known
// here. It may start a program and is therefore not for the paths that must not.
func (d *Driver) control(ctx context.Context) (controlFile, error) {
	c, err := readControl(d.dataDir)
	if !errors.Is(err, errControlLayout) {
		return c, err
	}
	out, err := d.run(ctx, tool{op: "read pg_control", name: "pg_controldata", args: []string{"-D", d.dataDir}})
	if ctx.Err() != nil {
		return controlFile{}, err
	}
	if err != nil {
		return controlFile{}, errors.Join(errControlLayout, err)
	}
	return parseControldata(out)
}

// parseControldata reads what pg_controldata prints in the C locale.
func parseControldata(text string) (controlFile, error) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			fields[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	p := controldataParser{fields: fields}
	c := controlFile{
		SystemID: p.number("Database system identifier"), ControlVersion: uint32(p.number("pg_control version number")),
		CatalogVersion: uint32(p.number("Catalog version number")), State: fields["Database cluster state"],
		Checkpoint: p.lsn("Latest checkpoint location"), Redo: p.lsn("Latest checkpoint's REDO location"),
		Timeline:    events.Timeline(p.number("Latest checkpoint's TimeLineID")),
		MinRecovery: p.lsn("Minimum recovery ending location"), MinRecoveryTLI: events.Timeline(p.number("Min recovery ending loc's timeline")),
		BackupStart: p.lsn("Backup start location"), BackupEndRequired: fields["End-of-backup record required"] == "yes",
		WALLogHints: fields["wal_log_hints setting"] == "on", MaxConnections: int(p.number("max_connections setting")),
		MaxWorkerProcesses: int(p.number("max_worker_processes setting")), MaxPreparedXacts: int(p.number("max_prepared_xacts setting")),
		MaxLocksPerXact:      int(p.number("max_locks_per_xact setting")),
		TrackCommitTimestamp: fields["track_commit_timestamp setting"] == "on",
		WALBlockSize:         uint32(p.number("WAL block size")), WALSegmentSize: uint32(p.number("Bytes per WAL segment")),
		DataChecksums: uint32(p.number("Data page checksum version")),
	}
	if _, ok := fields["max_wal_senders setting"]; ok { // since PostgreSQL 12
		c.MaxWALSenders = int(p.number("max_wal_senders setting"))
	}
	if c.State == "" {
		p.err = errors.New("no database cluster state")
	}
	if p.err != nil {
		return controlFile{}, fmt.Errorf("read the output of pg_controldata: %w", p.err)
	}
	return c, nil
}

type controldataParser struct {
	fields map[string]string
	err    error
}

func (p *controldataParser) number(name string) uint64 {
	n, err := strconv.ParseUint(p.fields[name], 10, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s = %q: %w", name, p.fields[name], err)
	}
	return n
}

func (p *controldataParser) lsn(name string) events.LSN {
	l, err := events.ParseLSN(p.fields[name])
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: %w", name, err)
	}
	return l
}
