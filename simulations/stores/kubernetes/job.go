package kubernetes

import (
	"net/http"
	"strconv"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// job is one write on its way: read if needed, decide, write under the resourceVersion that was decided on, and
// after any doubt read again.
type job struct {
	s      *session
	r      stores.Request
	answer func(stores.Response)
	obj    int
	by     token
	sweep  bool // removes what is over

	v         *version
	fresh     bool // v was read with quorum since this job began
	uncertain bool // an attempt may have been, or may yet be, applied
	base      *version
	sentAt    events.Instant
	denied    int
}

func (j *job) begin() {
	s := j.s
	switch {
	case j.r.Op == stores.PutMember:
		j.patch()
	case j.obj < len(s.read) && s.read[j.obj]:
		j.v = s.known[j.obj]
		j.decide()
	default:
		j.get()
	}
}

func (j *job) finish(o events.Outcome, why string) {
	p := stores.Response{Outcome: o}
	if o != events.Done {
		p.Error = "kubernetes: " + why
		if j.uncertain && o != events.Lost {
			p.Outcome = events.Unknown
		}
	}
	j.answer(p)
}

// get reads the object with quorum.
func (j *job) get() {
	j.s.ask(call{verb: verbGet, obj: j.obj}, j.s.share(j.r.Deadline), func(r reply) {
		if r.code != http.StatusOK && r.code != http.StatusNotFound {
			j.again(r)
			return
		}
		j.v, j.fresh = r.v, true
		j.s.learn(j.obj, r.v)
		if j.uncertain && j.settle() {
			return
		}
		j.decide()
	})
}

// settle looks, after an attempt of unknown outcome, what became of it. It tells whether the job is done.
func (j *job) settle() bool {
	if j.applied() {
		j.won(j.v)
		return true
	}
	if j.v == j.base {
		return false // it may still come; the same resourceVersion lets only one attempt through
	}
	j.sentAt = 0
	key := j.key()
	now, was := j.v.get(key), j.base.get(key)
	if j.r.Op == stores.Renew && now != nil && now.by == j.s.held.by {
		j.uncertain = false
		return false
	}
	gone := now == nil && was == nil && j.r.Op == stores.Put // it may have been written by this job, and deleted by another
	if !gone && (now == nil) == (was == nil) && (now == nil || now.by == was.by && now.value == was.value) {
		j.uncertain = false // another write was first, so this one was refused and always will be
		return false
	}
	switch {
	case j.r.Op == stores.Renew:
		j.finish(events.Lost, "renew: the lease is another's")
	case j.r.Op == stores.Delete && now == nil && j.r.Expect == events.Any:
		j.finish(events.Done, "")
	default:
		j.finish(events.Unknown, "the key was written by others since an attempt without an answer")
	}
	return true
}

func (j *job) key() string {
	switch j.r.Op {
	case stores.Put, stores.Delete:
		return j.r.Key
	}
	return events.KeyLeader
}

// applied tells that the object bears this job's mark.
func (j *job) applied() bool {
	if j.v == nil {
		return false
	}
	if j.v.by == j.by {
		return true
	}
	if j.r.Op == stores.Renew {
		e := j.v.holder()
		return j.v.lease.stamp == j.by && e != nil && e.by == j.s.held.by
	}
	e := j.v.get(j.key())
	return e != nil && e.by == j.by
}

// again goes on after an answer that is none.
func (j *job) again(r reply) {
	if r.code == http.StatusForbidden || r.code == http.StatusUnauthorized {
		if j.denied++; j.denied >= len(j.s.m.servers) {
			j.finish(events.Denied, "denied by the API server")
			return
		}
	}
	j.s.pause(r, j.r.Deadline, func(over bool) {
		switch {
		case over:
			j.finish(events.Failed, "no answer by the deadline")
		case j.r.Op == stores.PutMember:
			j.patch()
		default:
			j.get()
		}
	})
}

// refuse is a condition that does not hold: for sure only on an object that was read now.
func (j *job) refuse(why string) {
	if j.fresh {
		j.finish(events.Lost, why)
		return
	}
	j.get()
}

// put writes n over v.
func (j *job) put(n *version) {
	s, now := j.s, j.s.m.env.Now()
	if now >= j.r.Deadline {
		j.finish(events.Failed, "no answer by the deadline")
		return
	}
	if !j.uncertain || j.sentAt == 0 {
		j.sentAt = now
	}
	j.base = j.v
	c := call{verb: verbUpdate, obj: j.obj, body: n}
	if j.v != nil {
		c.rv = j.v.rv
	} else {
		n.rv = 0
	}
	s.ask(c, s.share(j.r.Deadline), func(r reply) {
		switch r.code {
		case http.StatusOK:
			s.learn(j.obj, r.v)
			j.won(r.v)
		case http.StatusConflict, http.StatusNotFound:
			j.get()
		case http.StatusUnprocessableEntity:
			j.finish(events.Failed, "refused as invalid: 422")
		case codeBroken, codeSilent, http.StatusInternalServerError:
			j.uncertain = true
			j.again(r)
		default:
			j.again(r)
		}
	})
}

// won answers a write that is in the object v.
func (j *job) won(v *version) {
	p := stores.Response{Outcome: events.Done}
	s := j.s
	switch j.r.Op {
	case stores.Acquire:
		e := v.get(events.KeyLeader)
		if e == nil || e.by != j.by {
			j.uncertain = true
			j.finish(events.Unknown, "acquire: the lease was won and lost again")
			return
		}
		s.held = held{v.revision(e), j.by}
		p.Lease.Epoch, p.Lease.SentAt, p.Lease.TTL = s.held.epoch, j.sentAt, whole(j.r.TTL)
	case stores.Renew:
		p.Lease.Epoch, p.Lease.SentAt, p.Lease.TTL = s.held.epoch, j.sentAt, whole(j.r.TTL)
	case stores.Release, stores.HandOver:
		s.held = held{}
	case stores.Put:
		if e := v.get(j.r.Key); e != nil {
			p.Revision = v.revision(e)
		}
	}
	j.answer(p)
}

// patch writes the member's own record, without a condition: nobody else's writes are of any interest.
func (j *job) patch() {
	s := j.s
	b := &version{obj: j.obj, by: j.by, ttl: whole(j.r.TTL), written: s.wall()}
	b.set(events.KeyMembers+s.member, j.r.Value, j.by)
	s.ask(call{verb: verbPatch, obj: j.obj, body: b}, s.share(j.r.Deadline), func(r reply) {
		switch r.code {
		case http.StatusOK:
			s.learn(j.obj, r.v)
			j.answer(stores.Response{Outcome: events.Done})
		case codeBroken, codeSilent, http.StatusInternalServerError:
			j.uncertain = true
			j.again(r)
		default:
			j.again(r)
		}
	})
}

// decide looks at the object and writes, or says why not.
func (j *job) decide() {
	switch {
	case j.sweep:
		j.decideSweep()
	case j.r.Op == stores.Acquire:
		j.decideAcquire()
	case j.r.Op == stores.Renew, j.r.Op == stores.Release, j.r.Op == stores.HandOver:
		j.decideHeld()
	default:
		j.decideKey()
	}
}

func (j *job) decideSweep() {
	if !j.s.over(j.v) {
		j.finish(events.Lost, "not over")
		return
	}
	n := j.v.next(j.obj, j.by)
	n.remove(j.v.subject().key)
	j.put(n)
}

func (j *job) decideAcquire() {
	s := j.s
	h := j.v.holder()
	if h != nil && s.over(j.v) {
		h = nil
	}
	switch {
	case j.r.Expect == 0 && h != nil:
		j.refuse("acquire: held by " + h.value)
		return
	case j.r.Expect != 0 && (h == nil || h.value != s.member || !s.isAt(j.v, h, j.r.Expect)):
		j.refuse("acquire: the leader key is not at that revision, or not this member's")
		return
	}
	j.take(s.member)
}

// take writes a new lease.
func (j *job) take(holder string) {
	n := j.v.next(j.obj, j.by)
	n.set(events.KeyLeader, holder, j.by)
	n.lease = lease{stamp: j.by, ttl: whole(j.r.TTL), transitions: n.lease.transitions + 1}
	j.put(n)
}

func (j *job) decideHeld() {
	h := j.v.holder()
	if h == nil || h.value != j.s.member || h.by != j.s.held.by {
		j.refuse("the leader key is not this member's lease of epoch " + strconv.FormatUint(j.r.Epoch, 10))
		return
	}
	switch j.r.Op {
	case stores.HandOver:
		j.take(j.r.To)
		return
	case stores.Release:
		n := j.v.next(j.obj, j.by)
		n.remove(events.KeyLeader)
		j.put(n)
		return
	}
	n := j.v.next(j.obj, j.by)
	e := n.get(events.KeyLeader)
	e.rev = j.s.held.epoch
	n.lease.stamp, n.lease.ttl = j.by, whole(j.r.TTL)
	j.put(n)
}

// isAt tells whether a key is at a revision, by the object's own record or as it was told to this agent.
func (s *session) isAt(v *version, e *entry, expect int64) bool {
	return int64(v.revision(e)) == expect || int64(s.shown(v, e)) == expect
}

func (j *job) decideKey() {
	e := j.v.get(j.r.Key)
	gone := e == nil || e.key == events.KeyLeader && e.value == ""
	if j.r.Expect != events.Any {
		if gone != (j.r.Expect == 0) || !gone && !j.s.isAt(j.v, e, j.r.Expect) {
			j.refuse("the key is not at revision " + strconv.FormatInt(j.r.Expect, 10))
			return
		}
	}
	if j.r.Op == stores.Delete && gone {
		if !j.fresh {
			j.get()
			return
		}
		j.finish(events.Done, "")
		return
	}
	n := j.v.next(j.obj, j.by)
	if j.r.Op == stores.Delete {
		n.remove(j.r.Key)
	} else {
		n.set(j.r.Key, j.r.Value, j.by)
		if j.r.Key == events.KeyLeader {
			n.lease.stamp = j.by
		}
	}
	j.put(n)
}

// sweepPatience bounds one attempt to remove what is over.
const sweepPatience = 2 * time.Second
