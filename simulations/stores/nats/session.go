package nats

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// session is the adapter of one agent.
type session struct {
	m      *Model
	member string
	self   string // key of the member's record
	probe  string // key that its linearizable reads write
	line   stores.Line
	closed bool
	opened bool // both connections were there, and the bucket was found fit
	within bool // Do is on the stack

	lease, ops link // lease carries what concerns the leader key, ops everything else
	watch      watch

	calls []*call // under way
	alarm events.Instant
	ring  func()
	beat  func()

	held    *held
	highest uint64
	record  record // of the member
}

var _ stores.Session = (*session)(nil)

// Open begins a session of a member.
func (m *Model) Open(member string, line stores.Line) stores.Session {
	s := &session{m: m, member: member, self: events.KeyMembers + member, probe: readPrefix + member, line: line}
	s.ring, s.beat = s.onAlarm, s.tick
	s.watch.s = s
	s.goOn()
	m.sessions = append(m.sessions, s)
	for _, l := range []*link{&s.lease, &s.ops} {
		l.s, l.down = s, true
		l.server = m.env.Pick("which server a client knows last", len(m.servers)) // the next one is tried first
		l.dial()
	}
	s.tickAfter(pingEvery)
	return s
}

// ready tells whether Open of the adapter has returned.
func (s *session) ready() bool {
	if s.opened {
		return true
	}
	if !s.lease.met || !s.ops.met {
		return false
	}
	if !s.m.exists {
		s.m.recreate()
	}
	s.opened = s.m.exists && s.m.first >= leastFirstSeq
	return s.opened
}

// recreate makes the bucket, as an adapter does that finds none, if the servers can.
func (m *Model) recreate() {
	if !m.exists && m.active() {
		m.create(m.freshFirst())
	}
}

// Close is the end of the agent.
func (s *session) Close() {
	s.closed = true
	s.calls = nil
	s.watch.consumer = nil
	s.m.sessions = slices.DeleteFunc(s.m.sessions, func(o *session) bool { return o == s })
}

func (s *session) saw(revision uint64) { s.highest = max(s.highest, revision) }

// tickAfter plans the next look at connections, consumer and store.
func (s *session) tickAfter(d time.Duration) { s.m.env.After(d, s.beat) }

// tick stands for keepalives, heartbeats and pings: once a second while all is well.
func (s *session) tick() {
	if s.closed {
		return
	}
	took, ok := s.ops.probe()
	s.ops.keepAlive(ok)
	leaseOK := ok
	if s.lease.server != s.ops.server || s.lease.down != s.ops.down {
		_, leaseOK = s.lease.probe()
	}
	s.lease.keepAlive(leaseOK)
	s.watch.look(took, ok)
	if s.ops.missed > 0 || s.lease.missed > 0 {
		s.tickAfter(pingInterval)
		return
	}
	s.tickAfter(pingEvery)
}

// call is one method of the adapter under way. It is a chain of attempts and pauses: what comes next is in
// answeredBy, wokenBy and given.
type call struct {
	s        *session
	op       string
	l        *link
	deadline events.Instant
	finish   func(*call, stores.Response) // instead of answer, for calls of the watch
	answer   func(stores.Response)
	r        stores.Request
	over     bool

	attempt    int // number of the last one
	flying     bool
	waiting    bool
	wake       events.Instant // of an attempt or a pause
	answeredBy func(*call, result)
	wokenBy    func(*call) // after a pause
	givenUpBy  func(*call) // instead, when the time is up

	write write
	lay   overwrite
	read  read
}

// begin enters a call.
func (s *session) begin(c *call) {
	s.calls = append(s.calls, c)
}

// fail ends a call without success.
func (c *call) fail(f failure) {
	c.end(stores.Response{Outcome: f.class, Error: c.op + ": " + f.cause})
}

// end ends a call, never within Do.
func (c *call) end(r stores.Response) {
	if c.over {
		return
	}
	c.over, c.flying, c.waiting = true, false, false
	s := c.s
	if i := slices.Index(s.calls, c); i >= 0 {
		s.calls = slices.Delete(s.calls, i, i+1)
	}
	if s.within {
		s.m.env.After(0, func() { c.deliver(r) })
		return
	}
	c.deliver(r)
}

func (c *call) deliver(r stores.Response) {
	switch {
	case c.s.closed:
	case c.finish != nil:
		c.finish(c, r)
	default:
		c.answer(r)
	}
}

// try sends a query and has its result, or its silence, taken by next.
func (c *call) try(l *link, q *query, next func(*call, result)) {
	c.attempt++
	c.answeredBy = next
	now := c.s.m.env.Now()
	if now >= c.deadline {
		next(c, result{fault: silent})
		return
	}
	q.c, q.attempt = c, c.attempt
	if f := l.send(q); f != fine {
		next(c, result{fault: f})
		return
	}
	c.flying = true
	bound := attemptTimeout
	if q.kind == consume {
		bound = consumeTimeout
	}
	c.sleepUntil(min(now.Add(bound), c.deadline))
}

