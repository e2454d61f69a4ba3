package differential

import (
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Ref names a revision without its number: its place among those that answers have shown, or one of the constants.
type Ref int

// The revisions that no answer shows.
const (
	Absent Ref = -1 - iota // zero
	Any                    // no condition
	Future                 // greater than all
)

func (r Ref) String() string {
	switch r {
	case Absent:
		return "absent"
	case Any:
		return "any"
	case Future:
		return "future"
	}
	return fmt.Sprintf("r%d", int(r))
}

// Call is one call of a method of backends.Store.
type Call struct {
	Member     int
	Op         stores.Op
	Key, Value string
	// Expect is the condition, Epoch that of Renew, Release and HandOver.
	Expect, Epoch Ref
	To            string
	TTL           time.Duration
	// Over tells that ctx has ended when the call begins.
	Over bool
}

var opNames = [...]string{"acquire", "renew", "release", "hand over", "prepare", "put", "delete", "put member", "snapshot"}

// Kind is what the rule of coverage counts: the operation, and the kind of its condition.
func (c *Call) Kind() string {
	switch c.Op {
	case stores.Acquire, stores.Put, stores.Delete:
		switch c.Expect {
		case Any:
			return opNames[c.Op] + " any"
		case Absent:
			return opNames[c.Op] + " absent"
		}
		return opNames[c.Op] + " at a revision"
	}
	return opNames[c.Op]
}

func (c *Call) String() string {
	w := []string{memberName(c.Member), opNames[c.Op]}
	switch c.Op {
	case stores.Acquire:
		w = append(w, c.Expect.String())
	case stores.Put, stores.Delete:
		w = append(w, c.Key, c.Expect.String())
	case stores.Renew, stores.Release, stores.HandOver:
		w = append(w, c.Epoch.String())
	}
	if c.To != "" {
		w = append(w, "to", c.To)
	}
	if c.Value != "" {
		w = append(w, c.Value)
	}
	if c.TTL != 0 {
		w = append(w, c.TTL.String())
	}
	if c.Over {
		w = append(w, "(too late)")
	}
	return strings.Join(w, " ")
}

const members = 2

func memberName(i int) string { return fmt.Sprintf("m%d", i+1) }

// request is the call for a model.
func (c *Call) request(revision func(Ref) uint64, deadline events.Instant) stores.Request {
	r := stores.Request{Op: c.Op, Key: c.Key, Value: c.Value, To: c.To, TTL: c.TTL, Epoch: revision(c.Epoch), Deadline: deadline}
	r.Expect = expect(c.Expect, revision)
	return r
}

func expect(r Ref, revision func(Ref) uint64) int64 {
	if r == Any {
		return events.Any
	}
	return int64(revision(r))
}
