package simulations

import (
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/postgres"
	"github.com/regent-ha/regent/simulations/stores"
)

// resumeChaos is a bad day that begins in the middle of what was recorded: the models take over at the moment, and the faults are drawn.
func resumeChaos(set ChaosSettings) *Chaos {
	mo := set.From
	guard := "required"
	for i := range mo.Members {
		if p := mo.Members[i].Config.GuardPolicy; p != "required" {
			guard = p
		}
	}
	text, doc := mo.config()
	w := New(Settings{Seed: set.Seed, Tape: set.Tape, Store: set.Store, Mutant: set.Mutant, Begin: mo.At, Wall: mo.Wall, Guard: guard, Config: text})
	w.OnInput = set.OnInput
	c := &Chaos{World: w, doc: doc, resumed: true, ttl: mo.Settings.TTL, loopWait: mo.Settings.LoopWait, retry: mo.Settings.RetryTimeout}
	if c.leftOut, c.refused = w.resume(mo); c.refused != nil {
		w.breaks("T1: the world does not begin: " + c.refused.Error())
	}
	c.leftover = 10 + c.pick("faults at tender moments", 40)
	c.until = w.Now().Add(set.For)
	c.onStep, c.proxy, c.longest = c.tender, newProxy(w), c.ttl
	return c
}

// resume makes the world what it was at a moment, and tells what it cannot represent.
func (w *World) resume(mo *Moment) (leftOut []string, err error) {
	for i := range mo.Members {
		at := &mo.Members[i]
		m := newMember(w, at.Name)
		m.config, m.Tags = &at.Config, at.Config.Tags
		w.members = append(w.members, m)
	}
	engines := make([]*engine.Engine, len(w.members))
	var standings []postgres.Standing
	for i, m := range w.members {
		at := &mo.Members[i]
		engines[i] = m.fold(at.Inputs)
		standings = append(standings, postgres.Standing{Name: at.Name, ConnURL: at.Config.ConnURL, Seen: at.Seen, Last: at.Last, Upstream: at.Upstream,
			Config: []byte(w.set.Config)})
	}
	leftOut = append(leftOut, w.servers.Begin(standings, mo.History)...)
	left, err := w.resumeStore(mo)
	leftOut = append(leftOut, left...)
	w.operators.config(w.set.Config)
	for i, m := range w.members {
		for verb, asked := range mo.Members[i].Orders {
			w.operators.orders[m.name+" "+string(verb)] = asked
		}
		m.resumeGuard(&mo.Members[i])
	}
	for _, j := range w.judges.events {
		if id, ok := j.(*identity); ok {
			id.newest = mo.Timeline
		}
	}
	for i, m := range w.members {
		m.resume(&mo.Members[i], engines[i])
	}
	return leftOut, err
}

// fold gives the recorded inputs to an engine of the member's own, and to its executor's idea of the lease in force.
func (m *Member) fold(inputs []events.Input) *engine.Engine {
	e := engine.New(engine.Options{})
	m.force = runner.Force{}
	epochs := map[uint64]uint64{} // of renewals without an answer
	for i := range inputs {
		if l, ok := inputs[i].Fact.(events.LeaseOutcome); ok && (l.Op == events.LeaseAcquire || l.Op == events.LeaseRenew) {
			switch l.Outcome {
			case events.Done:
				m.force.Hold(l.Epoch, l.SentAt, l.SentAt.Add(l.TTL))
			case events.Lost:
				m.force.Resign(epochs[l.Effect])
			}
			delete(epochs, l.Effect)
		}
		d := e.Step(inputs[i])
		for j := range d.Effects {
			x := &d.Effects[j]
			switch a := x.Action.(type) {
			case events.RenewLease:
				epochs[x.ID] = x.Epoch
				m.force.Shorten(x.Epoch, inputs[i].At.Add(a.TTL))
			case events.ReleaseLease, events.HandOverLease:
				m.force.Resign(x.Epoch)
			}
		}
		m.seq = inputs[i].Seq
	}
	return e
}

// resumeStore fills the store and lets the leases have what is left of them.
func (w *World) resumeStore(mo *Moment) (leftOut []string, err error) {
	settings := mo.Settings
	b := stores.Beginning{Contents: mo.Contents}
	for _, kv := range mo.Contents.Keys {
		name, isMember := strings.CutPrefix(kv.Key, events.KeyMembers)
		switch {
		case kv.Key == events.KeyLeader:
			l := stores.Lease{Key: kv.Key, Epoch: kv.Revision, TTL: mo.LeaseTTL, Ends: mo.LeaseEnds}
			if m := w.Member(kv.Value); m != nil {
				if epoch, holds := m.force.Epoch(); holds {
					l.Holder, l.Epoch = m.name, epoch
				}
			}
			if l.Ends == 0 {
				l.TTL, l.Ends = settings.TTL, mo.At.Add(settings.TTL)
				leftOut = append(leftOut, fmt.Sprintf("when the lease of %s ends: nobody's log tells; taken to have all of its ttl of %v", kv.Value, settings.TTL))
			}
			b.Leases = append(b.Leases, l)
		case isMember:
			l := stores.Lease{Key: kv.Key, Holder: name, TTL: settings.TTL, Ends: mo.At.Add(settings.TTL)}
			for i := range mo.Members {
				if at := &mo.Members[i]; at.Name == name && at.RecordEnds != 0 {
					l.TTL, l.Ends = at.RecordTTL, at.RecordEnds
				}
			}
			b.Leases = append(b.Leases, l)
		}
	}
	return leftOut, w.store.Begin(b)
}

// resumeGuard makes the guard what it last said, with the deadline that it was last told.
func (m *Member) resumeGuard(at *MemberMoment) {
	g := &m.guard
	if len(at.Inputs) == 0 {
		return // it starts with its agent
	}
	g.alive, g.fired, g.deadline = at.Guard.Alive, at.Guard.Fired, at.Guard.Deadline
	if g.deadline != 0 {
		g.timer.Set(max(g.deadline, m.w.Now()))
	}
}

// resume lets the agent go on where its engine is. What it had asked for and has no answer to is asked for again: it may have been done.
func (m *Member) resume(at *MemberMoment, e *engine.Engine) {
	if len(at.Inputs) == 0 {
		m.Start()
		return
	}
	m.engine, m.pending = e, map[uint64]func(){}
	if at.Dead {
		return
	}
	m.run++
	m.alive, m.frozen = true, at.Frozen
	run := m.run
	m.session = m.w.store.Open(m.name, m.line)
	m.session.Watch(func(f events.Fact) {
		if m.run == run {
			m.post(f)
		}
	})
	if e.State() == engine.Leading {
		m.w.lastLeader = m
	}
	m.guard.agentStarted()
	for _, x := range e.Status().InFlight {
		x := x
		m.w.after(0, func() {
			if m.run == run {
				m.perform(x)
			}
		})
	}
	m.w.after(0, func() {
		if m.run == run {
			m.post(m.guard.tick())
			m.observe()
		}
	})
	m.wake.Set(max(e.WakeAt(), m.w.Now().Add(time.Millisecond)))
}
