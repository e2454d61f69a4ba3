package simulations

import (
	"encoding/json"
	"time"

	"github.com/regent-ha/regent/events"
)

// operators is what persons did to the cluster, as far as judges must know it: what is right by order is wrong without one.
type operators struct {
	w         *World
	orders    map[string]events.Instant // per member and verb
	moved     events.Instant            // the last request for a switchover or failover
	candidate string                    // of that request
	failovers []failoverOrder
	paused    bool
}

// failoverOrder is a request to fail over to a member.
type failoverOrder struct {
	to    string
	value string         // as it was written
	until events.Instant // when it was replaced, zero while it stands
}

// Put writes a key as an operator's tool would.
func (w *World) Put(key, value string) {
	switch key {
	case events.KeyConfig:
		w.operators.config(value)
	case events.KeyFailover:
		w.operators.failover(value)
	}
	w.store.Edit(key, value, false)
}

// Remove deletes a key as an operator's tool would.
func (w *World) Remove(key string) { w.store.Edit(key, "", true) }

// Ask gives an operator's order.
func (m *Member) Ask(r events.OperatorRequest) {
	m.w.operators.orders[m.name+" "+string(r.Verb)] = m.w.Now()
	m.post(events.OperatorAsked{Request: r})
}

// config notes whether the cluster is to be paused. A document that cannot be read changes nothing.
func (o *operators) config(doc string) {
	var d struct {
		Pause bool `json:"pause"`
	}
	if json.Unmarshal([]byte(doc), &d) == nil {
		o.paused = d.Pause
	}
}

// failover notes what the failover key asks for now.
func (o *operators) failover(value string) {
	var f struct{ Leader, Member string }
	if json.Unmarshal([]byte(value), &f) != nil {
		return
	}
	for i := range o.failovers {
		if o.failovers[i].until == 0 {
			o.replaced(i)
		}
	}
	if f.Leader != "" || f.Member != "" {
		o.moved, o.candidate = o.w.Now(), f.Member
	}
	if f.Leader == "" && f.Member != "" {
		o.failovers = append(o.failovers, failoverOrder{to: f.Member, value: value})
	}
}

// replaced notes when an order has gone from the store: one without a majority takes the next one later than it was given.
func (o *operators) replaced(i int) {
	o.w.after(time.Millisecond, func() {
		if kv, there := o.w.Key(events.KeyFailover); there && kv.Value == o.failovers[i].value {
			o.w.after(100*time.Millisecond, func() { o.replaced(i) })
			return
		}
		if o.failovers[i].until == 0 {
			o.failovers[i].until = o.w.Now()
		}
	})
}

// failoverTo tells that an operator's order to fail over to this member stands, or stood until a moment ago: only a person may give up a
// timeline.
func (o *operators) failoverTo(m *Member) bool {
	for _, f := range o.failovers {
		if f.to == m.name && (f.until == 0 || o.w.Now().Sub(f.until) < 3*time.Second) {
			return true
		}
	}
	return false
}

// named tells that an operator has named this member as the next leader, not too long ago.
func (o *operators) named(m *Member) bool {
	return o.candidate == m.name && o.w.Now().Sub(o.moved) < 2*time.Minute
}

// ordered tells that an operator has asked a member for something, not too long ago.
func (o *operators) ordered(m *Member, verb events.OperatorVerb) bool {
	at, ok := o.orders[m.name+" "+string(verb)]
	return ok && o.w.Now().Sub(at) < 2*time.Minute
}
