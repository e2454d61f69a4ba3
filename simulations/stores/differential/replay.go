package differential

import (
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Build makes the model, with its servers running.
type Build func(env kernel.Env) stores.Model

// early is how much later than the real one a model may be, whose messages may take longer.
const early = 50 * time.Millisecond

// overwritten is how soon a key is written again whose change may then be left out.
const overwritten = 250 * time.Millisecond

// replay plays a history on a model, with the choices of a chooser.
type replay struct {
	h        *History
	o        Options
	m        stores.Model
	c        *chooser
	sessions [members]stores.Session
	watch    [members]*watcher
	begin    events.Instant
	// shift is the model's time less the real one: a server that is starved has less time, which only makes ends later.
	shift     time.Duration
	followed  int
	stalled   time.Duration
	elections int      // the faults up to which there was one
	real      []uint64 // the revisions that were shown, by reference,
	model     []uint64 // and the model's
	pairs     [][2]uint64
	// compared is how many changes of each watch were compared, with played of the model's; last is the revision of the model's latest snapshot.
	compared, played [members]int
	last             uint64
	marks            []int // the choices that were taken before each step
}

// play returns how many steps the model could follow, and why not the next one; the watches count as one more step.
func play(build Build, h *History, o Options, c *chooser) (r *replay, followed int, why string) {
	r = &replay{h: h, o: o, c: c}
	defer func() { r.followed = followed }()
	m := build(c)
	r.m = m
	for i := range r.sessions {
		r.sessions[i] = m.Open(memberName(i), line{c})
		r.watch[i] = modelWatch(r.sessions[i], r.now)
	}
	if !c.RunUntil(time.Minute, func() bool { return r.watch[0].began() && r.watch[1].began() }) {
		return r, 0, "the model's watch has no snapshot"
	}
	r.marks = append(r.marks, len(c.taken))
	c.Run(time.Duration(c.Pick("how long the servers have run", 51)) * 100 * time.Millisecond)
	c.Run(time.Duration(c.Pick("how much longer", 101)) * time.Millisecond)
	r.begin = c.Now()
	for i := 0; i < len(h.Steps); {
		n := 1
		for i+n < len(h.Steps) && h.Steps[i+n].Together {
			n++
		}
		for range n {
			r.marks = append(r.marks, len(c.taken))
		}
		if bad, why := r.steps(h.Steps[i : i+n]); why != "" {
			return r, i + bad, why
		}
		if why := r.heard(); why != "" {
			return r, i + n - 1, why
		}
		i += n
	}
	r.marks = append(r.marks, len(c.taken))
	if why := r.told(); why != "" {
		return r, len(h.Steps), why
	}
	return r, len(h.Steps) + 1, ""
}

func (r *replay) now() time.Duration { return r.c.Now().Sub(r.begin) }

// elect lets the model's leader die and come back after a fault, where an election changes how long leases last.
func (r *replay) elect(at time.Duration) {
	n := 0 // faults so far
	for n < len(r.h.Faults) && r.h.Faults[n] < at {
		n++
	}
	if !r.o.Elections || r.elections >= n || at > r.h.Faults[n-1]+electionWithin || r.c.Pick("the store has another leader", 4) < 3 {
		return
	}
	r.elections = n
	if was := r.m.Leader(); was >= 0 {
		r.m.Kill(was)
		r.c.RunUntil(patience, func() bool { return r.m.Leader() >= 0 })
		r.m.Start(was)
	}
}

// electionWithin is how soon after a fault the store has another leader, if it is to have one.
const electionWithin = 5 * time.Second

// starved are parts of the time that servers may lack, in percent: mostly they lack little.
var starved = [...]time.Duration{5, 12, 30, 60, 100}

// goTo lets time pass until a real time, or a little less: a stall.
func (r *replay) goTo(at time.Duration) {
	r.elect(at)
	gap := at + r.shift - r.now()
	if gap > 5*time.Millisecond {
		amount := min(gap, r.o.Late-r.stalled)
		if part := r.c.Pick("the servers are starved", 10) - 5; part >= 0 && amount > 0 {
			amount = amount * starved[part] / 100
			r.stalled += amount
			r.shift -= amount
			gap -= amount
		}
	}
	r.c.Run(max(gap, 0))
}

// steps plays a step, or several that were taken at one time. bad is the one that the model could not follow.
func (r *replay) steps(steps []Step) (bad int, why string) {
	if steps[0].Call == nil {
		return 0, r.wait(&steps[0])
	}
	answers := make([]*stores.Response, len(steps))
	sent := make([]events.Instant, len(steps))
	open := 0
	for i := range steps {
		s := &steps[i]
		at, asks, counts := r.when(s)
		if !asks {
			continue
		}
		ask := func() {
			sent[i] = r.c.Now()
			deadline := sent[i].Add(patience)
			if s.Call.Over {
				deadline = sent[i]
			}
			r.sessions[s.Call.Member].Do(s.Call.request(r.revision, deadline), func(a stores.Response) {
				if answers[i] == nil && counts {
					answers[i] = &a
					open--
				}
			})
		}
		if counts {
			open++
		}
		r.c.After(at+r.shift-r.now(), ask)
	}
	if !r.c.RunUntil(2*patience, func() bool { return open == 0 }) {
		return 0, "the model gives no answer"
	}
	for i := range steps {
		if answers[i] == nil {
			continue
		}
		if why := r.compare(&steps[i], answers[i], sent[i]); why != "" {
			return i, why
		}
	}
	return 0, ""
}

// when is when a call is asked of the model, whether it is at all, and whether its answer counts. A call may be served at any moment
// until its answer; where servers are hurt, one whose outcome is unknown may be served at any moment or never.
func (r *replay) when(s *Step) (at time.Duration, asks, counts bool) {
	r.goTo(s.At)
	switch {
	case s.Call.Over:
		return s.At, true, true
	case !r.h.Hurt, s.Answer.Outcome == events.Done, s.Answer.Outcome == events.Lost:
		return s.At + r.part("when a call is served", s.End-s.At), true, true
	case s.Answer.Outcome == events.Unknown && r.c.Pick("a call without an answer is served", 2) == 1:
		return s.At + r.part("when it is served", r.h.Steps[len(r.h.Steps)-1].At-s.At), true, false
	}
	return 0, false, false
}

func (r *replay) part(label string, of time.Duration) time.Duration {
	if of < 2*time.Millisecond {
		return 0
	}
	return of * time.Duration(r.c.Pick(label, 21)) / 20
}

func (r *replay) revision(ref Ref) uint64 { return numberOf(ref, r.model) }

// wait waits for the end of a key, and compares when it was told.
func (r *replay) wait(s *Step) string {
	r.goTo(s.At)
	w := r.watch[s.Member]
	if !r.c.RunUntil(s.End-s.At+2*endsWithin, func() bool { return w.ended(s.Gone) >= s.Nth }) {
		return "the model's " + s.Gone + " does not end"
	}
	told, want := w.when(s.Gone, s.Nth), s.End+r.shift
	switch {
	case told > want+early && r.elections == 0, told > want+patience:
		return fmt.Sprintf("the model's %s does not end for another %v", s.Gone, told-want)
	case told < want-r.o.Late:
		return fmt.Sprintf("the model's %s ends %v before that", s.Gone, want-told)
	}
	// It was told late. Either that is all, or the servers had no time meanwhile.
	if r.c.Pick("what was told late was late", 2) == 0 {
		r.c.Run(max(want-r.now(), 0))
	} else {
		r.shift = min(r.shift, r.now()-s.End)
	}
	return ""
}

// compare tells what is different in a model's answer, empty if nothing.
func (r *replay) compare(s *Step, a *stores.Response, sent events.Instant) string {
	if a.Outcome != s.Answer.Outcome {
		return fmt.Sprintf("the model: %s %s", a.Outcome, a.Error)
	}
	if a.Outcome != events.Done {
		return ""
	}
	switch s.Call.Op {
	case stores.Put:
		return r.learn(s.Answer.Revision, a.Revision)
	case stores.Acquire, stores.Renew:
		return r.compareLease(s, a.Lease, sent)
	case stores.Snapshot:
		keys := byKey(a.Snapshot.Keys)
		r.last = a.Snapshot.Revision
		if len(keys) != len(s.Answer.Keys) {
			return fmt.Sprintf("the model shows %d keys: %v", len(keys), keys)
		}
		for i, shown := range s.Answer.Keys {
			if m := keys[i]; m.Key != shown.Key || m.Value != shown.Value {
				return fmt.Sprintf("the model shows %s=%s", m.Key, m.Value)
			} else if why := r.learn(shown.Revision, m.Revision); why != "" {
				return m.Key + ": " + why
			}
		}
	}
	return ""
}

func (r *replay) compareLease(s *Step, l backends.Lease, sent events.Instant) string {
	prepared := l.SentAt < sent
	switch {
	case l.TTL != s.Answer.TTL:
		return fmt.Sprintf("the model grants %v", l.TTL)
	case prepared != s.Answer.Prepared && !r.h.Hurt:
		return fmt.Sprintf("the model's lease is dated from before the call: %v", prepared)
	case s.Call.Op == stores.Acquire:
		return r.learn(s.Answer.Revision, l.Epoch)
	case l.Epoch != r.revision(s.Call.Epoch):
		return fmt.Sprintf("the model changes the epoch to %d", l.Epoch)
	}
	return ""
}

// learn adds a revision that was shown, which must stand to all others as the model's does.
func (r *replay) learn(theirs, model uint64) string {
	if why := r.relate(theirs, model); why != "" {
		return why
	}
	r.real, r.model = append(r.real, theirs), append(r.model, model)
	return ""
}

func (r *replay) relate(theirs, model uint64) string {
	for i, p := range r.pairs {
		if (theirs < p[0]) != (model < p[1]) || (theirs > p[0]) != (model > p[1]) {
			return fmt.Sprintf("revision %d is to %d, which was shown as number %d, not what the model's %d is to %d", theirs, p[0], i+1, model, p[1])
		}
	}
	r.pairs = append(r.pairs, [2]uint64{theirs, model})
	return ""
}

// heard compares what the watches have been told so far, as far as both have been told.
func (r *replay) heard() string {
	if r.h.Hurt || r.o.Merges {
		return ""
	}
	for i := range r.watch {
		if r.h.Told[i].Again {
			continue
		}
		for told := r.h.Told[i].Changes; r.compared[i] < len(told); {
			compared, why := r.hear(i, told[r.compared[i]:])
			if why != "" {
				return fmt.Sprintf("the watch of %s was told %s, the model's %s", memberName(i), told[r.compared[i]], why)
			}
			if !compared {
				break
			}
			r.compared[i]++
		}
	}
	return ""
}

// hear compares the next change that a watch was told with what the model's was told next, and tells whether there was one to compare it with.
func (r *replay) hear(i int, told []Change) (compared bool, why string) {
	for c := told[0]; ; r.played[i]++ {
		model := r.watch[i].since(r.played[i])
		if len(model) == 0 {
			return false, ""
		}
		m := model[0]
		if !r.o.Overwrites {
			if !c.same(m) {
				return false, m.String()
			}
			r.played[i]++
			return true, r.relate(c.Revision, m.Revision)
		}
		if r.now() <= m.At+overwritten {
			return false, "" // what is to come may overwrite it
		}
		leavable := soonAgain(model)
		switch {
		case c.same(m) && (!leavable || soonAgain(told)):
			r.played[i]++
			return true, ""
		case !leavable:
			return false, m.String()
		}
	}
}

// soonAgain tells whether the key of the first change was written again so soon that the change may be left out.
func soonAgain(all []Change) bool {
	later := slices.IndexFunc(all[1:], all[0].sameKey)
	return later >= 0 && all[1+later].At <= all[0].At+overwritten
}

// told waits until the model's watches have told all that the real ones have, and no more.
func (r *replay) told() string {
	if r.h.Hurt || r.o.Merges {
		return ""
	}
	for i := range r.watch {
		told := r.h.Told[i]
		if told.Again {
			continue
		}
		why := ""
		if !r.c.RunUntil(endsWithin, func() bool { why = r.heard(); return why != "" || r.compared[i] == len(told.Changes) }) {
			return fmt.Sprintf("the watch of %s was told %s, the model's %v", memberName(i), told.Changes[r.compared[i]], r.watch[i].since(r.played[i]))
		}
		if why != "" {
			return why
		}
		if more := r.watch[i].since(r.played[i]); len(more) > 0 && more[0].Revision <= r.last {
			return fmt.Sprintf("the model's watch of %s was told %s, the real one was not", memberName(i), more[0])
		}
	}
	return ""
}
