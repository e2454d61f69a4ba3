package simulations

import (
	"fmt"
	"strings"

	"github.com/regent-ha/regent/events"
)

// entry is a step of a lifecycle, or something that happened to the world. It becomes a line only when somebody asks.
type entry struct {
	at       events.Instant
	member   string // empty: text says it all
	from, to events.LifecycleState
	fired    []events.Fired
	text     string
}

// traceSize is how many entries are kept, the newest.
const traceSize = 1 << 14

// trace is what happened last.
type trace struct {
	ring []entry
	next int // where the oldest is, once the ring is full
}

func (t *trace) add(e entry) {
	if len(t.ring) < traceSize {
		t.ring = append(t.ring, e)
		return
	}
	t.ring[t.next] = e
	t.next = (t.next + 1) % traceSize
}

// Trace is a line for each of the last steps of lifecycles and things that happened, at most n.
func (w *World) Trace(n int) []string {
	t := &w.trace
	lines := make([]string, 0, min(n, len(t.ring)))
	for i := max(0, len(t.ring)-n); i < len(t.ring); i++ {
		lines = append(lines, t.ring[(t.next+i)%len(t.ring)].line())
	}
	return lines
}

func (e *entry) line() string {
	at := clock(e.at)
	if e.member == "" {
		return at + " *** " + e.text
	}
	return fmt.Sprintf("%s %-3s %-13s -> %-13s %s", at, e.member, e.from, e.to, lastLifecycle(e.fired))
}

// lastLifecycle tells the rows that acted.
func lastLifecycle(fired []events.Fired) string {
	var b strings.Builder
	for _, f := range fired {
		if strings.HasPrefix(string(f.Rule), "PU") || strings.HasPrefix(string(f.Rule), "LE") {
			continue
		}
		fmt.Fprintf(&b, "%s %s; ", f.Rule, f.Why)
	}
	return strings.TrimSuffix(b.String(), "; ")
}
