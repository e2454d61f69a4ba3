package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// Writing is a time in which a member's PostgreSQL accepted writes.
type Writing struct {
	Member   string          `json:"member"`
	Timeline events.Timeline `json:"timeline"`
	// May is from when it may have accepted writes: when it was told to, or else when it was first seen.
	May events.Instant `json:"may"`
	// First and Last bound the time in which it did for certain: from the end of the first look that showed it to the beginning of the last.
	First events.Instant `json:"first"`
	Last  events.Instant `json:"last"`
	// Until is when it had ceased at the latest, and How that is known.
	Until events.Instant `json:"until"`
	How   string         `json:"how"`
	// sampled is when the first look that showed it began.
	sampled events.Instant
	pid     int
	clock   int
	over    bool
}

// guardTime is what a guard may take to kill every process.
const guardTime = time.Second

// observed folds a look at PostgreSQL. One that began before the server ended shows nothing new.
func (t *Tracker) observed(m *watched, o *events.Observation) {
	if o.Running && (o.PID == m.exitPID || o.Sampled < m.ended) {
		return
	}
	m.pg = *o
	switch {
	case o.Running && o.Answering && !o.Server.InRecovery:
		t.writes(m, o)
	case !o.Running:
		t.closed(m, t.now, "it was seen not to run")
	case o.Answering:
		t.closed(m, t.now, "it was seen in recovery")
	}
}

// writes is a look at a server that accepts writes.
func (t *Tracker) writes(m *watched, o *events.Observation) {
	w := m.writing
	if w != nil && (w.over || w.pid != o.PID || w.Timeline > o.Server.Timeline) {
		w.cease(o.Sampled, "another server runs in its place")
		w = nil
	}
	if w == nil {
		w = &Writing{Member: m.Member, May: o.Sampled, First: t.now, sampled: o.Sampled, pid: o.PID, clock: m.Clock, Timeline: o.Server.Timeline}
		if m.order != 0 {
			w.May = min(w.May, m.order)
		}
		m.writing, m.late = w, false
		t.writings = append(t.writings, w)
		t.opens(m, w, o)
	}
	w.Last, w.Timeline = max(w.Last, o.Sampled), o.Server.Timeline
	paused := m.view.Config != nil && pauseOf(m.view.Config)
	if after := o.Sampled.Sub(m.armed); m.armed != 0 && after > guardTime && !paused && !m.late && m.config.GuardPolicy == "required" {
		m.late = true
		t.breaks("S1", fmt.Sprintf("%s accepts writes %s after the last deadline that its guard was told", m.Member, seconds(after)))
	}
}

// opens judges a server that accepts writes and did not before.
func (t *Tracker) opens(m *watched, w *Writing, o *events.Observation) {
	for _, x := range t.writings {
		switch {
		case x == w || t.restored:
		case w.Timeline != 0 && w.Timeline < x.Timeline && w.First.Sub(x.First) > t.doubt(x.clock, w.clock):
			t.breaks("S7", fmt.Sprintf("%s accepts writes on timeline %d, and %s did on %d", m.Member, w.Timeline, x.Member, x.Timeline))
			return
		}
	}
	if id := m.view.Initialize; id != nil && *id != "" && o.Control.SystemID != "" && *id != o.Control.SystemID {
		t.breaks("S7", fmt.Sprintf("%s accepts writes as system %s, and the cluster is %s", m.Member, o.Control.SystemID, *id))
	}
}

func (w *Writing) cease(at events.Instant, how string) {
	if !w.over {
		w.over, w.Until, w.How = true, at, how
	}
}

// closed is the end of a server that may have accepted writes.
func (t *Tracker) closed(m *watched, at events.Instant, how string) {
	if w := m.writing; w != nil && !w.over {
		if by := m.armed.Add(guardTime); m.armed != 0 && m.guard.Alive && by < at { // known before anybody looked
			at, how = max(by, w.Last), "by its guard's last deadline"
		}
		w.cease(at, how)
		if x := m.tenure; x.holds(at) {
			t.margin(MarginDown, x.until.Sub(at), 0, fmt.Sprintf("%s accepted no writes any more (%s) %%s before its lease would have ended", m.Member, how))
		}
	}
	m.writing, m.order = nil, 0
	m.ended = max(m.ended, at)
	m.pg.Running, m.pg.Answering = false, false
}

// writable tells whether, by all that its agent knew, the member's PostgreSQL accepts writes.
func (m *watched) writable() bool { return m.writing != nil && !m.writing.over && m.pg.Running }

// judgeWritings compares the times in which members accepted writes.
func (t *Tracker) judgeWritings() {
	for _, w := range t.writings {
		if w.over {
			continue
		}
		w.Until, w.How = max(w.Last, t.now), "the record ends before"
		if m := t.member(w.Member); m.armed != 0 && m.armed.Add(guardTime) < w.Until {
			w.Until, w.How = max(w.Last, m.armed.Add(guardTime)), "by its guard's last deadline"
		}
	}
	ordered := slices.Clone(t.writings)
	slices.SortStableFunc(ordered, func(a, b *Writing) int { return cmp.Compare(a.First, b.First) })
	for i, b := range ordered {
		for j := i - 1; j >= 0; j-- {
			a := ordered[j]
			if a.Member == b.Member {
				continue
			}
			doubt := t.doubt(a.clock, b.clock)
			if a.Last.Sub(b.First) > doubt && (b.Last >= b.First || a.First <= b.sampled) {
				t.breachAt(b.First, "S1", fmt.Sprintf("%s and %s accepted writes at once, for at least %s%s",
					a.Member, b.Member, seconds(max(min(a.Last, b.Last).Sub(b.First), 0)), plusMinus(doubt)))
			}
		}
		if i > 0 && ordered[i-1].Member != b.Member {
			t.apart(ordered[i-1], b)
		}
	}
}

// apart tells how far one writer was from the next.
func (t *Tracker) apart(a, b *Writing) {
	doubt := t.doubt(a.clock, b.clock)
	text := fmt.Sprintf("%s was last seen accepting writes %%s before %s was told to", a.Member, b.Member)
	switch down := b.May.Sub(a.Until); {
	case down >= 0:
		text += fmt.Sprintf("; it had ceased %s before (%s)", seconds(down), a.How)
	default:
		text += fmt.Sprintf("; that it had ceased was known only %s after (%s)", seconds(-down), a.How)
	}
	t.marginAt(b.May, MarginWriters, b.May.Sub(a.Last), doubt, text)
}
