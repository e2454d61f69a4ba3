package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// Tenure is a member's hold of the leader lease, by its own count.
type Tenure struct {
	Member string `json:"member"`
	Epoch  uint64 `json:"epoch"`
	// Began is when the member learned that it had won.
	Began events.Instant `json:"began"`
	// Ended is when the member ceased to act on it: it gave it away, learned that it was lost, or its time was over.
	Ended events.Instant `json:"ended"`
	How   string         `json:"how"`
	until events.Instant // sent + ttl of the last renewal
	over  bool
	clock int
}

func (x *Tenure) open() bool { return x != nil && !x.over }

func (x *Tenure) holds(at events.Instant) bool { return x.open() && at < x.until }

// end ends the tenure, if its time was not over before.
func (x *Tenure) end(at events.Instant, how string) {
	if !x.open() {
		return
	}
	x.over = true
	if at < x.until {
		x.Ended, x.How = at, how
	} else {
		x.Ended, x.How = x.until, "its time was over"
	}
}

func (t *Tracker) lease(m *watched, f *events.LeaseOutcome) {
	switch {
	case f.Op == events.LeaseAcquire && f.Outcome == events.Done:
		if t.now >= f.SentAt.Add(f.TTL) {
			return
		}
		m.tenure.end(t.now, "won anew")
		m.tenure = &Tenure{Member: m.Member, Epoch: f.Epoch, Began: t.now, until: f.SentAt.Add(f.TTL), clock: m.Clock}
		t.tenures = append(t.tenures, m.tenure)
	case f.Op != events.LeaseRenew || !m.tenure.holds(t.now):
	case f.Outcome == events.Done && (f.Epoch == 0 || f.Epoch == m.tenure.Epoch):
		t.margin(MarginRenewal, m.tenure.until.Sub(t.now), 0, fmt.Sprintf("%s renewed its lease with %%s left", m.Member))
		m.tenure.until = f.SentAt.Add(f.TTL)
	case f.Outcome == events.Lost:
		m.tenure.end(t.now, "the store said that it was lost")
	}
}

// judgeTenures compares every tenure with those of other members, and tells how far apart they were.
func (t *Tracker) judgeTenures() {
	for _, x := range t.tenures {
		if x.open() {
			x.Ended, x.How = x.until, "its time was over, or the record ends before"
		}
	}
	ordered := slices.Clone(t.tenures)
	slices.SortStableFunc(ordered, func(a, b *Tenure) int { return cmp.Compare(a.Began, b.Began) })
	for i, b := range ordered {
		var last *Tenure // of another member, that ended last
		for _, a := range ordered[:i] {
			if a.Member != b.Member && (last == nil || a.Ended > last.Ended) {
				last = a
			}
		}
		if last != nil {
			t.between(last, b, i > 0 && ordered[i-1].Member != b.Member)
		}
		if i > 0 && !t.restored && b.Epoch <= ordered[i-1].Epoch && b.Began.Sub(ordered[i-1].Began) > t.doubt(ordered[i-1].clock, b.clock) {
			t.breachAt(b.Began, "S4", fmt.Sprintf("%s wins the lease with epoch %d, and %s held it with epoch %d before",
				b.Member, b.Epoch, ordered[i-1].Member, ordered[i-1].Epoch))
		}
	}
}

// between judges two tenures of different members, of which b began later.
func (t *Tracker) between(a, b *Tenure, next bool) {
	gap, doubt := b.Began.Sub(a.Ended), t.doubt(a.clock, b.clock)
	if -gap > doubt {
		t.breachAt(b.Began, "S4", fmt.Sprintf("%s won the lease (epoch %d) %s before that of %s (epoch %d) was over (%s)%s",
			b.Member, b.Epoch, seconds(-gap), a.Member, a.Epoch, a.How, plusMinus(doubt)))
		return
	}
	if next {
		t.marginAt(b.Began, MarginTenure, gap, doubt, fmt.Sprintf("%s's lease (epoch %d) ended %%s before %s's (epoch %d) began: %s",
			a.Member, a.Epoch, b.Member, b.Epoch, a.How))
	}
}

func (t *Tracker) breachAt(at events.Instant, invariant, text string) {
	t.breaches = append(t.breaches, Breach{at, invariant, text})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

func plusMinus(doubt time.Duration) string {
	if doubt == 0 {
		return ""
	}
	return fmt.Sprintf(" ±%.3f s", doubt.Seconds())
}
