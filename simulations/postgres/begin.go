package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/regent-ha/regent/events"
)

// Standing is a server in the middle of its life, as an agent last saw it.
type Standing struct {
	Name string
	// ConnURL is by which the others reach it.
	ConnURL string
	Seen    events.Observation
	// Last is what the server told when it last answered, for what is not known while it does not.
	Last events.Server
	// Upstream is the name of the server that it follows, empty for nobody.
	Upstream string
	// Config is the dynamic configuration that was given to it.
	Config json.RawMessage
}

// pidMax is larger than every PID that a kernel gives.
const pidMax = 1 << 22

// stand is a standing with the position that follows from it.
type stand struct {
	Standing
	s        *Server
	timeline events.Timeline
	at       events.LSN
}

// bygone is where the ids of records begin that were written before a world began: no client of the world counts so far.
const bygone = 1 << 40

// Begin makes the servers, which were added and have nothing, what they are in the middle of their lives. History is that of the
// newest timeline. All WAL of one timeline is taken for the same. What cannot be represented is left out and told.
func (c *Cluster) Begin(all []Standing, history []events.TimelineSwitch) (leftOut []string) {
	var stands []*stand
	tell := func(format string, args ...any) { leftOut = append(leftOut, fmt.Sprintf(format, args...)) }
	for i := range all {
		d := &stand{Standing: all[i], s: c.Server(all[i].Name)}
		if a := addressOf(d.ConnURL); a != "" {
			d.s.address = a
		}
		if d.s.unpack(d, tell) {
			stands = append(stands, d)
		}
	}
	c.plant(stands, history)
	c.pids = pidMax // an agent takes a postmaster with the PID of one that died for that one
	for _, d := range stands {
		d.s.wake(d, tell)
	}
	c.Changed()
	return leftOut
}

// unpack fills the data directory; it tells whether that holds a database cluster.
func (s *Server) unpack(d *stand, tell func(string, ...any)) bool {
	o := &d.Seen
	switch o.Data {
	case events.DataPresent:
	case events.DataInvalid:
		s.content = invalid
		return false
	case events.DataUnknown:
		tell("%s: nothing is known of its data directory (%s): taken to be empty", s.name, o.Problem)
		return false
	default:
		return false
	}
	k := &o.Control
	s.data = data{content: present, sysid: k.SystemID, noChecksums: !k.CanRewind, standbySignal: k.StandbySignal, backupLabel: k.BackupLabelSeen,
		half: strings.HasPrefix(o.Problem, "a rewind did not end")}
	s.control = control{state: k.State, timeline: k.Timeline, checkpoint: k.CheckpointLSN, checkpointEnd: k.CheckpointLSN + checkpointBytes,
		minRecovery: k.MinRecoveryLSN, minTimeline: k.MinRecoveryTLI}
	d.timeline, d.at = max(k.Timeline, k.MinRecoveryTLI), max(s.control.checkpointEnd, k.MinRecoveryLSN)
	last := &d.Last
	if o.Answering {
		last = &o.Server
	}
	d.timeline = max(d.timeline, last.Timeline)
	if k.State != shutDown { // which tells exactly where its WAL ends
		d.at = max(d.at, last.Position())
	}
	return true
}

// plant grows the tree of WAL: a branch for each timeline, as long as anybody has of it.
func (c *Cluster) plant(stands []*stand, history []events.TimelineSwitch) {
	newest := events.Timeline(1)
	for _, d := range stands {
		newest = max(newest, d.timeline)
	}
	rows := slices.Clone(history)
	for last := lastOf(rows); last+1 < newest; last = lastOf(rows) { // promoted, and not written into the history yet
		rows = append(rows, events.TimelineSwitch{Parent: last + 1, Switch: switchFrom(stands, last+1)})
	}
	var parent *branch
	id := uint64(bygone)
	for i := 0; i <= len(rows); i++ {
		b := &branch{parent: parent, history: rows[:i:i]}
		if i > 0 {
			b.fork = rows[i-1].Switch
		}
		b.timeline = lastOf(rows) + 1
		if i < len(rows) {
			b.timeline, b.end = rows[i].Parent, rows[i].Switch
		}
		b.end = max(b.end, b.fork)
		for _, d := range stands {
			if d.timeline == b.timeline {
				b.end = max(b.end, d.at)
			}
		}
		if b.end > b.fork {
			b.pieces = []piece{{at: b.fork, end: b.end, first: id, stride: 1, kind: isWrite}}
			id += uint64(b.end - b.fork)
		}
		c.settleOn(b, stands)
		parent = b
	}
}

