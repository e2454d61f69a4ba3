package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/postgres"
)

// Faults of disks: what PostgreSQL's data is on, and what the event log is on, which may be one volume.

func (c *Chaos) diskFault(m *Member) {
	d := c.time("for how long", 3*c.ttl)
	if c.pick("for long", 5) == 4 {
		d = time.Minute + c.time("for how long", 3*time.Minute)
	}
	switch c.pick("which trouble of a disk", 6) {
	case 0:
		c.struck(coverage.DiskStalled, m)
		c.say("the data volume of %s stalls for %v", m.name, d)
		c.disk(m, postgres.DiskStalled, d)
		if c.pick("the event log too", 2) == 1 {
			c.stallLog(m, d)
		}
	case 1:
		slow := c.time("how slow", 10*time.Second)
		c.struck(coverage.DiskSlow, m)
		c.say("every sync of %s takes %v longer, for %v", m.name, slow, d)
		m.pg.SlowFsync(slow)
		c.after(d, func() { m.pg.SlowFsync(0) })
	case 2:
		c.struck(coverage.DiskFull, m)
		c.say("the data volume of %s is full for %v", m.name, d)
		c.disk(m, postgres.DiskFull, d)
	case 3:
		c.struck(coverage.DiskFull, m)
		c.say("there is no room for WAL on %s for %v", m.name, d)
		c.disk(m, postgres.WALFull, d)
	case 4:
		c.struck(coverage.DiskReadOnly, m)
		c.say("the data volume of %s is read-only for %v", m.name, d)
		c.disk(m, postgres.DiskReadOnly, d)
	default:
		c.struck(coverage.LogStalled, m)
		c.say("the volume of the event log of %s stalls for %v", m.name, d)
		c.stallLog(m, d)
	}
}

// disk sets what a data volume does, for a time.
func (c *Chaos) disk(m *Member, what postgres.Disk, d time.Duration) {
	m.pg.SetDisk(what)
	c.after(d, func() { m.pg.SetDisk(postgres.DiskWell) })
}

func (c *Chaos) stallLog(m *Member, d time.Duration) {
	m.StallLog(true)
	c.after(d, func() { m.StallLog(false) })
}

// powerCut ends a host whose disk lied: what PostgreSQL had synced last is lost, as with fsync=off. No manager of PostgreSQL can keep S2 then, and
// one that goes on as a primary writes other WAL on the same timeline, which nothing but the WAL itself tells: L2 is not promised either.
func (c *Chaos) powerCut(m *Member) {
	if c.pick("a disk that lies", 6) < 5 || m.down {
		return
	}
	before := m.pg.LSN()
	c.crashHost(m)
	m.pg.LoseFlushed(events.LSN(256 * (1 + c.pick("commits that are lost", 40))))
	if lost := before - m.pg.LSN(); lost > 0 {
		c.struck(coverage.DiskLied, m)
		c.say("%s has lost %d bytes of WAL that it had synced", m.name, lost)
		why := "the disk of " + m.name + " lost what was synced"
		c.outOfContract("S2", why)
		c.outOfContract("S3", why) // it may be chosen before, and have less afterwards
		c.outOfContract("L1", why)
		c.outOfContract("L2", why)
	}
}
