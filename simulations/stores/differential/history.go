package differential

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Step is one thing that was done: a call, or waiting until a member's watch tells that a key went. Times count from the
// begin of the history.
type Step struct {
	Call *Call
	// Gone is the key that was waited for, by Member; it is the Nth end of that key that the watch of Member told.
	Gone        string
	Member, Nth int

	At, End time.Duration
	Answer  Answer
	// Together tells that the step began while the one before had no answer yet.
	Together bool
}

// Answer is what a call returned.
type Answer struct {
	Outcome  events.Outcome
	Revision uint64 // Put's, or the epoch
	TTL      time.Duration
	Prepared bool // the lease is dated from before the call
	Keys     []events.KeyValue
	At       uint64 // the snapshot's own revision
	Error    string
}

// Told is what a watch was told, one change after the other, since its first snapshot.
type Told struct {
	Changes []Change
	// Again tells that there was a further snapshot: what was between is unknown.
	Again bool
}

// Change is one change, and when it was told.
type Change struct {
	events.KeyValue
	Deleted bool
	At      time.Duration
}

func (c Change) String() string {
	if c.Deleted {
		return fmt.Sprintf("the end of %s@%d", c.Key, c.Revision)
	}
	return fmt.Sprintf("%s=%s@%d", c.Key, c.Value, c.Revision)
}

func (c Change) sameKey(o Change) bool { return c.Key == o.Key }

// same tells whether both say the same but for numbers.
func (c Change) same(o Change) bool {
	return c.Key == o.Key && c.Deleted == o.Deleted && (c.Deleted || c.Value == o.Value)
}

// History is what happened.
type History struct {
	Seed  uint64
	Kind  string
	Steps []Step
	Told  [members]Told
	// Hurt tells that servers were killed or frozen meanwhile.
	Hurt bool
	// Faults are when something was done to them.
	Faults []time.Duration
}

// learned are the revisions that a step's answer shows, in the order of the references to them.
func (s *Step) learned() []uint64 {
	if s.Call == nil || s.Answer.Outcome != events.Done {
		return nil
	}
	switch s.Call.Op {
	case stores.Acquire, stores.Put:
		return []uint64{s.Answer.Revision}
	case stores.Snapshot:
		var all []uint64
		for _, kv := range s.Answer.Keys {
			all = append(all, kv.Revision)
		}
		return all
	}
	return nil
}

func outcomeOf(err error) events.Outcome { return backends.Classify(err) }

func byKey(keys []events.KeyValue) []events.KeyValue {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b events.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return keys
}

// Print writes the first steps in columns, for people.
func (h *History) Print(steps int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	refs := 0
	for i := range h.Steps[:min(steps, len(h.Steps))] {
		s := &h.Steps[i]
		begin := "  "
		if s.Together {
			begin = "| "
		}
		what, got := "", ""
		if s.Call == nil {
			what = fmt.Sprintf("%s is told the end of %s", memberName(s.Member), s.Gone)
			got = fmt.Sprintf("after %v", (s.End - s.At).Round(time.Millisecond))
		} else {
			what, got = s.Call.String(), s.Answer.describe(s.Call.Op, refs)
		}
		refs += len(s.learned())
		// tabwriter keeps the first error; a strings.Builder has none
		_, _ = fmt.Fprintf(w, "%s%.3fs\t%.3fs\t%s\t%s\n", begin, s.At.Seconds(), s.End.Seconds(), what, got)
	}
	_ = w.Flush()
	return b.String()
}

func (a *Answer) describe(op stores.Op, ref int) string {
	w := []string{string(a.Outcome)}
	switch {
	case a.Outcome != events.Done:
		w = append(w, a.Error)
	case op == stores.Snapshot:
		for i, kv := range a.Keys {
			w = append(w, fmt.Sprintf("%s=%s@r%d(%d)", kv.Key, kv.Value, ref+i, kv.Revision))
		}
	case op == stores.Put:
		w = append(w, fmt.Sprintf("r%d(%d)", ref, a.Revision))
	case op == stores.Acquire:
		w = append(w, fmt.Sprintf("epoch r%d(%d), %v", ref, a.Revision, a.TTL))
		if a.Prepared {
			w = append(w, "prepared")
		}
	case op == stores.Renew:
		w = append(w, a.TTL.String())
	}
	return strings.Join(w, " ")
}
