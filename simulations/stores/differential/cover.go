package differential

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// Coverage counts, by kind, how often something succeeded and failed.
type Coverage map[string]*[2]int

const leaseEnds, memberEnds, together = "the end of a lease is waited for", "the end of a member record is waited for", "calls at one time"

// kinds are what must have succeeded and failed; waiting and simultaneous calls must have been there.
func kinds() (both, once []string) {
	for op := stores.Acquire; op <= stores.Snapshot; op++ {
		c := Call{Op: op}
		switch op {
		case stores.Acquire:
			both = append(both, (&Call{Op: op, Expect: Absent}).Kind(), c.Kind())
		case stores.Put, stores.Delete:
			both = append(both, (&Call{Op: op, Expect: Any}).Kind(), (&Call{Op: op, Expect: Absent}).Kind(), c.Kind())
		default:
			both = append(both, c.Kind())
		}
	}
	return both, []string{leaseEnds, memberEnds, together}
}

// Add counts a history.
func (c Coverage) Add(h *History) {
	count := func(kind string, failed int) {
		if c[kind] == nil {
			c[kind] = &[2]int{}
		}
		c[kind][failed]++
	}
	for i := range h.Steps {
		s := &h.Steps[i]
		switch {
		case s.Call == nil && s.Gone == events.KeyLeader:
			count(leaseEnds, 0)
		case s.Call == nil:
			count(memberEnds, 0)
		case s.Answer.Outcome == events.Done:
			count(s.Call.Kind(), 0)
		default:
			count(s.Call.Kind(), 1)
		}
		if s.Together {
			count(together, 0)
		}
	}
}

// Missing are the kinds that have not succeeded, or not failed, but for those that cannot fail.
func (c Coverage) Missing(cannotFail ...string) []string {
	both, once := kinds()
	var missing []string
	for _, k := range both {
		n := c[k]
		if n == nil {
			n = &[2]int{}
		}
		if n[0] == 0 && k != (&Call{Op: stores.Delete, Expect: Absent}).Kind() { // stores differ in whether there is anything to do
			missing = append(missing, k+" has not succeeded")
		}
		if n[1] == 0 && !slices.Contains(cannotFail, k) {
			missing = append(missing, k+" has not failed")
		}
	}
	for _, k := range once {
		if c[k] == nil {
			missing = append(missing, k+": never")
		}
	}
	return missing
}

// String is a table of what was counted.
func (c Coverage) String() string {
	both, once := kinds()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, k := range slices.Concat(both, once) {
		n := c[k]
		if n == nil {
			n = &[2]int{}
		}
		_, _ = fmt.Fprintf(w, "%s\t%d done\t%d not\n", k, n[0], n[1]) // a strings.Builder has no errors
	}
	_ = w.Flush()
	return b.String()
}
