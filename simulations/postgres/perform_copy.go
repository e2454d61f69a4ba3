package postgres

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// requireStopped makes sure that nothing runs, and ends what a dead server left.
func (w *work) requireStopped() bool {
	if w.s.Running() {
		w.fail("the server is running")
		return false
	}
	w.s.KillAll()
	if w.s.dying {
		w.fail(waitsForDisk)
		return false
	}
	return true
}

// discardUnfinished moves aside what a bootstrap or clone left behind.
func (s *Server) discardUnfinished() {
	if s.unfinished != "" {
		s.data, s.marks = data{}, nil
	}
}

// bootstrap is Driver.Bootstrap.
func (w *work) bootstrap() {
	s := w.s
	if why := s.disk.refuses(); why != "" {
		w.fail(why)
		return
	}
	s.discardUnfinished()
	if !w.requireStopped() {
		return
	}
	if s.content != empty {
		w.fail("the data directory is not empty")
		return
	}
	s.unfinished = "bootstrap"
	w.abort = s.discardUnfinished
	w.report("running initdb")
	w.after(w.takes(s.c.Timing.Bootstrap), func() {
		root := &branch{timeline: 1, fork: firstLSN, end: firstLSN, owner: s}
		s.data = data{content: present, sysid: s.c.newSystemID(), wal: point{root, firstLSN}, flushed: firstLSN}
		s.marks, s.upstream = nil, nil
		s.checkpoint(shutDown)
		w.ok(events.Result{SystemID: s.sysid})
	})
}

// clone is Driver.Clone: what is there is put aside, and back if it fails.
func (w *work) clone(a events.Clone) {
	s := w.s
	if !w.requireStopped() {
		return
	}
	s.discardUnfinished()
	if s.content != empty && !a.Discard {
		w.fail("the data directory is not empty")
		return
	}
	aside := s.data
	s.data, s.marks = data{}, nil
	w.abort = func() { s.data = aside }
	from, why, atOnce := s.reach(a.From)
	if why == "" && from == s {
		why, atOnce = "connection refused", true
	}
	if why != "" {
		w.failOn(why, atOnce)
		return
	}
	if s.useSlots && !from.recovery {
		from.createSlot(s.slotName)
	}
	s.unfinished = "clone"
	w.report("waiting for a checkpoint")
	w.copyFrom(from, func() {
		from.checkpointNow()
		at, oldest := from.control, from.control.checkpoint
		took := bytesTime(events.LSN(s.c.Timing.DataBytes), s.c.Timing.CopyRate)
		w.after(w.takes(took/2), func() { w.report("half is copied") })
		w.after(w.takes(took), func() {
			w.connected(from, func() {
				from.settle()
				s.data = data{content: present, sysid: from.sysid, noChecksums: from.noChecksums, control: at, backupLabel: true,
					standbySignal: from.standbySignal, oldest: oldest - oldest%segmentBytes,
					wal: point{from.wal.b, from.flushed}, flushed: from.flushed}
				if rows, has := historyOf(from.histories, from.wal.b.timeline); has {
					s.histories = []historyFile{{from.wal.b.timeline, rows}}
				}
				s.upstream = nil
				w.ok(events.Result{SystemID: s.sysid})
			})
		})
	})
}

// copyFrom waits for the checkpoint at a source, and gives up when the source's processes end or its role changes.
func (w *work) copyFrom(from *Server, do func()) {
	life, role := from.life, from.recovery
	w.look = func() {
		if (from.life != life || from.recovery != role || from.phase != up) && !from.hostDown {
			w.look = nil
			w.failOn("the server closed the connection unexpectedly", true)
		}
	}
	w.after(w.takes(w.s.c.Timing.Checkpoint), func() { w.connected(from, do) })
}

// connected waits until packets flow again between here and a source, or until TCP gives up.
func (w *work) connected(from *Server, do func()) { w.connectedSince(w.s.now(), from, do) }

// connectedSince is connected, when the last sign of life of the source's host came at some time.
func (w *work) connectedSince(seen events.Instant, from *Server, do func()) {
	const again = 100 * time.Millisecond
	linked := w.s.c.linked(w.s, from)
	switch {
	case w.look == nil:
		return // given up
	case linked:
		seen = w.s.now()
	case w.s.now().Sub(seen) >= w.s.c.Timing.KeepAlive:
		w.look = nil
		w.failOn("could not receive data from the source: connection timed out", true)
		return
	}
	if !linked || from.hung || w.s.disk == DiskStalled || from.disk == DiskStalled {
		w.after(again, func() { w.connectedSince(seen, from, do) })
		return
	}
	if w.s.disk != DiskWell {
		w.give(w.s.disk.refuses())
		return
	}
	do()
}

