package simulations

import (
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// noDeadEnd is L4: everything that is waited for ends. An effect has a deadline, and its outcome is known a moment after it; a state that is
// passed through is left within the time that its waits may take.
type noDeadEnd struct {
	watching
	of map[*Member]*passage
}

// passage is how a member passes through a state.
type passage struct {
	run   int // of the agent
	state events.LifecycleState
	since events.Instant // it is in the state, time in which the agent was frozen, or PostgreSQL stuck, not counted
	last  events.Instant // step
	told  bool
	open  []open
}

// open is an effect without an outcome.
type open struct {
	id       uint64
	kind     events.ActionKind
	deadline events.Instant
}

const (
	// outcomeGrace is how long after its deadline an outcome may come.
	outcomeGrace = 2 * time.Second
	// killGrace goes before it for a stop, which kills at its deadline and waits for the kernel.
	killGrace = 5 * time.Second
	// asleep is how long a working agent hardly goes without a step: it looks at PostgreSQL every second.
	asleep = 1500 * time.Millisecond
	// longestDeadline is that of a copy.
	longestDeadline = 24 * time.Hour
)

// transient are the states that are passed through, and how long that may take: by the deadlines of the engine where those are short, else by what
// it takes here, where servers start and copy within half a minute, hang for at most 20 s, and wait a minute for the replicas when they stop.
var transient = map[events.LifecycleState]time.Duration{
	engine.Bootstrapping: 2 * time.Minute,
	engine.Cloning:       3 * time.Minute,
	engine.Recovering:    2 * time.Minute,
	engine.Rewinding:     3 * time.Minute,
	engine.Joining:       2 * time.Minute,
	engine.Campaigning:   4 * time.Minute, // a claim is tried again for as long as the store, cut off, seems to be there
	engine.Promoting:     75 * time.Second,
	engine.Opening:       2 * time.Minute,
	engine.Adopting:      time.Minute, // the lease
	engine.Switching:     15 * time.Second,
	engine.Demoting:      2 * time.Minute,
	engine.Yielding:      time.Minute, // the lease
	engine.Restarting:    3 * time.Minute,
	engine.Fenced:        time.Minute,
	engine.Stopping:      2 * time.Minute,
}

func (j *noDeadEnd) step(m *Member, in *events.Input, d *events.Decision) {
	if j.of == nil {
		j.of = map[*Member]*passage{}
	}
	p := j.of[m]
	if p == nil {
		p = &passage{}
		j.of[m] = p
	}
	now := in.At // by the clock that deadlines are of
	if p.run != m.run {
		*p = passage{run: m.run, last: now, open: p.open[:0]}
	}
	if gap := now.Sub(p.last); gap > asleep { // it was frozen: what has ended meanwhile it hears of in the next moments
		p.since = p.since.Add(gap)
		for i := range p.open {
			p.open[i].deadline = max(p.open[i].deadline, now)
		}
	}
	p.last = now
	p.landed(in.Fact)
	for _, o := range p.open {
		if now.Sub(o.deadline) > o.grace() {
			j.breaks("%s has not heard how %s (%d) ended, whose deadline was %v ago", m.name, o.kind, o.id, now.Sub(o.deadline))
			p.landed(events.EffectFinished{Effect: o.id})
			break
		}
	}
	for i := range d.Effects {
		j.issued(m, p, &d.Effects[i], now)
	}
	if p.state != d.To || m.pg.Stuck() { // what hangs takes as long as its fault
		p.state, p.since, p.told = d.To, now, false
	}
	if most, passing := transient[p.state]; passing && !p.told && now.Sub(p.since) > most {
		p.told = true
		j.breaks("%s has been %s for %v", m.name, p.state, now.Sub(p.since))
	}
}

func (o *open) grace() time.Duration {
	if o.kind == events.ActStopPostgres {
		return killGrace + outcomeGrace
	}
	return outcomeGrace
}

// issued notes an effect that has an outcome. Questions to peers end for each of them alone.
func (j *noDeadEnd) issued(m *Member, p *passage, e *events.Effect, now events.Instant) {
	switch e.Action.(type) {
	case events.AnswerOperator, events.Cancel, events.Exit, events.AskPeers:
		return
	}
	if left := e.Deadline.Sub(now); left <= 0 || left > longestDeadline {
		j.breaks("%s issues %s with a deadline in %v", m.name, e.Action.ActionKind(), left)
	}
	p.open = append(p.open, open{e.ID, e.Action.ActionKind(), e.Deadline})
}

// landed takes an effect off whose outcome has come.
func (p *passage) landed(f events.Fact) {
	var id uint64
	switch f := f.(type) {
	case events.EffectFinished:
		id = f.Effect
	case events.LeaseOutcome:
		id = f.Effect
	default:
		return
	}
	for i := range p.open {
		if p.open[i].id == id {
			p.open = append(p.open[:i], p.open[i+1:]...)
			return
		}
	}
}
