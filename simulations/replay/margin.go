package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// MarginKind names what a margin is kept between.
type MarginKind string

// The kinds of margins.
const (
	MarginTenure  MarginKind = "between two leases"
	MarginWriters MarginKind = "between two writers"
	MarginRenewal MarginKind = "left at a renewal"
	MarginPromote MarginKind = "left at a promotion"
	MarginGuard   MarginKind = "left to the guard"
	MarginDown    MarginKind = "between the end of a server and of its lease"
)

// Margin is a moment at which something was kept apart, by how much, and how well that is known.
type Margin struct {
	At    events.Instant `json:"at"`
	Kind  MarginKind     `json:"kind"`
	Left  time.Duration  `json:"left"`
	Doubt time.Duration  `json:"doubt,omitempty"`
	Text  string         `json:"text"`
}

// margin notes one; the text has a place for it.
func (t *Tracker) margin(kind MarginKind, left, doubt time.Duration, format string) {
	t.marginAt(t.now, kind, left, doubt, format)
}

func (t *Tracker) marginAt(at events.Instant, kind MarginKind, left, doubt time.Duration, format string) {
	t.margins = append(t.margins, Margin{at, kind, left, doubt, fmt.Sprintf(format, seconds(left)+plusMinus(doubt))})
	if len(t.margins) >= mostMargins {
		t.margins = closest(t.margins, keptMargins)
	}
}

const (
	mostMargins = 4096 // that are kept before all but the smallest of each kind are forgotten
	keptMargins = 3
)

// marginOrder is the order in which margins are told: what was between members first.
var marginOrder = []MarginKind{MarginTenure, MarginWriters, MarginDown, MarginRenewal, MarginPromote, MarginGuard}

// closest are the smallest of each kind.
func closest(all []Margin, of int) []Margin {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Margin) int {
		return cmp.Or(cmp.Compare(slices.Index(marginOrder, a.Kind), slices.Index(marginOrder, b.Kind)), cmp.Compare(a.Left, b.Left))
	})
	kept := map[MarginKind]int{}
	var out []Margin
	for _, m := range sorted {
		if kept[m.Kind] < of {
			kept[m.Kind]++
			out = append(out, m)
		}
	}
	return out
}
