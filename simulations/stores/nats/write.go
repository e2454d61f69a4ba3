package nats

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// failure is an error of the adapter; no class is none.
type failure struct {
	class events.Outcome
	cause string
}

// tally collects the attempts of one operation, to tell its outcome when time is up.
type tally struct {
	unclear bool // an attempt may have been applied
	last    fault
}

// add notes a failed attempt to write and tells whether to try again.
func (t *tally) add(f fault) (again bool) {
	t.last = f
	t.unclear = t.unclear || f == silent
	return f != refused
}

// addRead notes a failed read and tells whether to try again.
func (t *tally) addRead(f fault) (again bool) {
	t.last = f
	return f != refused
}

var faultText = [...]string{
	fine: "its time was up", conflict: "wrong last sequence", unavailable: "nats is unavailable",
	refused: "refused by the servers", silent: "no answer",
}

// outcome is the failure of an operation that was given up.
func (t *tally) outcome() failure {
	if t.unclear {
		return failure{events.Unknown, faultText[t.last]}
	}
	return failure{events.Failed, faultText[t.last]}
}

// condition is what a key must be for a write to take place.
type condition struct {
	expect int64
	value  string // where not empty, what the present key must hold besides
}

func (c condition) holds(now stored) bool {
	switch c.expect {
	case events.Any:
		return true
	case 0:
		return !now.live
	}
	return now.live && now.seq == uint64(c.expect) && (c.value == "" || c.value == now.value)
}

// written is a write that took place; sentAt is zero when it is not known which attempt it was.
type written struct {
	seq    uint64
	sentAt events.Instant
}

// write is Store.write.
type write struct {
	m        message
	cond     condition
	replaces uint64
	refused  bool
	sentAt   events.Instant
	t        tally
	pace     pacer
	done     func(*call, written, failure)
	again    bool // a second write of PutMember
	former   record
}

// startWrite performs a write under a condition. Every attempt names the message that it replaces. A hint is what
// the key's last message probably is, and spares a read.
func (c *call) startWrite(m message, cond condition, hint uint64, done func(*call, written, failure)) {
	again, former := c.write.again, c.write.former
	c.write = write{m: m, cond: cond, replaces: hint, done: done, again: again, former: former}
	if hint != 0 {
		c.publishWrite()
		return
	}
	c.readLast()
}

func (c *call) readLast() {
	c.try(c.l, &query{kind: last, message: message{key: c.write.m.key}}, (*call).lastRead)
}

func (c *call) lastRead(r result) {
	w := &c.write
	now := r.last
	switch {
	case r.fault != fine:
		if !w.t.addRead(r.fault) {
			c.writeGivenUp()
			return
		}
		c.pause(&w.pace, (*call).readLast, (*call).writeGivenUp)
		return
	case w.t.unclear && now.token == w.m.token:
		c.s.saw(now.seq)
		w.done(c, written{seq: now.seq}, failure{})
		return
	case w.cond.holds(now):
		w.replaces = now.seq
	case w.cond.expect > 0 && w.cond.value == "" && now.seq < uint64(w.cond.expect) && !w.refused:
		w.replaces = uint64(w.cond.expect) // the read may have shown the past
	case w.t.unclear: // it may have been applied, and overwritten since
		w.done(c, written{}, failure{events.Unknown, "the key is at another revision"})
		return
	default:
		w.done(c, written{}, failure{events.Lost, "the key is at another revision"})
		return
	}
	c.publishWrite()
}

func (c *call) publishWrite() {
	c.write.sentAt = c.s.m.env.Now()
	c.try(c.l, &query{kind: publish, message: c.write.m, expect: int64(c.write.replaces)}, (*call).writePublished)
}

func (c *call) writePublished(r result) {
	w := &c.write
	if r.fault == fine {
		c.s.saw(r.seq)
		w.done(c, written{r.seq, w.sentAt}, failure{})
		return
	}
	w.refused = w.refused || r.fault == conflict
	if !w.t.add(r.fault) {
		c.writeGivenUp()
		return
	}
	c.pause(&w.pace, (*call).readLast, (*call).writeGivenUp)
}

func (c *call) writeGivenUp() { c.write.done(c, written{}, c.write.t.outcome()) }

func (c *call) putDone(w written, f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	c.end(stores.Response{Outcome: events.Done, Revision: w.seq})
}

// removal is the message that deletes a key.
func (s *session) removal(key string) message {
	return message{key: key, remove: true, ttl: markerTTL, token: s.m.token()}
}

// remove is Store.Delete: a marker for what is not there would tell watchers of a deletion that never was.
func (c *call) remove() {
	if c.r.Expect == 0 || c.r.Expect == events.Any {
		c.startRead((*call).removeRead)
		return
	}
	c.removeNow()
}

func (c *call) removeRead(f failure) {
	there := c.read.find(c.r.Key).live
	switch {
	case f.class != "":
		c.fail(f)
	case c.r.Expect == 0 && there:
		c.fail(failure{events.Lost, "the key exists"})
	case !there:
		c.end(stores.Response{Outcome: events.Done})
	default:
		c.removeNow()
	}
}

func (c *call) removeNow() {
	c.startWrite(c.s.removal(c.r.Key), condition{expect: c.r.Expect}, 0, (*call).plainDone)
}

func (c *call) plainDone(_ written, f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	c.end(stores.Response{Outcome: events.Done})
}

// putMember is Store.PutMember: a write whose predecessor may have expired is done once more.
func (c *call) putMember() {
	c.write.former = c.s.record
	m := message{key: c.s.self, value: c.r.Value, ttl: c.s.storedTTL(c.r.TTL), token: c.s.m.token()}
	c.startWrite(m, condition{expect: events.Any}, c.write.former.seq, (*call).memberPut)
}

func (c *call) memberPut(w written, f failure) {
	s := c.s
	if f.class != "" {
		if c.write.again {
			f = afterWrite(f)
		}
		c.fail(f)
		return
	}
	inTime := s.m.env.Now() < c.write.former.safe
	if s.record == c.write.former || w.seq > s.record.seq { // also at a lower sequence, which a recreated stream has
		s.record = recordOf(w, c.write.m.ttl)
	}
	if inTime {
		c.end(stores.Response{Outcome: events.Done})
		return
	}
	// The marker of the former record's end may have been under way.
	c.write.again = true
	c.putMember()
}

// afterWrite is the failure of a second write whose first took place: only a conflict is certain.
func afterWrite(f failure) failure {
	if f.class != events.Lost {
		f.class = events.Unknown
	}
	return f
}