func lastOf(rows []events.TimelineSwitch) events.Timeline {
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1].Parent
}

// switchFrom is where a timeline was left by the only ones who know it, who have not told: at the end of what others have of it.
func switchFrom(stands []*stand, t events.Timeline) events.LSN {
	var others, theirs events.LSN
	for _, d := range stands {
		if d.timeline == t {
			others = max(others, d.at)
		} else if d.timeline > t && (theirs == 0 || d.at < theirs) {
			theirs = d.at
		}
	}
	if others == 0 {
		return theirs
	}
	return min(others, theirs)
}

// settleOn gives a branch to the servers that are on its timeline. Who wrote it has all of it: what others received of it after the writer was
// last seen, that has too.
func (c *Cluster) settleOn(b *branch, stands []*stand) {
	for _, d := range stands {
		if d.timeline != b.timeline {
			continue
		}
		if d.wrote(b.timeline) {
			d.at = b.end
		}
		s := d.s
		s.wal, s.flushed = point{b, max(d.at, b.fork)}, max(d.at, b.fork)
		for p := b; p.parent != nil; p = p.parent {
			s.histories = keepHistories(s.histories, []historyFile{{p.timeline, p.history}})
		}
		if c.Archive {
			c.archived = keepHistories(c.archived, s.histories)
		}
	}
}

// wrote tells that the server was the primary of a timeline when it was last heard of.
func (d *stand) wrote(t events.Timeline) bool {
	last := &d.Last
	if d.Seen.Answering {
		last = &d.Seen.Server
	}
	return !last.InRecovery && last.FlushLSN != 0 && last.Timeline == t
}

// wake makes processes of a server that runs.
func (s *Server) wake(d *stand, tell func(string, ...any)) {
	o := &d.Seen
	if d.Config != nil {
		if err := s.configure(d.Config); err != nil {
			tell("%s: its configuration: %v", s.name, err)
		}
	}
	s.inForce = s.parameters
	for _, x := range o.Server.Slots {
		if !x.Physical {
			tell("%s: the logical slot %s", s.name, x.Name)
			continue
		}
		s.createSlot(x.Name)
		s.slot(x.Name).restart = x.RestartLSN
	}
	s.note()
	if d.Upstream != "" {
		s.upstream = s.c.Server(d.Upstream)
	}
	if !o.Running {
		return
	}
	s.pid, s.startedAt, s.silentFrom, s.life = o.PID, d.Last.StartedAt, s.now(), s.life+1
	s.recovery = s.standbySignal
	if o.Answering {
		s.recovery, s.startedAt = o.Server.InRecovery, o.Server.StartedAt
	}
	s.replayed = s.flushed
	if s.recovery && o.Answering {
		s.replayed, s.applyPaused = min(max(o.Server.ReplayedLSN, s.wal.b.fork), s.flushed), o.Server.ReplayPaused
	}
	s.replayFrom, s.replaySince, s.nextPoint = s.replayed, s.now(), s.now().Add(s.c.Timing.CheckpointEach)
	if o.Starting {
		s.phase = starting
		s.afterLife(s.c.Timing.Start, func() { s.recovered(false, true) })
		return
	}
	s.phase = up
	s.hung = !o.Answering
}
