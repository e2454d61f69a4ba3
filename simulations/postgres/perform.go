package postgres

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Done takes the end of an effect. why is the error's text, empty for one that is done.
type Done func(outcome events.Outcome, result events.Result, why string)

// work is an effect under way.
type work struct {
	s        *Server
	action   events.Action
	deadline events.Instant
	progress func(string)
	done     Done
	over     bool
	// look is called after each change while the effect has its turn.
	look func()
	// abort puts away what was begun, when the effect is cancelled or its deadline has come.
	abort func()
	// expire is what happens at the deadline instead of abort.
	expire func()
}

// Perform does what the driver would do for an effect, until the deadline. done is called exactly once, never before Perform has
// returned, and not at all after AgentDied. progress may be nil. The cancel that is returned asks to give up. Effects
// on the data directory wait for each other's end, as in the driver.
func (s *Server) Perform(a events.Action, deadline events.Instant, progress func(string), done Done) (cancel func()) {
	w := &work{s: s, action: a, deadline: deadline, progress: progress, done: done}
	s.c.After(max(deadline.Sub(s.now()), time.Millisecond), w.expired)
	stop, isStop := a.(events.StopPostgres)
	switch k := a.ActionKind(); {
	case k == events.ActCheckpoint, k == events.ActSyncSlots, k == events.ActApplyConfig, isStop && stop.Mode == events.StopKill:
		s.helpers = append(s.helpers, w)
		w.begin()
	case s.work == nil:
		s.work = w
		w.begin()
	default:
		s.queue = append(s.queue, w)
	}
	return func() {
		if !w.over {
			w.give("cancelled")
		}
	}
}

// AgentDied abandons every effect, as the agent's sudden end does. What was signalled or asked stays so; a bootstrap or clone
// is left unfinished, a rewind half done.
func (s *Server) AgentDied() {
	for _, w := range append(append([]*work{s.work}, s.queue...), s.helpers...) {
		if w != nil {
			w.over = true
		}
	}
	s.work, s.queue, s.helpers = nil, nil, nil
}

// Busy is what the effect does that has the data directory for itself, empty if none has.
func (s *Server) Busy() events.ActionKind {
	if s.work == nil {
		return ""
	}
	return s.work.action.ActionKind()
}

// moment is how soon one looks again whether a host has woken up.
const moment = 50 * time.Millisecond

// after plans the next step, if the effect still goes on then.
func (w *work) after(d time.Duration, do func()) {
	w.s.c.After(d, func() {
		switch {
		case w.over:
		case w.s.asleep:
			w.after(moment, do)
		default:
			do()
		}
	})
}

// takes draws how long a step takes.
func (w *work) takes(d time.Duration) time.Duration {
	if kernel.Chance(w.s.c, "slow effect", w.s.c.Faults.Slow) {
		d *= 10
	}
	return kernel.Between(w.s.c, "effect takes", d, d+d/2)
}

func (w *work) fails() bool { return kernel.Chance(w.s.c, "effect fails", w.s.c.Faults.Fail) }

func (w *work) report(text string) {
	if w.progress != nil && !w.over {
		w.progress(text)
	}
}

func (w *work) expired() {
	if w.over {
		return
	}
	if w.s.asleep {
		w.s.c.After(moment, w.expired)
		return
	}
	if w.s.work == w && w.expire != nil || w.expire != nil && slices.Contains(w.s.helpers, w) {
		w.expire()
		return
	}
	w.give("context deadline exceeded")
}

// give ends the effect as one that was not done.
func (w *work) give(why string) {
	if w.abort != nil {
		w.abort()
	}
	w.fail(why)
}

func (w *work) fail(why string) { w.finish(events.Failed, events.Result{}, why) }

func (w *work) ok(r events.Result) { w.finish(events.Done, r, "") }

func (w *work) finish(outcome events.Outcome, r events.Result, why string) {
	if w.over {
		return
	}
	w.over = true
	w.look, w.abort, w.expire = nil, nil, nil
	s := w.s
	is := func(x *work) bool { return x == w }
	s.helpers = slices.DeleteFunc(s.helpers, is)
	s.queue = slices.DeleteFunc(s.queue, is)
	if s.work == w {
		s.work = nil
		if len(s.queue) > 0 {
			next := s.queue[0]
			s.work, s.queue = next, slices.Delete(s.queue, 0, 1)
			next.begin()
		}
	}
	w.done(outcome, r, why)
}

// begin starts an effect that has its turn. Nothing is done before the next instant.
func (w *work) begin() {
	do, takes := w.drive(), 10*time.Millisecond
	switch w.action.(type) {
	case events.StopPostgres, events.Promote:
		w.after(0, do) // one signal, and nothing before it
		return
	case events.CheckDivergence:
		w.after(w.takes(takes), do)
		return
	}
	w.after(w.takes(takes)+w.s.slow, func() { w.onDisk(do) })
}

// onDisk waits for a disk that stalls, and fails on one that is full.
func (w *work) onDisk(do func()) {
	switch w.s.disk {
	case DiskStalled:
		w.after(50*time.Millisecond, func() { w.onDisk(do) })
	case DiskFull, DiskReadOnly:
		w.fail(w.s.disk.refuses())
	default:
		if w.fails() {
			w.fail("by chance")
			return
		}
		do()
	}
}

func (w *work) drive() func() {
	switch a := w.action.(type) {
	case events.Bootstrap:
		return w.bootstrap
	case events.Clone:
		return func() { w.clone(a) }
	case events.StartPostgres:
		return func() { w.start(a) }
	case events.StopPostgres:
		return func() { w.stop(a.Mode, a.EscalateAfter) }
	case events.RestartPostgres:
		return func() { w.restart(a) }
	case events.Promote:
		return w.promote
	case events.Follow:
		return func() { w.follow(a.From) }
	case events.Checkpoint:
		return w.checkpoint
	case events.CheckDivergence:
		return func() { w.checkDivergence(a.Leader) }
	case events.CrashRecover:
		return func() { w.crashRecover(func() { w.ok(events.Result{}) }) }
	case events.Rewind:
		return func() { w.crashRecover(func() { w.rewind(a.From) }) }
	case events.SyncSlots:
		return func() { w.syncSlots(a) }
	case events.ApplyConfig:
		return func() { w.applyConfig(a.Document) }
	}
	return func() { w.fail("no such action") }
}

// workDone ends the effect that has its turn, if it is of a kind that waited for what has happened now.
func (s *Server) workDone(kind events.ActionKind) {
	if w := s.work; w != nil && w.look != nil && w.action.ActionKind() == kind {
		w.look()
	}
}

// reach finds the server that an effect must talk to, or says why it cannot, and whether that is known at once.
func (s *Server) reach(u events.Upstream) (from *Server, why string, atOnce bool) {
	from = s.c.of(u)
	switch {
	case from == nil:
		return nil, "no such host", true
	case s.c.refused(s, from):
		return from, "connection refused", true
	case !s.c.linked(s, from), from.hung:
		return from, "timeout expired", false
	case from.phase == down, from.phase == orphaned:
		return from, "connection refused", true
	case from.phase != up:
		return from, "the database system is starting up", true
	case from.full:
		return from, "sorry, too many clients already", true
	}
	return from, "", true
}

// failOn ends an effect that cannot talk to another server.
func (w *work) failOn(why string, atOnce bool) {
	d := w.s.c.Timing.Connect
	if atOnce {
		d = time.Millisecond
	}
	w.after(d, func() { w.give(why) })
}
