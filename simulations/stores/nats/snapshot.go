package nats

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// readKeyTTL is how long a member's =read key outlives its last read.
const readKeyTTL = time.Hour

// read is Store.read: a write of the member's own =read key, and then the directory in sequence order until nothing
// is left and something not older than that write was seen. The real one asks for message after message; here what is
// newer comes at once, which shows the same, as a key that changes meanwhile moves to the end.
type read struct {
	since    uint64
	revision uint64
	found    []entry
	t        tally
	pace     pacer
	done     func(*call, failure)
}

// find is a key's last message as the read showed it.
func (d *read) find(key string) stored {
	for i := range d.found {
		if d.found[i].key == key {
			return d.found[i].stored
		}
	}
	return stored{}
}

// startRead reads the directory on the call's connection.
func (c *call) startRead(done func(*call, failure)) {
	c.read = read{done: done}
	c.probeRead()
}

func (c *call) probeRead() {
	m := message{key: c.s.probe, ttl: readKeyTTL, token: c.s.m.token()}
	c.try(c.l, &query{kind: publish, message: m, expect: always}, (*call).probed)
}

func (c *call) probed(r result) {
	if r.fault != fine {
		if !c.read.t.addRead(r.fault) {
			c.readGivenUp()
			return
		}
		c.pause(&c.read.pace, (*call).probeRead, (*call).readGivenUp)
		return
	}
	c.read.since = r.seq
	c.readOn()
}

func (c *call) readOn() {
	c.try(c.l, &query{kind: batch, from: c.read.revision}, (*call).readMore)
}

func (c *call) readMore(r result) {
	d := &c.read
	switch {
	case r.fault == fine && len(r.batch) > 0:
		d.take(r.batch)
		c.readOn()
		return
	case r.fault == fine && d.revision >= d.since:
		c.s.saw(d.revision)
		d.done(c, failure{})
		return
	case !d.t.addRead(r.fault): // a server that lags counts as a failed read
		c.readGivenUp()
		return
	}
	c.pause(&d.pace, (*call).readOn, (*call).readGivenUp)
}

func (d *read) take(batch []entry) {
	d.found = slices.Grow(d.found, len(batch))
	for _, e := range batch {
		if i := slices.IndexFunc(d.found, func(o entry) bool { return o.key == e.key }); i >= 0 {
			d.found[i] = e
		} else {
			d.found = append(d.found, e)
		}
	}
	d.revision = batch[len(batch)-1].seq
}

func (c *call) readGivenUp() { c.read.done(c, c.read.t.outcome()) }

// snapshot is the directory of a read.
func (d *read) snapshot() events.DCSSnapshot {
	snap := events.DCSSnapshot{Revision: d.revision, Keys: make([]events.KeyValue, 0, len(d.found))}
	for i := range d.found {
		if e := &d.found[i]; e.live && isDirectory(e.key) {
			snap.Keys = append(snap.Keys, events.KeyValue{Key: e.key, Value: e.value, Revision: e.seq})
		}
	}
	slices.SortFunc(snap.Keys, func(a, b events.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return snap
}

func (c *call) snapshotDone(f failure) {
	if f.class != "" {
		c.fail(f)
		return
	}
	c.end(stores.Response{Outcome: events.Done, Snapshot: c.read.snapshot()})
}
