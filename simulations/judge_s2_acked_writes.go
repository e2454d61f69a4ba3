package simulations

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/postgres"
)

// ackedWrites is S2: what a client was told is there is there when a server becomes writable. Replication is asynchronous: a failover
// may lose what the new primary had not received. It may not when the same server goes on, or when the former one was
// shut down in order and the new one has received WAL of its timeline up to
// the position where that ended.
type ackedWrites struct {
	watching
	now      *Member    // whose PostgreSQL accepts writes, nil for nobody's
	last     *Member    // whose did
	clean    bool       // the last one was shut down in order
	end      events.LSN // where its WAL ended then, on which timeline
	timeline events.Timeline
	forgiven postgres.Ranges
}

func (j *ackedWrites) event() {
	var m *Member
	if len(j.w.judges.writers) > 0 {
		m = j.w.judges.writers[0]
	}
	if m != j.now {
		if j.now = m; m != nil {
			j.opened(m)
			j.last, j.clean = m, false
		}
	}
	if m == nil && j.last != nil && !j.clean && !j.last.pg.Running() && !j.last.down {
		if o := j.last.pg.Observe(); o.Control.State == "shut down" {
			j.clean, j.end, j.timeline = true, j.last.pg.LSN(), j.last.pg.Timeline()
		}
	}
}

// opened judges a server that has just become writable.
func (j *ackedWrites) opened(m *Member) {
	if j.last == nil {
		return
	}
	lost := j.w.clients.ledger.Lost(m.pg).Without(j.forgiven)
	if len(lost) == 0 {
		return
	}
	history := m.pg.History()
	received := false // up to the former one's end
	if n := len(history); n > 0 {
		received = history[n-1].Parent == j.timeline && history[n-1].Switch >= j.end
	}
	switch {
	case m == j.last:
		j.breaks("%s accepts writes again without %d that were acknowledged, first %d", m.name, lost.Len(), lost[0].First)
	case j.clean && received:
		j.breaks("%s succeeds %s, which was shut down in order, without %d writes that were acknowledged, first %d",
			m.name, j.last.name, lost.Len(), lost[0].First)
	}
	for _, r := range lost {
		j.forgiven.AddRange(r.First, r.Last)
	}
}
