package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// eventLog is the volume on which an agent keeps its event log. That log is never in the way: what happens when its disk does
// not answer is that records are missing, that the engine is told, and that effects which cannot be undone wait a moment for a sync in vain.
type eventLog struct {
	stalled bool
	told    bool // the engine was
	missing uint64
	waiting int // records that were not written yet
	epoch   int // grows with each change, so that what was planned for the former is void
}

// As the agent has them: package events/log, Options, and package runner, Config.
const (
	logStallAfter = 500 * time.Millisecond
	logTick       = logStallAfter / 4
	logQueue      = 4096
	logSyncBudget = 2 * time.Millisecond
)

// StallLog lets the volume of the event log answer nothing, or answer again. A volume that is full is no different.
func (m *Member) StallLog(stalled bool) {
	l := &m.log
	if l.stalled == stalled {
		return
	}
	l.stalled = stalled
	l.epoch++
	epoch := l.epoch
	wait := logTick
	if stalled {
		wait += logStallAfter
	}
	m.w.after(wait, func() {
		if l.epoch == epoch {
			m.logChanged()
		}
	})
}

// logChanged is the writer that tells of a stall, or of its end.
func (m *Member) logChanged() {
	l := &m.log
	if !l.stalled {
		l.waiting = 0
	}
	if l.told == l.stalled {
		return
	}
	l.told = l.stalled
	m.post(events.StorageStalled{Stalled: l.stalled, Missing: l.missing})
}

// recorded counts a record that waits for its disk, or is dropped.
func (l *eventLog) recorded(records int) {
	if l.waiting += records; l.waiting > logQueue {
		l.missing += uint64(l.waiting - logQueue)
		l.waiting = logQueue
	}
}

// waitsForLog tells that an effect waits for a sync before it is performed.
func waitsForLog(effects []events.Effect) bool {
	for i := range effects {
		switch effects[i].Action.ActionKind() {
		case events.ActPromote, events.ActStopPostgres, events.ActRewind, events.ActClone, events.ActBootstrap, events.ActCrashRecover:
			return true
		}
	}
	return false
}

// begun is the log of an agent that starts: an agent cannot open its log, and begins nothing, until the volume answers.
func (l *eventLog) begun() { l.told, l.missing, l.waiting = false, 0, 0 }
