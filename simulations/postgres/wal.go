package postgres

import (
	"slices"
	"sort"

	"github.com/regent-ha/regent/events"
)

const (
	segmentBytes    events.LSN = 16 << 20
	firstLSN        events.LSN = 0x14F0000 // about where a new cluster's WAL ends
	checkpointBytes events.LSN = 120
	recoveryEnd     events.LSN = 48 // an end-of-recovery record
)

type recordKind uint8

const (
	isWrite recordKind = iota
	isCheckpoint
	isOther
)

// piece is a run of records: one record of the server's own, or commits with consecutive ids.
type piece struct {
	at, end events.LSN
	first   uint64
	stride  events.LSN
	kind    recordKind
}

// upTo is how many of a piece's commits end at or before a position.
func (p *piece) upTo(at events.LSN) uint64 {
	return uint64((min(p.end, at) - p.at) / p.stride)
}

// branch is WAL that one server wrote, from where it left the parent's.
type branch struct {
	timeline events.Timeline
	parent   *branch
	fork     events.LSN // its first record begins here, in the parent's WAL
	owner    *Server    // the only one that appends
	pieces   []piece
	end      events.LSN
	newest   events.LSN              // where its newest checkpoint ends
	history  []events.TimelineSwitch // of its timeline; never changed
}

// point is a position in the tree: all records that end at or before at, on the way from the root to b.
type point struct {
	b  *branch
	at events.LSN
}

// holds tells whether q's WAL is the beginning of p's.
func (p point) holds(q point) bool {
	if q.b == nil {
		return true
	}
	for q.b.parent != nil && q.at <= q.b.fork {
		q.b = q.b.parent
	}
	limit := p.at
	for x := p.b; x != nil; x = x.parent {
		if x == q.b {
			return q.at <= limit
		}
		limit = min(limit, x.fork)
	}
	return false
}

// timeline of the WAL at a position on the way to b. At a switch it is the new one.
func (b *branch) timelineAt(at events.LSN) events.Timeline {
	for b.parent != nil && at < b.fork {
		b = b.parent
	}
	return b.timeline
}

// on returns the branch that holds the record that ends at a position.
func (b *branch) on(at events.LSN) *branch {
	for b.parent != nil && at <= b.fork {
		b = b.parent
	}
	return b
}

// floor is the end of the last complete record at or before a position.
func (b *branch) floor(at events.LSN) events.LSN {
	b = b.on(at)
	i := sort.Search(len(b.pieces), func(i int) bool { return b.pieces[i].at >= at }) - 1
	if i < 0 {
		return min(at, b.fork)
	}
	p := &b.pieces[i]
	switch {
	case at >= p.end:
		return p.end
	case p.kind != isWrite:
		return p.at
	}
	return p.at + events.LSN(p.upTo(at))*p.stride
}

// append adds a record and returns where it ends.
func (b *branch) append(kind recordKind, size events.LSN, id uint64) events.LSN {
	if n := len(b.pieces); n > 0 && kind == isWrite {
		last := &b.pieces[n-1]
		if last.kind == isWrite && last.stride == size && last.first+last.upTo(last.end) == id {
			last.end += size
			b.end = last.end
			return b.end
		}
	}
	b.pieces = append(b.pieces, piece{at: b.end, end: b.end + size, first: id, stride: size, kind: kind})
	b.end += size
	if kind == isCheckpoint {
		b.newest = b.end
	}
	return b.end
}

// has tells whether a commit's record ends at or before the point.
func (p point) has(id uint64) bool {
	limit := p.at
	for b := p.b; b != nil; b = b.parent {
		for i := len(b.pieces) - 1; i >= 0; i-- {
			x := &b.pieces[i]
			if x.kind == isWrite && x.at < limit && id >= x.first && id < x.first+x.upTo(limit) {
				return true
			}
		}
		limit = min(limit, b.fork)
	}
	return false
}

// ids is the set of all commits up to the point.
func (p point) ids() Ranges {
	var all Ranges
	limit := p.at
	for b := p.b; b != nil; b = b.parent {
		for i := range b.pieces {
			if x := &b.pieces[i]; x.kind == isWrite && x.at < limit {
				if n := x.upTo(limit); n > 0 {
					all.AddRange(x.first, x.first+n-1)
				}
			}
		}
		limit = min(limit, b.fork)
	}
	return all
}

// checkpointBefore finds the last checkpoint record that ends at or before the point.
func (p point) checkpointBefore() (at, end events.LSN, t events.Timeline) {
	limit := p.at
	for b := p.b; b != nil; b = b.parent {
		for i := len(b.pieces) - 1; i >= 0; i-- {
			if x := &b.pieces[i]; x.kind == isCheckpoint && x.end <= limit {
				return x.at, x.end, b.timeline
			}
		}
		limit = min(limit, b.fork)
	}
	return 0, 0, 0
}

// historyFile is a timeline history file in pg_wal, or in the archive.
type historyFile struct {
	timeline events.Timeline
	rows     []events.TimelineSwitch
}

// historyOf finds a history file.
func historyOf(files []historyFile, t events.Timeline) ([]events.TimelineSwitch, bool) {
	i := slices.IndexFunc(files, func(f historyFile) bool { return f.timeline == t })
	if i < 0 {
		return nil, false
	}
	return files[i].rows, true
}

// keepHistories adds files that are not there yet.
func keepHistories(have, add []historyFile) []historyFile {
	for _, f := range add {
		if _, has := historyOf(have, f.timeline); !has {
			have = append(have[:len(have):len(have)], f)
		}
	}
	return have
}

// within tells whether a position on timeline t is in the history of a timeline with these rows.
func within(rows []events.TimelineSwitch, latest, t events.Timeline, at events.LSN) bool {
	if t == latest {
		return true
	}
	for _, r := range rows {
		if r.Parent == t {
			return at <= r.Switch
		}
	}
	return false
}
