package etcd

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// record is what was last written to this member's record.
type record struct {
	lease int64
	secs  int64
	rev   int64
	value string
}

const mostMemberAttempts = 5

// memberPut is one call of PutMember; source: backends/etcd/member.go.
type memberPut struct {
	c     *session
	r     stores.Request
	reply func(stores.Response)
	key   string
	was   record
	now   record

	alive, written bool
	rounds         int
}

func (c *session) putMember(r stores.Request, reply func(stores.Response)) {
	p := &memberPut{c: c, r: r, reply: reply, key: events.KeyMembers + c.member, was: c.record, now: c.record}
	secs := seconds(r.TTL)
	if p.now.lease == 0 || p.now.secs != secs {
		p.round()
		return
	}
	var ttl int64
	c.try(r.Deadline, repeating, func(a *attempt) {
		a.call(ask{kind: keepAlive, lease: p.now.lease}, func(got *answer) {
			ttl = got.ttl
			a.end(got.err)
		})
	}, func(o outcome) {
		if !o.ok() {
			p.done(o)
			return
		}
		p.alive = ttl > 0
		p.written = p.alive && p.now.rev != 0 && p.now.value == r.Value
		p.round()
	})
}

// round grants a lease where there is none and then checks the record or writes it.
func (p *memberPut) round() {
	if p.rounds++; p.rounds > mostMemberAttempts {
		p.done(outcome{events.Failed, rivalled})
		return
	}
	if p.alive {
		p.step()
		return
	}
	secs := seconds(p.r.TTL)
	p.c.grant(p.r.Deadline, secs, func(o outcome, g granted) {
		if !o.ok() {
			p.done(o.harmless())
			return
		}
		p.now.lease, p.now.secs, p.alive, p.written = g.id, secs, true, false
		p.step()
	})
}

func (p *memberPut) step() {
	done := false
	q := ask{kind: txn, key: p.key, value: p.r.Value, lease: p.now.lease, cond: atMod, mod: p.now.rev}
	if p.written {
		q = ask{kind: getKey, key: p.key}
	}
	checking := p.written
	p.written = false
	p.c.try(p.r.Deadline, repeating, func(a *attempt) {
		a.call(q, func(got *answer) {
			if a.failed(got) {
				return
			}
			k := &got.kv
			switch {
			case !checking && got.ok:
				p.now.rev, p.now.value, done = got.rev, p.r.Value, true
			case !got.has:
				p.now.rev = 0
			case checking && k.mod == p.now.rev && k.lease == p.now.lease:
				done = true
			case !checking && k.lease == p.now.lease && k.value == p.r.Value: // by an earlier attempt
				p.now.rev, p.now.value, done = k.mod, p.r.Value, true
			default:
				p.now.rev = k.mod
			}
			a.end(nil)
		})
	}, func(o outcome) {
		switch {
		case o.fault == noLease:
			p.alive = false
			p.round()
		case !o.ok() || done:
			p.done(o)
		default:
			p.round()
		}
	})
}

func (p *memberPut) done(o outcome) {
	c := p.c
	c.record = p.now // also after a failure: the lease it names may be in use
	if o.ok() && p.was.lease != 0 && p.was.lease != p.now.lease {
		c.revokeLater(p.was.lease)
	}
	p.reply(o.response())
}
