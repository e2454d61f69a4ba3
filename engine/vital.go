package engine

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// A primary that runs and does not answer. Its host may hang, its disk, or its processes; or nothing hangs, and only our look at it
// gets no turn. WAL that other members go on receiving tells the two apart.

// vital is what is known of a primary that does not answer.
type vital struct {
	since  events.Instant // when the looks began to be in vain, zero: the last was not
	asked  bool           // the others, since then
	newest events.LSN     // that any of them had at the question before the last, zero: unknown
	// works and alone are what the question before the last came to: WAL arrived; nobody can take over.
	works, alone bool
}

const (
	// silenceLeast goes before a ttl of seconds: two looks in a row may time out while a checkpoint writes.
	silenceLeast = 10 * time.Second
	// vitalEvery lies between two questions to the others: what one of them has received more by then came from a living server.
	vitalEvery = 5 * time.Second
	// lookGap is a pause between two looks after which a silence counts anew: it was the agent that was away.
	lookGap = 5 * time.Second
)

// foldSilence notes since when looks at PostgreSQL are in vain. An answer that refuses is an answer, of a server that lives. A look at
// the files that does not return is as good as none: on such a disk nothing is committed.
func (s *state) foldSilence(o *events.Observation) {
	mute := o.Running && (!o.Answering && !o.Rejecting || s.now.Sub(o.Sampled) >= lookGap)
	switch {
	case !o.Running: // what was asked for a start that takes too long goes on: a look is made for each question
		s.vital.since = 0
	case !mute:
		s.vital = vital{}
	case s.vital.since == 0 && s.life == Opening:
		s.vital.since = s.now
	case s.vital.since == 0 || s.now.Sub(s.pgAt) >= lookGap:
		s.vital = vital{since: s.now}
	}
}

// silenceLimit is how long a primary may not answer before another member takes over: a ttl, as if its host had died; for one that
// says that it recovers, primary_start_timeout.
func (s *state) silenceLimit() time.Duration {
	if s.pg.Starting {
		return s.openPatience()
	}
	return max(s.ttl(), silenceLeast)
}

// muteAt is when the silence becomes too long, zero without one. What passed before the state was entered, as in a pause, does not count.
func (s *state) muteAt() events.Instant {
	if s.vital.since == 0 || !s.running() {
		return 0
	}
	return max(s.vital.since, s.lifeSince).Add(s.silenceLimit())
}

var (
	muteSoon = predicate{"PostgreSQL has not answered for almost too long", func(s *state) bool {
		return s.muteAt() != 0 && s.now >= s.muteAt().Add(-vitalEvery)
	}}
	muteTooLong = predicate{"PostgreSQL has not answered for too long", func(s *state) bool { return s.muteAt() != 0 && s.now >= s.muteAt() }}
	vitalAsked  = predicate{"the others were asked about it a moment ago", func(s *state) bool {
		return s.vital.asked && s.ask.effect != 0 && s.now < s.ask.at.Add(vitalEvery)
	}}
	// vitalKnown: two questions were answered, so that it can be told whether WAL arrives.
	vitalKnown = predicate{"the others were asked twice, and have answered", func(s *state) bool {
		return s.vital.asked && s.vital.newest != 0 && askedAll.ok(s)
	}}
	othersReceive = predicate{"another member goes on receiving WAL", func(s *state) bool { return s.vitalWorks() }}
	nobodyFit     = predicate{"no member can take over", func(s *state) bool { return s.vitalAlone() }}

	askVital = act{"ask_peers, and note what they had", func(e *Engine) {
		s := &e.s
		v := vital{since: s.vital.since, asked: true}
		if s.vital.asked {
			v.newest, v.works, v.alone = s.newestAnswered(), s.vitalWorks(), s.vitalAlone()
		}
		s.vital = v
		e.askPeers(nobody)
	}}
)

// newestAnswered is the newest WAL that any of the members had that were asked last.
func (s *state) newestAnswered() events.LSN {
	newest := events.LSN(0)
	for i := range s.ask.answers {
		if p := &s.ask.answers[i]; p.Reachable && !p.Primary {
			newest = max(newest, p.Position)
		}
	}
	return newest
}

// vitalWorks and vitalAlone are what the last question came to, or the one before it until that has been answered.
func (s *state) vitalWorks() bool {
	if !s.askComplete() {
		return s.vital.works
	}
	return s.vital.newest != 0 && s.newestAnswered() > s.vital.newest
}

func (s *state) vitalAlone() bool {
	if !s.vital.asked || !s.askComplete() {
		return s.vital.alone
	}
	return s.bestSuccessor() == ""
}

// vitalWakes are the instants of its questions.
func (s *state) vitalWakes(sooner func(events.Instant)) {
	if s.life == Opening && s.ask.effect != 0 {
		sooner(s.ask.at.Add(vitalEvery))
	}
	if at := s.muteAt(); at != 0 && s.life == Leading {
		sooner(at.Add(-vitalEvery))
		sooner(at)
		sooner(s.ask.at.Add(vitalEvery))
	}
}

const causeHangs = "PostgreSQL does not answer"

// lettingGo: processes that were killed and stay hang in the kernel, on a disk. None of them can run again, and so none acknowledges a
// commit, but nobody knows when they are gone. The lease is then left to end, before which the guard kills them once more.
var lettingGo = predicate{"what was killed of PostgreSQL is still there, and the guard kills it before the lease ends", func(s *state) bool {
	switch {
	case s.life == Fenced:
		return s.guard.Fired
	case s.life != Demoting || !s.demotion.handOver || s.demotion.tries <= 2 || down.ok(s):
		return false
	}
	return s.guard.Alive && s.guard.Deadline > s.now && s.guard.Deadline <= s.lease.until
}}