// crashRecover is Driver.crashRecover: the server runs alone until its WAL is applied, on its timeline.
func (w *work) crashRecover(then func()) {
	s := w.s
	if !w.requireStopped() {
		return
	}
	switch why := s.requireControl(); {
	case why != "":
		w.fail(why)
		return
	case s.unfinished != "":
		w.fail("the data directory holds an unfinished " + s.unfinished)
		return
	case s.control.state == shutDown || s.control.state == shutDownInRecovery:
		then()
		return
	}
	s.standbySignal = false
	s.control.state = inCrashRecovery
	if why := s.disk.refuses(); why != "" {
		w.fail(why) // it writes WAL
		return
	}
	w.report("recovering alone")
	took := s.c.Timing.Start + bytesTime(s.flushed-min(s.control.checkpoint, s.flushed), s.c.Timing.ReplayRate)
	w.after(w.takes(took), func() {
		w.onDisk(func() {
			s.backupLabel = false
			s.checkpoint(inProduction) // at the end of recovery
			s.checkpoint(shutDown)
			then()
		})
	})
}

// rewind is Driver.Rewind after crash recovery.
func (w *work) rewind(u events.Upstream) {
	s := w.s
	if s.noChecksums {
		w.fail("neither data checksums nor wal_log_hints are on")
		return
	}
	from, why, atOnce := s.reach(u)
	switch {
	case why != "":
		w.failOn(why, atOnce)
		return
	case from.recovery:
		w.fail("the server is in recovery, not a primary")
		return
	}
	w.copyFrom(from, func() {
		if from.control.timeline != from.wal.b.timeline {
			from.checkpointNow()
		}
		w.runRewind(from)
	})
}

// runRewind is pg_rewind under the driver's marker.
func (w *work) runRewind(from *Server) {
	s := w.s
	before := s.half
	needed, fork, why := s.rewindNeeded(from)
	if why != "" || !needed {
		w.after(w.takes(s.c.Timing.Rewind/4), func() {
			if why != "" {
				w.fail(why)
				return
			}
			s.half = false
			w.ok(events.Result{})
		})
		return
	}
	s.half = true // the marker: an agent that dies from here on leaves it
	w.abort = func() { s.half = before }
	took := s.c.Timing.Rewind + bytesTime(from.flushed-min(fork, from.flushed), s.c.Timing.CopyRate)
	w.after(w.takes(took/2), func() {
		w.connected(from, func() {
			w.abort = nil // it has begun to write
			w.report("need to copy")
			w.after(w.takes(took/2), func() {
				w.connected(from, func() {
					s.rewound(from)
					w.ok(events.Result{})
				})
			})
		})
	})
}

// rewindNeeded is what pg_rewind finds before it writes: whether there is anything to do, and from where on.
func (s *Server) rewindNeeded(from *Server) (needed bool, fork events.LSN, why string) {
	if s.sysid != from.sysid {
		return false, 0, "source and target clusters are from different systems"
	}
	target := max(s.control.timeline, s.control.minTimeline)
	if target == from.control.timeline && !s.half {
		return false, 0, "" // source and target cluster are on the same timeline
	}
	fork = commonAncestor(s.wal.b.on(s.wal.at).history, target, from.wal.b.history, from.wal.b.timeline)
	end := s.control.checkpointEnd
	if s.control.state == shutDownInRecovery {
		end = s.control.minRecovery
	}
	if end <= fork && !s.half {
		return false, fork, ""
	}
	if fork < s.oldest && !s.c.Archive {
		return false, 0, "could not find previous WAL record: the WAL segment was removed"
	}
	return true, fork, ""
}

// commonAncestor is where two histories part, by what their files say.
func commonAncestor(a []events.TimelineSwitch, at events.Timeline, b []events.TimelineSwitch, bt events.Timeline) events.LSN {
	const open = ^events.LSN(0)
	fork := events.LSN(0)
	for i := 0; ; i++ {
		x, y, xt, yt := open, open, at, bt
		if i < len(a) {
			x, xt = a[i].Switch, a[i].Parent
		}
		if i < len(b) {
			y, yt = b[i].Switch, b[i].Parent
		}
		if xt != yt || i > len(a) || i > len(b) {
			return fork
		}
		fork = min(x, y)
		if x != y {
			return fork
		}
	}
}

// rewound makes the data what a rewind makes of it: the source's, to be recovered from a backup label.
func (s *Server) rewound(from *Server) {
	from.settle()
	c := from.control
	c.state = inArchiveRecovery
	c.minRecovery, c.minTimeline = from.flushed, from.wal.b.timeline
	s.data = data{content: present, sysid: from.sysid, noChecksums: from.noChecksums, control: c, backupLabel: true,
		histories: from.histories, oldest: from.oldest, wal: point{from.wal.b, from.flushed}, flushed: from.flushed}
	s.marks, s.upstream = nil, nil
}