// answered takes the answer to an attempt, unless it was given up.
func (c *call) answered(attempt int, r result) {
	if c.over || c.s.closed || !c.flying || attempt != c.attempt {
		return
	}
	c.flying = false
	c.answeredBy(c, r)
}

// pause waits before the next attempt, longer each time.
func (c *call) pause(p *pacer, next, late func(*call)) {
	now := c.s.m.env.Now()
	if now >= c.deadline {
		late(c)
		return
	}
	p.next = min(max(2*p.next, 4*time.Millisecond), 250*time.Millisecond)
	c.waiting, c.wokenBy, c.givenUpBy = true, next, late
	c.sleepUntil(min(now.Add(p.next), c.deadline))
}

type pacer struct{ next time.Duration }

// sleepUntil makes sure that the call is looked at no later than at an instant.
func (c *call) sleepUntil(at events.Instant) {
	c.wake = at
	s := c.s
	if s.alarm == 0 || at < s.alarm {
		s.alarm = at
		s.m.env.After(at.Sub(s.m.env.Now()), s.ring)
	}
}

// onAlarm wakes the calls whose time has come. An alarm that another one has overtaken finds nothing to do.
func (s *session) onAlarm() {
	now := s.m.env.Now()
	if s.closed || s.alarm == 0 || now < s.alarm {
		return
	}
	s.alarm = 0
	var due []*call
	var next events.Instant
	for _, c := range s.calls {
		switch {
		case !c.flying && !c.waiting:
		case c.wake <= now:
			due = append(due, c)
		case next == 0 || c.wake < next:
			next = c.wake
		}
	}
	if next != 0 {
		s.alarm = next
		s.m.env.After(next.Sub(now), s.ring)
	}
	for _, c := range due {
		c.woken(now)
	}
}

func (c *call) woken(now events.Instant) {
	switch {
	case c.over || c.s.closed || c.wake > now:
	case c.flying:
		c.flying = false
		c.answeredBy(c, result{fault: silent})
	case c.waiting:
		c.waiting = false
		if now >= c.deadline {
			c.givenUpBy(c)
		} else {
			c.wokenBy(c)
		}
	}
}

// Do performs one method of the adapter.
func (s *session) Do(r stores.Request, answer func(stores.Response)) {
	if s.closed {
		return
	}
	c := &call{s: s, r: r, answer: answer, deadline: r.Deadline, op: opNames[r.Op]}
	s.within = true
	defer func() { s.within = false }()
	s.begin(c)
	switch {
	case r.Op == stores.Prepare: // nothing to do: a lease is one message
		c.end(stores.Response{Outcome: events.Done})
	case s.m.env.Now() >= c.deadline:
		c.fail(failure{events.Failed, "its time was up before it began"})
	default:
		s.start(c)
	}
}

func (s *session) start(c *call) {
	switch r := &c.r; r.Op {
	case stores.Acquire:
		c.acquire()
	case stores.Renew, stores.Release, stores.HandOver:
		c.useLease()
	case stores.Put:
		c.l = &s.ops
		c.startWrite(message{key: r.Key, value: r.Value, token: s.m.token()}, condition{expect: r.Expect}, 0, (*call).putDone)
	case stores.Delete:
		c.l = &s.ops
		c.remove()
	case stores.PutMember:
		c.l = &s.ops
		c.putMember()
	case stores.Snapshot:
		c.l = &s.ops
		c.startRead((*call).snapshotDone)
	}
}

var opNames = [...]string{
	stores.Acquire: "acquire the lease", stores.Renew: "renew the lease", stores.Release: "release the lease",
	stores.HandOver: "hand over the lease", stores.Prepare: "prepare", stores.Put: "put", stores.Delete: "delete",
	stores.PutMember: "put member record", stores.Snapshot: "read snapshot",
}

// held is a lease of this member.
type held struct {
	epoch uint64
	token uint64
	last  record
}

// record is what is known of a message with a ttl that this session wrote.
type record struct {
	seq  uint64
	safe events.Instant // until when it cannot have expired; zero: not known
}

// expiryGuard is how long before the end of a record the servers are no longer trusted to be far from removing it.
const expiryGuard = 100 * time.Millisecond

func recordOf(w written, stored time.Duration) record {
	if w.sentAt == 0 {
		return record{seq: w.seq}
	}
	return record{w.seq, w.sentAt.Add(stored - expiryGuard)}
}

// wholeSeconds rounds up to the resolution of the servers, at least one second.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d+time.Second-1)/time.Second*time.Second, time.Second)
}

// storedTTL is how long a record lives in the store that is to live for ttl.
func (s *session) storedTTL(ttl time.Duration) time.Duration {
	if s.m.opt.ClockSkew > 0 {
		return wholeSeconds(ttl) + wholeSeconds(s.m.opt.ClockSkew)
	}
	return wholeSeconds(ttl)
}

// grant is the lease that a call won.
func grant(epoch uint64, sentAt events.Instant, ttl time.Duration) stores.Response {
	return stores.Response{Outcome: events.Done, Lease: backends.Lease{Epoch: epoch, SentAt: sentAt, TTL: wholeSeconds(ttl)}}
}
