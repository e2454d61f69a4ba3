package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
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
	standby   bool // standby.signal
	clean     bool
	hung      bool
	timeline  events.Timeline
	lsn       events.LSN
	history   []events.TimelineSwitch
	upstream  string
	pid       int
	streaming bool
}

// writable is the truth that S1 is about, whatever anybody believes.
func (p *postgres) writable() bool { return p.running && !p.starting && !p.recovery && !p.hung }

// write is a client that writes to every server that takes it.
func (p *postgres) write() {
	if p.writable() && !p.w.Quiet {
		p.lsn += 1000
	}
}

// stream is the walreceiver: it takes what the upstream has if the histories agree.
func (p *postgres) stream() {
	p.streaming = false
	if !p.running || p.starting || !p.recovery || p.hung || p.upstream == "" {
		return
	}
	up := p.w.Member(p.upstream)
	if up == nil || !up.pg.running || up.pg.starting || up.pg.hung || up.isolated || p.m.isolated {
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

func (p *postgres) die() {
	if !p.running {
		return
	}
	p.running, p.starting, p.streaming, p.clean = false, false, false, false
	pid := p.pid
	p.m.post(events.PostgresExited{PID: pid})
	p.m.postAfter(p.w.jitter(30*time.Millisecond), events.PostgresExited{PID: pid, Gone: true})
}

func (p *postgres) start(primary bool, upstream string, done func()) {
	p.running, p.starting, p.recovery, p.standby, p.upstream = true, true, true, !primary, upstream
	p.w.seq++
	p.pid = int(p.w.seq)
	pid := p.pid
	p.w.after(p.w.jitter(300*time.Millisecond), func() {
		if p.running && p.pid == pid {
			p.starting, p.recovery = false, !primary
			done()
		}
	})
}

func (p *postgres) observation() events.Observation {
	o := events.Observation{Sampled: p.w.now, Data: events.DataEmpty}
	if !p.data {
		return o
	}
	o.Data = events.DataPresent
	o.Control = events.Control{
		SystemID: p.sysid, State: "in production", Timeline: p.timeline, CanRewind: true, StandbySignal: p.standby,
		CheckpointLSN: p.lsn, VersionMajor: 15,
	}
	if p.clean {
		o.Control.State = "shut down"
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
