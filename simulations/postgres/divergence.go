package postgres

import "github.com/regent-ha/regent/events"

// localEnd is where a server's WAL ends, as its driver finds it.
type localEnd struct {
	timeline  events.Timeline
	at        events.LSN
	recordEnd events.LSN // of the shutdown checkpoint of one that was stopped as a primary
	primary   bool
}

// localEnd is Driver.localEnd.
func (s *Server) localEnd() (localEnd, string) {
	if s.Running() {
		if why := s.ask(); why != "" {
			return localEnd{}, why
		}
		s.settle()
		if !s.recovery {
			return localEnd{timeline: s.wal.b.timeline, at: s.flushed, primary: true}, ""
		}
		return localEnd{timeline: s.observedTimeline(), at: s.replayed}, ""
	}
	if why := s.requireControl(); why != "" {
		return localEnd{}, why
	}
	c := &s.control
	switch c.state {
	case shutDownInRecovery, inArchiveRecovery:
		if c.minRecovery != 0 {
			return localEnd{timeline: c.minTimeline, at: c.minRecovery}, ""
		}
		return localEnd{timeline: c.timeline, at: c.checkpoint}, ""
	case shutDown:
		return localEnd{timeline: c.timeline, at: c.checkpoint, recordEnd: c.checkpointEnd, primary: true}, ""
	}
	if s.backupLabel { // a copy that was never started
		return localEnd{timeline: c.timeline, at: c.checkpoint}, ""
	}
	return localEnd{}, "the server was not shut down cleanly: pg_control says " + c.state
}

// checkDivergence is Driver.CheckDivergence: it decides from timelines, positions and history files alone.
func (w *work) checkDivergence(u events.Upstream) {
	s := w.s
	if s.hung || s.disk == DiskStalled && !s.Running() {
		return // until the deadline
	}
	end, why := s.localEnd()
	if why != "" && !s.half {
		w.fail(why)
		return
	}
	from, why, atOnce := s.reach(u)
	if why != "" {
		w.failOn(why, atOnce)
		return
	}
	if w.fails() {
		w.fail("by chance")
		return
	}
	found, why := s.compare(from, end)
	if why != "" {
		w.fail(why)
		return
	}
	r := events.Result{Divergence: events.DivergenceNone}
	if found {
		r.Divergence = events.DivergenceFound
	}
	w.ok(r)
}

// compare is Driver.compareWith.
func (s *Server) compare(leader *Server, end localEnd) (bool, string) {
	switch {
	case leader.recovery:
		return false, "the server is in recovery, not a primary"
	case leader.sysid != s.sysid:
		return false, "the system identifiers differ: " + s.sysid + " here, " + leader.sysid + " there"
	case s.half:
		return true, ""
	}
	timeline := leader.wal.b.timeline
	switch {
	case end.timeline > timeline:
		return true, ""
	case end.timeline == timeline && max(end.at, end.recordEnd) > leader.flushed:
		return true, ""
	case end.timeline == timeline:
		return s.otherBranch(timeline, leader.wal.b.history), ""
	}
	return diverged(end, leader.wal.b.history), ""
}

// otherBranch tells whether a timeline has only its number in common with the leader's.
func (s *Server) otherBranch(t events.Timeline, theirs []events.TimelineSwitch) bool {
	ours, has := historyOf(s.histories, t)
	if !has || len(ours) == 0 || len(theirs) == 0 {
		return false
	}
	a, b := ours[len(ours)-1], theirs[len(theirs)-1]
	return a.Parent != b.Parent || a.Switch != b.Switch
}

// diverged applies the leader's history, oldest row first, to the end of the local WAL.
func diverged(end localEnd, history []events.TimelineSwitch) bool {
	for _, row := range history {
		switch {
		case row.Parent < end.timeline:
			continue
		case row.Parent > end.timeline:
			return true
		case !end.primary:
			return end.at > row.Switch
		case end.at >= row.Switch:
			return true
		}
		return end.recordEnd != row.Switch
	}
	return true
}
