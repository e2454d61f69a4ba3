package replay

import (
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
)

// Point is a place in the recording: a step of a member, or a time.
type Point struct {
	Member string
	Run    int // counted from 1 in the member's log; zero: the last one that has Seq
	Seq    uint64
	Time   time.Time // if it is not zero, instead of a step
}

func (p Point) String() string {
	if !p.Time.IsZero() {
		return p.Time.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("input %d of %s", p.Seq, p.Member)
}

// Cut is a recording up to a point, and the moment that a world can go on from.
type Cut struct {
	Moment *simulations.Moment
	// LeftOut is what the world does not begin with, and why.
	LeftOut []string
	steps   []tracked
}

// tracked is a step on the axis.
type tracked struct {
	from Source
	in   events.Input
	d    *events.Decision
}

// Cut cuts the recording after a point. It refuses where some member's state is not known there.
func (m *Merged) Cut(p Point) (*Cut, error) {
	last, err := m.find(p)
	if err != nil {
		return nil, err
	}
	now := m.order[last].at
	if !p.Time.IsZero() {
		now = max(now, m.axisOf(p.Time))
	}
	c := &Cut{Moment: &simulations.Moment{At: now, Wall: m.Wall(now)}}
	members := make([]*known, len(m.Logs))
	for l, log := range m.Logs {
		members[l] = newKnown(log)
	}
	for _, k := range m.order[:last+1] {
		s := m.step(k)
		x := tracked{from: Source{m.Logs[k.log].Member(), m.clockOf(k)}, in: ShiftInput(s.In, m.by(k))}
		if s.Decision != nil {
			d := ShiftDecision(s.Decision, m.by(k))
			x.d = &d
		}
		c.steps = append(c.steps, x)
		members[k.log].take(k, &x)
	}
	for l, log := range m.Logs {
		if err := m.verify(log, members[l], now); err != nil {
			return nil, fmt.Errorf("take over at %v: %w", p, err)
		}
	}
	c.fill(m, members)
	return c, nil
}

// find is the last step that belongs to the recording before a point.
func (m *Merged) find(p Point) (int, error) {
	if !p.Time.IsZero() {
		at := m.axisOf(p.Time)
		if at < m.order[0].at {
			return 0, fmt.Errorf("take over at %v: the recording begins at %v", p, m.Wall(m.order[0].at).Format(time.RFC3339Nano))
		}
		last := 0
		for i := range m.order {
			if m.order[i].at <= at {
				last = i
			}
		}
		return last, nil
	}
	found := -1
	for i, k := range m.order {
		if m.Logs[k.log].Member() == p.Member && m.step(k).In.Seq == p.Seq && (p.Run == 0 || p.Run == k.life+1) {
			found = i
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("take over at %v: it is not in the logs, which are of %v", p, m.names())
	}
	return found, nil
}

func (m *Merged) names() (names []string) {
	for _, l := range m.Logs {
		names = append(names, l.Member())
	}
	return names
}

// axisOf is the instant at which the axis' own wall clock showed a time.
func (m *Merged) axisOf(t time.Time) events.Instant {
	c := &m.clocks[byWeight(m.clocks)[0]]
	return events.Instant(t.UnixNano() - c.wall + int64(c.by))
}

// late is how long after the time at which an engine wanted to be woken its agent is taken to be frozen, or dead.
const late = 3 * time.Second

// verify decides everything of a member's present run again, and finds out whether its agent lives.
func (m *Merged) verify(log *Log, x *known, now events.Instant) error {
	if x.life < 0 {
		return nil
	}
	life := &log.Lives[x.life]
	n := x.step + 1
	switch {
	case !life.Whole:
		return fmt.Errorf("%s: the start of its run %d is not in the log", log.Member(), x.life+1)
	case life.Lost >= 0 && life.Lost < n:
		return fmt.Errorf("%s, after input %d of run %d: %s", log.Member(), lastSeq(life, life.Lost), x.life+1, life.Missing)
	case log.Torn != "" && x.life == len(log.Lives)-1 && n == len(life.Steps):
		return fmt.Errorf("%s: its log ends in a torn record after input %d of run %d, before that point: %s", log.Member(), lastSeq(life, n), x.life+1, log.Torn)
	}
	r := engine.NewReplayer()
	for i := range life.Steps[:n] {
		s := &life.Steps[i]
		if s.Decision == nil {
			if i == n-1 {
				break // its effects were not handed out, and are now
			}
			return fmt.Errorf("%s: the decision on input %d of run %d is missing", log.Member(), s.In.Seq, x.life+1)
		}
		if err := r.Step(s.In, *s.Decision); err != nil {
			return fmt.Errorf("%s decides otherwise than version %s did: %w", log.Member(), log.Version, err)
		}
	}
	x.lives(life, n, now)
	x.status = r.Status()
	return nil
}

// lives finds out whether the agent is alive now, by whether it woke when it wanted to.
func (x *known) lives(life *Life, n int, now events.Instant) {
	switch {
	case x.exited:
		x.dead = true
	case now < x.wake.Add(late):
	case n == len(life.Steps):
		x.dead = true
	case life.Steps[n].In.At.Add(x.by) > x.wake.Add(late):
		x.frozen = true
	}
}

// Tracker is a tracker that has seen the recording up to the point, and goes on with what comes after it.
func (c *Cut) Tracker() *Tracker {
	t := NewTracker()
	for i := range c.steps {
		x := &c.steps[i]
		t.Step(x.from, x.in, x.d)
	}
	t.margins, t.lines, t.breaches = nil, nil, nil
	t.free = c.Moment.At
	return t
}

// OnInput takes a step of a world.
func (t *Tracker) OnInput(member string, in events.Input, d *events.Decision) {
	t.Step(Source{Member: member}, in, d)
}

// Closest are the smallest margins since the point at which the tracker was cut off. It ends the tracking.
func (t *Tracker) Closest() []Margin {
	var r Report
	t.finish(&r)
	var out []Margin
	for _, m := range r.Closest {
		if m.At >= t.free {
			out = append(out, m)
		}
	}
	return out
}
