package simulations

import (
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// judges watch a run for what must never happen. They look at the truth of the models, not at what an engine
// believes, and change nothing.
type judges struct {
	c        *Chaos
	orders   map[string]events.Instant // of an operator, per member and verb
	moved    events.Instant            // an operator's last request for a switchover
	pausedAt events.Instant            // since when everybody knows of the pause
	steps    map[*Member]*pace
	// failovers are an operator's orders to fail over to a member.
	failovers []failoverOrder
	newest    events.Timeline // on which anybody was ever a primary
	identity  string          // of the server that was a primary last
}

type failoverOrder struct {
	to    string
	until events.Instant // when it was replaced, zero while it stands
}

// pace counts a member's steps within a second.
type pace struct {
	second int64
	steps  int
	busy   int // seconds in a row with too many
}

const (
	busySteps   = 100 // steps in a second
	busySeconds = 5
)

func (c *Chaos) watch() {
	c.judges = judges{c: c, orders: map[string]events.Instant{}, steps: map[*Member]*pace{}}
	c.onStep = func(m *Member, d *events.Decision) {
		c.judges.step(m, d)
		c.tender(m, d)
	}
	c.onEvent = c.judges.event
}

func (j *judges) ordered(m *Member, verb events.OperatorVerb) {
	j.orders[m.name+" "+string(verb)] = j.c.now
}

// wasOrdered tells that an operator has asked for it, not too long ago.
func (j *judges) wasOrdered(m *Member, verb events.OperatorVerb) bool {
	at, ok := j.orders[m.name+" "+string(verb)]
	return ok && j.c.now.Sub(at) < 2*time.Minute
}

func (j *judges) step(m *Member, d *events.Decision) {
	j.pace(m)
	for i := range d.Effects {
		e := &d.Effects[i]
		switch a := e.Action.(type) {
		case events.Promote:
			j.primary(m, e)
		case events.StartPostgres:
			if a.AsPrimary {
				j.primary(m, e)
			}
		case events.Clone:
			j.clone(m, a)
		case events.Rewind:
			j.rewind(m, a)
		case events.HandOverLease, events.ReleaseLease:
			if m.pg.writable() {
				j.c.breaks(fmt.Sprintf("S1: %s gives the lease away while its PostgreSQL accepts writes", m.name))
			}
		}
		j.handsOff(m, d, e)
	}
}

// pace: a member that decides all the time is in a loop.
func (j *judges) pace(m *Member) {
	p := j.steps[m]
	if p == nil {
		p = &pace{}
		j.steps[m] = p
	}
	second := int64(j.c.now) / int64(time.Second)
	if second != p.second {
		if p.steps > busySteps && second == p.second+1 {
			p.busy++
		} else {
			p.busy = 0
		}
		if p.busy == busySeconds {
			j.c.breaks(fmt.Sprintf("L5: %s has decided more than %d times in each of the last %d seconds", m.name, busySteps, busySeconds))
		}
		p.second, p.steps = second, 0
	}
	p.steps++
}

// primary: S3, S4. Whoever makes a primary holds the lease in the store itself, its guard watches, it may lead, and its
// data is not of a timeline that the cluster has left.
func (j *judges) primary(m *Member, e *events.Effect) {
	c := j.c
	key := c.store.keys[events.KeyLeader]
	what := string(e.Action.ActionKind())
	if key == nil || key.value != m.name || key.rev != e.Epoch || c.now >= key.expires {
		c.breaks(fmt.Sprintf("S4: %s issues %s with epoch %d, and the leader key is %+v", m.name, what, e.Epoch, key))
		return
	}
	if c.set.Guard == "required" && (!m.guardAlive || m.guardDeadline == 0 || m.guardDeadline > key.expires) {
		c.breaks(fmt.Sprintf("S1: %s issues %s, and its guard (alive %v) holds %d; the lease ends at %d", m.name, what, m.guardAlive, m.guardDeadline, key.expires))
	}
	if m.Tags.NoFailover {
		c.breaks(fmt.Sprintf("S3: %s issues %s, and it is tagged nofailover", m.name, what))
	}
	if m.pg.timeline < j.published() && j.failoverTo(m) == 0 {
		c.breaks(fmt.Sprintf("S3: %s issues %s on timeline %d, and the cluster's is %d", m.name, what, m.pg.timeline, j.published()))
	}
}

// failoverTo counts an operator's orders to fail over to this member that stand, or stood until a moment ago: only a person
// may give up a timeline.
func (j *judges) failoverTo(m *Member) int {
	n := 0
	for _, o := range j.failovers {
		if o.to == m.name && (o.until == 0 || j.c.now.Sub(o.until) < 3*time.Second) {
			n++
		}
	}
	return n
}

// failover notes what the failover key asks for now.
func (j *judges) failover(leader, to string) {
	for i := range j.failovers {
		if j.failovers[i].until == 0 {
			j.failovers[i].until = j.c.now
		}
	}
	if leader == "" && to != "" {
		j.failovers = append(j.failovers, failoverOrder{to: to})
	}
}

// published is the newest timeline that the store knows.
func (j *judges) published() events.Timeline {
	v := events.ParseView(j.c.store.snapshot())
	return v.ClusterTimeline()
}

// clone: S5. Data is discarded only by order, or where a setting allows it and the divergence is true.
func (j *judges) clone(m *Member, a events.Clone) {
	up := j.c.Member(a.From.Name)
	switch {
	case !m.pg.data:
	case !a.Discard: // the driver refuses
	case up == nil || up == m:
		j.c.breaks(fmt.Sprintf("S5: %s discards its data for a copy of %q", m.name, a.From.Name))
	case j.wasOrdered(m, events.AskReinitialize):
	case !m.pg.diverged(&up.pg) && !m.pg.half:
		j.c.breaks(fmt.Sprintf("S5: %s discards its data for a copy of %s, from which it has not diverged", m.name, up.name))
	}
}

func (j *judges) rewind(m *Member, a events.Rewind) {
	up := j.c.Member(a.From.Name)
	if up == nil || up == m || m.pg.running || up.pg.data && !m.pg.half && !m.pg.diverged(&up.pg) {
		j.c.breaks(fmt.Sprintf("S5: %s rewinds from %q, from which it has not diverged", m.name, a.From.Name))
	}
}

// handsOff: S11. In a pause that everybody knows of, nothing is done to PostgreSQL but by order.
func (j *judges) handsOff(m *Member, d *events.Decision, e *events.Effect) {
	if !j.c.paused {
		j.pausedAt = 0
		return
	}
	if d.From != engine.Paused || d.To == engine.Campaigning || d.To == engine.Switching {
		return
	}
	switch e.Action.(type) {
	case events.StartPostgres, events.StopPostgres, events.Promote, events.Rewind, events.Clone, events.RestartPostgres, events.CrashRecover, events.Bootstrap:
		if j.c.now.Sub(j.moved) > time.Minute && !j.wasOrdered(m, events.AskRestart) && !j.wasOrdered(m, events.AskReinitialize) {
			j.c.breaks(fmt.Sprintf("S11: %s issues %s in a pause", m.name, e.Action.ActionKind()))
		}
	}
}

// event: S7. Nobody accepts writes on a timeline before one on which there were writes already, nor in a cluster of
// another identity than the leader's before.
func (j *judges) event() {
	for _, m := range j.c.members {
		if !m.pg.writable() {
			continue
		}
		if m.pg.timeline < j.newest {
			j.c.breaks(fmt.Sprintf("S7: %s accepts writes on timeline %d, and there were writes on %d", m.name, m.pg.timeline, j.newest))
		}
		if j.identity != "" && m.pg.sysid != j.identity {
			j.c.breaks(fmt.Sprintf("S7: %s accepts writes as system %s, and the cluster is %s", m.name, m.pg.sysid, j.identity))
		}
		j.newest, j.identity = m.pg.timeline, m.pg.sysid
	}
}
