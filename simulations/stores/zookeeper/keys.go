package zookeeper

import (
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// put writes a key (C8). A revision is the mzxid; ZooKeeper compares versions, which begin anew with every life
// of a node, so the version goes with that of the lives.
func (d *doing) put() {
	d.connect(func(c *conn) {
		switch {
		case d.r.Expect == events.Any:
			d.write(c, []op{{kind: opSet, path: d.r.Key, value: d.r.Value, version: anyVersion}}, func(r result) {
				if r.code == ok {
					d.finish(stores.Response{Outcome: events.Done, Revision: r.zxid})
					return
				}
				d.createKey(c)
			})
		case d.r.Expect == 0 && !d.sent:
			d.createKey(c)
		default:
			d.look(c, d.r.Key, func(v view) { d.putAt(c, v) })
		}
	})
}

func (d *doing) putAt(c *conn, v view) {
	switch {
	case d.r.Expect == 0 && v.n == nil:
		d.createKey(c)
	case d.r.Expect != 0 && v.n != nil && v.n.mzxid == uint64(d.r.Expect):
		d.write(c, []op{{kind: opCheck, path: keyLives, version: v.lives},
			{kind: opSet, path: d.r.Key, value: d.r.Value, version: v.n.version}}, func(r result) {
			switch {
			case r.code == ok:
				d.finish(stores.Response{Outcome: events.Done, Revision: r.zxid})
			case r.at == 0 && r.code == noNode:
				d.createLives(c)
			default:
				d.again()
			}
		})
	case !d.sure:
		d.again()
	default:
		d.refuse("the key is at another revision")
	}
}

func (d *doing) createKey(c *conn) {
	d.write(c, []op{{kind: opCreate, path: d.r.Key, value: d.r.Value}, {kind: opSet, path: keyLives, version: anyVersion}}, func(r result) {
		switch {
		case r.code == ok:
			d.finish(stores.Response{Outcome: events.Done, Revision: r.zxid})
		case r.code == noNode:
			d.createLives(c)
		case d.r.Expect == events.Any:
			d.again()
		default:
			d.refuse("the key exists")
		}
	})
}

// del deletes a key (C8).
func (d *doing) del() {
	d.connect(func(c *conn) {
		if d.r.Expect == events.Any {
			d.write(c, []op{{kind: opDelete, path: d.r.Key, version: anyVersion}}, func(result) {
				d.finish(stores.Response{Outcome: events.Done}) // that it was absent is as good
			})
			return
		}
		d.look(c, d.r.Key, func(v view) {
			switch {
			case v.n != nil && v.n.mzxid == uint64(d.r.Expect):
				d.write(c, []op{{kind: opCheck, path: keyLives, version: v.lives},
					{kind: opDelete, path: d.r.Key, version: v.n.version}}, func(r result) {
					switch {
					case r.code == ok:
						d.finish(stores.Response{Outcome: events.Done})
					case r.at == 0 && r.code == noNode:
						d.createLives(c)
					default:
						d.again()
					}
				})
			case !d.sure:
				d.again()
			default:
				d.refuse("the key is at another revision")
			}
		})
	})
}

// snapshot reads everything (C2): a barrier and the list of names, then one multiRead of the list and all nodes, which is
// atomic on its server (source: CommitProcessor.waitForEmptyPool). If the list has changed it begins again.
func (d *doing) snapshot() {
	d.connect(func(c *conn) {
		d.sure = true
		var names uint64
		d.read(c, func(t *tree) { names = t.names }, func() { d.readAll(c, names) })
	})
}

func (d *doing) readAll(c *conn, names uint64) {
	var snap events.DCSSnapshot
	same := false
	number := d.number
	c.read(func(t *tree) {
		if same = t.names == names; same {
			snap = events.DCSSnapshot{Revision: t.zxid, Term: t.zxid >> 32, Keys: t.keys()}
		}
		names = t.names
	}, func(r result) {
		switch {
		case d.done || d.a.closed || d.number != number:
		case r.code != ok:
			d.again()
		case !same:
			d.readAll(c, names)
		default:
			d.finish(stores.Response{Outcome: events.Done, Snapshot: snap})
		}
	})
}

// startRecord chooses the session of the member record: another ttl is another session.
func (d *doing) startRecord() {
	a := d.a
	timeout := a.m.negotiate(d.r.TTL)
	if a.record == nil || a.record.timeout != timeout {
		if a.record != nil {
			a.record.leave() // its session ends by itself, as its record may not be replaced soon
			a.record.over = true
		}
		a.record = a.lane(d.r.TTL)
	}
	d.lane, d.attempt = a.record, (*doing).putRecord
}

// putRecord writes the member record as an ephemeral of its session, or makes it one (C11).
func (d *doing) putRecord() {
	path := events.KeyMembers + d.a.member
	create := op{kind: opCreate, path: path, value: d.r.Value, ephemeral: true}
	d.fresh(func(c *conn, _ events.Instant) {
		d.write(c, []op{{kind: opSet, path: path, value: d.r.Value, version: anyVersion}}, func(r result) {
			switch {
			case r.code == noNode:
				d.write(c, []op{create}, d.recorded)
			case r.owner != d.lane.sid: // of the former process, or of an operator
				d.write(c, []op{{kind: opDelete, path: path, version: anyVersion}, create}, d.recorded)
			default:
				d.recorded(r)
			}
		})
	})
}

func (d *doing) recorded(r result) {
	if r.code != ok {
		d.again()
		return
	}
	d.finish(stores.Response{Outcome: events.Done})
}
