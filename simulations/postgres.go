package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// What pg_control says, in PostgreSQL's own words.
const (
	inProduction       = "in production"
	shutDown           = "shut down"
	shutDownInRecovery = "shut down in recovery"
	inArchiveRecovery  = "in archive recovery"
)

// postgres is a model of one server: where its WAL is, what runs, whom it follows.
type postgres struct {
	w         *World
	m         *Member
	data      bool
	sysid     string
	running   bool
	starting  bool
	recovery  bool
	standby   bool   // standby.signal
	label     bool   // backup_label: a copy that was never started
	half      bool   // a rewind did not end
	control   string // the state in pg_control
	hung      bool
	timeline  events.Timeline
	lsn       events.LSN
	history   []events.TimelineSwitch
	upstream  string
	pid       int
	streaming bool
}

// tick is what goes on all the time: clients write, WAL flows.
func (p *postgres) tick() {
	p.write()
	p.stream()
	p.w.after(10*time.Millisecond, p.tick)
}

// writable is the truth that S1 is about, whatever anybody believes.
func (p *postgres) writable() bool { return p.running && !p.starting && !p.recovery && !p.hung }

// write is a client that writes to every server that takes it.
func (p *postgres) write() {
	if p.writable() && !p.w.Quiet {
		p.lsn += 500
	}
}

// stream is the walreceiver: it takes what the upstream has if the histories agree.
func (p *postgres) stream() {
	p.streaming = false
	if !p.running || p.starting || !p.recovery || p.hung || p.upstream == "" {
		return
	}
	up := p.w.Member(p.upstream)
	if !p.m.reaches(up) || up == p.m || up.pg.sysid != p.sysid {
		return
	}
	if p.diverged(&up.pg) || up.pg.lsn < p.lsn {
		return
	}
	p.streaming = true
	p.lsn, p.timeline = up.pg.lsn, up.pg.timeline
	p.history = append(p.history[:0:0], up.pg.history...)
}

// diverged tells whether p has WAL that is not in up's history.
func (p *postgres) diverged(up *postgres) bool {
	if p.timeline == up.timeline {
		return false
	}
	for _, h := range up.history {
		if h.Parent == p.timeline {
			return p.lsn > h.Switch
		}
	}
	return true
}

// die is the sudden end of the postmaster; its children follow a little later.
func (p *postgres) die() {
	if !p.running {
		return
	}
	p.running, p.starting, p.streaming = false, false, false
	pid := p.pid
	p.m.post(events.PostgresExited{PID: pid})
	p.m.postAfter(around(p.w.postgres, "children of a dead postmaster", 30*time.Millisecond), events.PostgresExited{PID: pid, Gone: true})
}

// stop ends the server and tells where its WAL ends, if it was a primary that was shut down in order.
func (p *postgres) stop(mode events.StopMode) events.LSN {
	if !p.running {
		return 0
	}
	var end events.LSN
	if mode == events.StopFast && !p.starting && !p.hung {
		if p.recovery {
			p.control = shutDownInRecovery
		} else {
			p.control, end = shutDown, p.lsn
			p.m.flushToReplicas()
		}
	}
	p.running, p.starting, p.streaming = false, false, false
	p.m.post(events.PostgresExited{PID: p.pid, Gone: true})
	return end
}

func (p *postgres) start(primary bool, upstream string, takes time.Duration, done func(ok bool)) {
	p.running, p.starting, p.recovery, p.standby, p.upstream = true, true, true, !primary, upstream
	p.label, p.hung = false, false
	if !primary {
		p.control = inArchiveRecovery
	}
	p.w.pids++
	p.pid = p.w.pids
	pid := p.pid
	p.m.guard.sees()
	p.w.after(takes, func() {
		if !p.running || p.pid != pid {
			done(false)
			return
		}
		p.starting, p.recovery = false, !primary
		if primary {
			p.control = inProduction
		}
		done(true)
	})
}

// endRecovery makes a primary of a replica, on a new timeline.
func (p *postgres) endRecovery() {
	if !p.recovery {
		return
	}
	p.history = append(p.history[:len(p.history):len(p.history)], events.TimelineSwitch{Parent: p.timeline, Switch: p.lsn, Reason: "no recovery target specified"})
	for _, o := range p.w.members { // a new timeline takes the first number that is free in the archive of all
		p.timeline = max(p.timeline, o.pg.timeline)
	}
	p.timeline++
	p.recovery, p.standby, p.upstream, p.control = false, false, "", inProduction
}

func (p *postgres) observation() events.Observation {
	o := events.Observation{Sampled: p.w.Now(), Data: events.DataEmpty}
	if !p.data {
		return o
	}
	o.Data = events.DataPresent
	o.Control = events.Control{
		SystemID: p.sysid, State: p.control, Timeline: p.timeline, CanRewind: true, StandbySignal: p.standby,
		BackupLabelSeen: p.label, CheckpointLSN: p.lsn, VersionMajor: 15,
	}
	o.Running, o.PID = p.running, p.pid
	if !p.running {
		o.PID = 0
		return o
	}
	o.Starting = p.starting
	if p.starting || p.hung {
		return o
	}
	o.Answering = true
	o.Server = events.Server{InRecovery: p.recovery, Timeline: p.timeline, Version: 150000, StartedAt: "2026-01-01"}
	if p.recovery {
		o.Server.ReceivedLSN, o.Server.ReplayedLSN = p.lsn, p.lsn
		if p.streaming {
			o.Server.ReplicationState = "streaming"
		}
	} else {
		o.Server.FlushLSN = p.lsn
	}
	for _, m := range p.w.members {
		o.Server.Slots = append(o.Server.Slots, events.Slot{Name: m.name, Physical: true})
	}
	return o
}
