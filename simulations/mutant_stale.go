package simulations

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// laggard remembers what a store held, for a mutant that reads from a server that lags behind.
type laggard struct {
	seen []view
}

type view struct {
	at   events.Instant
	keys []events.KeyValue
}

// before is the newest view that is not younger than an instant, the first if all are.
func (l *laggard) before(at events.Instant) []events.KeyValue {
	for len(l.seen) > 1 && l.seen[1].at <= at {
		l.seen = l.seen[1:]
	}
	return slices.Clone(l.seen[0].keys)
}

// staleView shows what the store held half a minute ago, at least, but for the leader key and the member's own writes.
func staleView(m *Member, f events.Fact) events.Fact {
	const behind = 30 * time.Second
	switch f := f.(type) {
	case events.DCSSnapshot:
		now := m.w.Now()
		m.laggard.seen = append(m.laggard.seen, view{now, f.Keys})
		old := slices.DeleteFunc(m.laggard.before(now.Add(-behind)), func(kv events.KeyValue) bool { return kv.Key == events.KeyLeader })
		for _, kv := range f.Keys {
			if kv.Key == events.KeyLeader {
				old = append(old, kv)
			}
		}
		slices.SortFunc(old, func(a, b events.KeyValue) int { return strings.Compare(a.Key, b.Key) })
		f.Keys = old
		return f
	case events.DCSChange:
		if f.Key != events.KeyLeader {
			return events.TimerFired{}
		}
	}
	return f
}
